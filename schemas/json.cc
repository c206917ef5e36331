#include "schemas/json.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

namespace vigie::schemas {

namespace {

constexpr std::size_t kDepthMax = 64;

// Builds the value. Unlike the library's own builder it stops at the depth limit.
class Builder final : public nlohmann::json_sax<Json> {
public:
    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t& /*text*/) override {
        return add(value);
    }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t& /*value*/) override { return false; }  // Not in JSON text.
    bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
    bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& value) override {
        slot_ = &(*open_.back())[std::move(value)];
        return true;
    }
    bool parse_error(std::size_t position, const std::string& /*token*/,
                     const Json::exception& error) override {
        position_ = position;
        reason_ = error.what();
        return false;
    }

    bool too_deep() const { return too_deep_; }
    std::size_t position() const { return position_; }
    const std::string& reason() const { return reason_; }
    Json take() { return std::move(root_); }

private:
    Json* place(Json value) {
        if (open_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        if (open_.back()->is_array()) {
            open_.back()->push_back(std::move(value));
            return &open_.back()->back();
        }
        *slot_ = std::move(value);
        return slot_;
    }
    bool add(Json value) {
        place(std::move(value));
        return true;
    }
    bool open(Json value) {
        too_deep_ = open_.size() == kDepthMax;
        if (too_deep_) return false;
        // The container above does not grow while this one is open, so the pointer stays good.
        open_.push_back(place(std::move(value)));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    Json root_;
    std::vector<Json*> open_;
    Json* slot_ = nullptr;
    bool too_deep_ = false;
    std::size_t position_ = 0;
    std::string reason_;
};

// The byte, counted from 1, of the bracket that goes too deep.
std::size_t find_too_deep(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > kDepthMax) return i + 1;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return text.size();
}

// The library's sentence without its number, and without the text it read last: that is from
// outside and may be long, secret or not UTF-8.
std::string_view short_reason(std::string_view reason) {
    for (const std::string_view start : {"syntax error", "number overflow"}) {
        if (const auto at = reason.find(start); at != std::string_view::npos) {
            reason.remove_prefix(at);
        }
    }
    reason = reason.substr(0, reason.find("; last read"));
    return reason.starts_with("number overflow") ? std::string_view{"number overflow"} : reason;
}

std::optional<std::string> unescape(std::string_view token) {
    std::string text;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (token[i] != '~') {
            text += token[i];
        } else if (i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
            text += token[++i] == '0' ? '~' : '/';
        } else {
            return std::nullopt;
        }
    }
    return text;
}

const Json* step_into(const Json& json, std::string_view token) {
    if (json.is_object()) {
        const auto key = unescape(token);
        if (!key) return nullptr;
        const auto found = json.find(*key);
        return found == json.end() ? nullptr : &*found;
    }
    if (!json.is_array() || token.empty() || (token.size() > 1 && token[0] == '0')) return nullptr;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (error != std::errc{} || end != token.data() + token.size() || index >= json.size()) {
        return nullptr;
    }
    return &json[index];
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
    Builder builder;
    if (Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
    if (builder.too_deep()) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("not acceptable JSON at byte {}: nested deeper than {} levels",
                                find_too_deep(text), kDepthMax));
    }
    return fail(ErrorKind::kInvalid, fmt::format("not JSON at byte {}: {}", builder.position(),
                                                 short_reason(builder.reason())));
}

std::string dump_json(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json_pretty(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

const Json* find(const Json& json, std::string_view pointer) {
    const Json* at = &json;
    while (at != nullptr && !pointer.empty()) {
        if (pointer.front() != '/') return nullptr;
        pointer.remove_prefix(1);
        const auto token = pointer.substr(0, pointer.find('/'));
        pointer.remove_prefix(token.size());
        at = step_into(*at, token);
    }
    return at;
}

std::optional<std::string> string_at(const Json& json, std::string_view pointer) {
    const Json* found = find(json, pointer);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return found->get_ref<const std::string&>();
}

std::optional<double> number_at(const Json& json, std::string_view pointer) {
    const Json* found = find(json, pointer);
    if (found == nullptr || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

std::optional<std::int64_t> integer_at(const Json& json, std::string_view pointer) {
    const Json* found = find(json, pointer);
    if (found == nullptr) return std::nullopt;
    if (found->is_number_unsigned()) {
        const auto value = found->get<std::uint64_t>();
        if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return std::nullopt;
        return static_cast<std::int64_t>(value);
    }
    if (found->is_number_integer()) return found->get<std::int64_t>();
    if (!found->is_number_float()) return std::nullopt;
    const auto value = found->get<double>();
    if (std::trunc(value) != value || std::abs(value) > 0x1p53) return std::nullopt;
    return static_cast<std::int64_t>(value);
}

std::optional<bool> bool_at(const Json& json, std::string_view pointer) {
    const Json* found = find(json, pointer);
    if (found == nullptr || !found->is_boolean()) return std::nullopt;
    return found->get<bool>();
}

}  // namespace vigie::schemas
