#include "app/section.h"

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "core/redact.h"
#include "core/time.h"

namespace vigie::app {

namespace {

constexpr std::size_t kSecretBytesMax = 64 * 1024;
constexpr std::size_t kPathBytesMax = 400;
constexpr std::size_t kComplaintBytesMax = 1000;  // "known here" lists every option of a section.
// A hundred years: added to any time it is still one, and schemas/policy.v1.json says the same.
constexpr std::chrono::hours kDurationMax = std::chrono::days{36525};

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t factor;
    };
    constexpr std::array<Unit, 4> units{
        {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}}};
    for (const Unit& unit : units) {
        if (!text.ends_with(unit.name)) continue;
        const auto count =
            parse_number<std::int64_t>(text.substr(0, text.size() - unit.name.size()));
        if (!count || *count < 0 || *count > (std::int64_t{1} << 50) / unit.factor)
            return std::nullopt;
        return *count * unit.factor;
    }
    const auto count = parse_number<std::int64_t>(text);
    return count && *count >= 0 ? count : std::nullopt;
}

std::string joined(std::string_view path, std::string_view key) {
    if (key.empty()) return std::string(path);
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

}  // namespace

void Complaints::add(const YamlNode& where, std::string_view path, std::string_view what) {
    all_.push_back(fmt::format("{}:{}:{}: {}{}{}", file_, where.line, where.column,
                               one_line(path, kPathBytesMax), path.empty() ? "" : ": ",
                               one_line(what, kComplaintBytesMax)));
}

void Complaints::add(std::string_view what) {
    all_.push_back(fmt::format("{}: {}", file_, one_line(what, kComplaintBytesMax)));
}

Section::Section(const YamlNode* node, std::string path, Complaints& complaints)
    : node_(node != nullptr && node->kind == YamlNode::Kind::kNull ? nullptr : node),
      path_(std::move(path)),
      complaints_(complaints) {
    if (node_ != nullptr && node_->kind != YamlNode::Kind::kMap) {
        complaints_.add(*node_, path_, "must be a map of options");
    }
}

Section::~Section() {
    if (node_ == nullptr) return;
    for (const auto& [key, value] : node_->entries) {
        if (asked_.contains(key)) continue;
        std::string known;
        for (const std::string& name : asked_) known += (known.empty() ? "" : ", ") + name;
        complaints_.add(value, path_of(key), fmt::format("unknown option; known here: {}", known));
    }
}

std::string Section::path_of(std::string_view key) const {
    return joined(path_, key);
}

const YamlNode* Section::take(std::string_view key) {
    asked_.emplace(key);
    const YamlNode* found = node_ == nullptr ? nullptr : node_->find(key);
    return found != nullptr && found->kind == YamlNode::Kind::kNull ? nullptr : found;
}

const YamlNode* Section::take_scalar(std::string_view key) {
    const YamlNode* found = take(key);
    if (found != nullptr && found->kind != YamlNode::Kind::kScalar) {
        complaints_.add(*found, path_of(key), "must be a single value");
        return nullptr;
    }
    return found;
}

void Section::complain_at(const YamlNode* node, const std::string& path, Complaints& complaints,
                          std::string_view key, std::string_view what) {
    const YamlNode* where = node == nullptr || key.empty() ? node : node->find(key);
    if (where == nullptr) where = node;
    if (where == nullptr) {
        complaints.add(fmt::format("{}: {}", joined(path, key), what));
    } else {
        complaints.add(*where, joined(path, key), what);
    }
}

void Section::complain(std::string_view key, std::string_view what) {
    complain_at(node_, path_, complaints_, key, what);
}

Section::Complain Section::complain_later() const {
    return [node = node_, path = path_, &complaints = complaints_](std::string_view key,
                                                                   std::string_view what) {
        complain_at(node, path, complaints, key, what);
    };
}

bool Section::has(std::string_view key) {
    return take(key) != nullptr;
}

std::string Section::text(std::string_view key, std::string_view fallback) {
    const YamlNode* found = take_scalar(key);
    return found == nullptr ? std::string(fallback) : found->scalar;
}

bool Section::boolean(std::string_view key, bool fallback) {
    const YamlNode* found = take_scalar(key);
    if (found == nullptr) return fallback;
    if (found->scalar == "true") return true;
    if (found->scalar == "false") return false;
    complain(key, "must be true or false");
    return fallback;
}

std::int64_t Section::integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                              std::int64_t max) {
    const YamlNode* found = take_scalar(key);
    if (found == nullptr) return fallback;
    const auto value = parse_number<std::int64_t>(found->scalar);
    if (value && *value >= min && *value <= max) return *value;
    complain(key, fmt::format("must be a whole number between {} and {}", min, max));
    return fallback;
}

double Section::number(std::string_view key, double fallback, double min, double max) {
    const YamlNode* found = take_scalar(key);
    if (found == nullptr) return fallback;
    const auto value = parse_number<double>(found->scalar);
    if (value && std::isfinite(*value) && *value >= min && *value <= max) return *value;
    complain(key, fmt::format("must be a number between {} and {}", min, max));
    return fallback;
}

std::chrono::milliseconds Section::duration(std::string_view key,
                                            std::chrono::milliseconds fallback,
                                            std::chrono::milliseconds min) {
    const YamlNode* found = take_scalar(key);
    if (found == nullptr) return fallback;
    const auto value = parse_duration(found->scalar);
    if (value && *value >= min && *value <= kDurationMax) return *value;
    if (!value) {
        complain(key, value.error().message);
    } else if (*value < min) {
        complain(key, fmt::format("must be at least {}", to_string(min)));
    } else {
        complain(key, "must be at most 36525d");
    }
    return fallback;
}

std::chrono::seconds Section::seconds(std::string_view key, std::chrono::seconds fallback) {
    const auto value = duration(key, fallback, std::chrono::milliseconds{0});
    if (value % std::chrono::seconds{1} != std::chrono::milliseconds{0}) {
        complain(key, "must be whole seconds");
        return fallback;
    }
    return std::chrono::duration_cast<std::chrono::seconds>(value);
}

std::int64_t Section::bytes(std::string_view key, std::int64_t fallback) {
    const YamlNode* found = take_scalar(key);
    if (found == nullptr) return fallback;
    if (const auto value = parse_bytes(found->scalar)) return *value;
    complain(key, "must be a size such as 512, 64KiB, 16MiB or 2GiB");
    return fallback;
}

std::string Section::secret(std::string_view key) {
    const std::string file_key = fmt::format("{}_file", key);
    const YamlNode* direct = take_scalar(key);
    const YamlNode* file = take_scalar(file_key);
    if (direct != nullptr && file != nullptr) {
        complain(file_key, fmt::format("give {} or {}, not both", key, file_key));
    }
    if (file == nullptr) return direct == nullptr ? std::string{} : direct->scalar;
    auto content = read_file(file->scalar, kSecretBytesMax);
    if (!content) {
        complain(file_key, content.error().message);
        return {};
    }
    while (content->ends_with('\n') || content->ends_with('\r')) content->pop_back();
    if (content->empty()) complain(file_key, "the file is empty");
    return *std::move(content);
}

std::vector<std::string> Section::texts(std::string_view key) {
    std::vector<std::string> out;
    const YamlNode* found = take(key);
    if (found == nullptr) return out;
    if (found->kind != YamlNode::Kind::kSequence) {
        complain(key, "must be a list");
        return out;
    }
    for (const YamlNode& item : found->items) {
        if (item.kind == YamlNode::Kind::kScalar) {
            out.push_back(item.scalar);
        } else {
            complaints_.add(item, path_of(key), "must be a list of single values");
        }
    }
    return out;
}

std::map<std::string, std::string> Section::text_map(std::string_view key) {
    std::map<std::string, std::string> out;
    const YamlNode* found = take(key);
    if (found == nullptr) return out;
    if (found->kind != YamlNode::Kind::kMap) {
        complain(key, "must be a map");
        return out;
    }
    for (const auto& [name, value] : found->entries) {
        if (value.kind == YamlNode::Kind::kScalar) {
            out[name] = value.scalar;
        } else {
            complaints_.add(value, path_of(key), fmt::format("{} must be a single value", name));
        }
    }
    return out;
}

std::map<std::string, std::vector<std::string>> Section::texts_map(std::string_view key) {
    std::map<std::string, std::vector<std::string>> out;
    const YamlNode* found = take(key);
    if (found == nullptr) return out;
    if (found->kind != YamlNode::Kind::kMap) {
        complain(key, "must be a map");
        return out;
    }
    Section section(found, path_of(key), complaints_);
    for (const auto& [name, value] : found->entries) {
        if (value.kind == YamlNode::Kind::kScalar) {
            out[name] = {section.text(name)};
        } else {
            out[name] = section.texts(name);
        }
    }
    return out;
}

void Section::child(std::string_view key, const std::function<void(Section&)>& read) {
    Section section(take(key), path_of(key), complaints_);
    read(section);
}

void Section::each(std::string_view key, const std::function<void(Section&)>& read) {
    const YamlNode* found = take(key);
    if (found == nullptr) return;
    if (found->kind != YamlNode::Kind::kSequence) {
        complain(key, "must be a list");
        return;
    }
    for (std::size_t i = 0; i < found->items.size(); ++i) {
        Section section(&found->items[i], fmt::format("{}[{}]", path_of(key), i), complaints_);
        read(section);
    }
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    if (error) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("cannot read '{}': {}", path, error.message()));
    }
    if (size > bytes_max) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is larger than {} bytes", path, bytes_max));
    }
    std::ifstream file(path, std::ios::binary);
    std::string text(size, '\0');
    if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
        return fail(ErrorKind::kUnavailable, fmt::format("cannot read '{}'", path));
    }
    return text;
}

Status write_file(const std::string& path, std::string_view text) {
    const std::string beside = path + ".new";
    {
        std::ofstream file(beside, std::ios::binary | std::ios::trunc);
        file.write(text.data(), static_cast<std::streamsize>(text.size()));
        file.flush();
        if (!file) return fail(ErrorKind::kUnavailable, fmt::format("cannot write '{}'", beside));
    }
    std::error_code error;
    std::filesystem::rename(beside, path, error);
    if (error) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("cannot replace '{}': {}", path, error.message()));
    }
    return {};
}

}  // namespace vigie::app
