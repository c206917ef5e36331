#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "schemas/budget.h"
#include "schemas/json.h"
#include "schemas/log_groups.h"
#include "schemas/text.h"

namespace vigie::schemas {

namespace {

using detail::Budget;
using detail::clean_label;

constexpr std::array<const char*, 4> kTimes{"@timestamp", "timestamp", "time", "ts"};
constexpr std::array<const char*, 4> kTexts{"message", "msg", "body", "log"};
constexpr std::array<const char*, 3> kSeverities{"level", "severity", "lvl"};
// What says whose line it is.
constexpr std::array<std::string_view, 14> kResource{
    "service.name", "service", "service_name", "app",       "application",
    "host.name",    "host",    "hostname",     "job",       "instance",
    "namespace",    "pod",     "container",    "deployment"};

std::string text_of(const Json& value) {
    if (const auto* text = value.get_ptr<const std::string*>()) return *text;
    return dump_json(value);
}

template <class Names>
const Json* first_of(const Json& object, const Names& names) {
    for (const auto* name : names) {
        const auto found = object.find(name);
        if (found != object.end() && !found->is_null()) return &*found;
    }
    return nullptr;
}

// Seconds, milliseconds, microseconds or nanoseconds since 1970, by their size; or RFC 3339.
EventTime time_of(const Json& value) {
    if (const auto* text = value.get_ptr<const std::string*>()) {
        return parse_rfc3339(*text).value_or(EventTime{});
    }
    if (!value.is_number()) return {};
    const double number = value.get<double>();
    if (!(number > 0 && number < 1e19)) return {};
    const double micros = number < 1e11   ? number * 1e6
                          : number < 1e14 ? number * 1e3
                          : number < 1e17 ? number
                                          : number / 1e3;
    return event_time_from_micros(static_cast<std::int64_t>(micros));
}

std::uint8_t severity_of(const Json& value) {
    if (const auto* text = value.get_ptr<const std::string*>()) return severity_number(*text);
    // pino and bunyan count 10 (trace), 20, 30 (info), 40, 50, 60.
    const auto number = integer_at(value, "").value_or(0);
    if (number >= 10 && number <= 60) return static_cast<std::uint8_t>((number / 10 - 1) * 4 + 1);
    return number >= 1 && number <= 9 ? static_cast<std::uint8_t>(number) : std::uint8_t{0};
}

bool is_special(std::string_view name) {
    const auto same = [name](const char* other) { return name == other; };
    return std::ranges::any_of(kTimes, same) || std::ranges::any_of(kTexts, same) ||
           std::ranges::any_of(kSeverities, same);
}

class Lines {
public:
    explicit Lines(const DecodeLimits& limits) : budget_(limits) {}

    Status add_object(const Json& object) {
        LogRecord record;
        Labels resource;
        if (const auto* time = first_of(object, kTimes)) record.at = time_of(*time);
        if (const auto* text = first_of(object, kTexts)) {
            record.body = clean_label(text_of(*text), budget_);
        }
        if (const auto* word = first_of(object, kSeverities)) record.severity = severity_of(*word);
        for (const auto& [name, value] : object.items()) {
            if (is_special(name) || value.is_null()) continue;
            const bool whose = std::ranges::find(kResource, name) != kResource.end();
            Labels& labels = whose ? resource : record.attributes;
            VIGIE_TRY(budget_.check_count(labels));
            labels.emplace_back(clean_label(name, budget_), clean_label(text_of(value), budget_));
        }
        if (record.body.empty()) record.body = clean_label(dump_json(object), budget_);
        for (const auto* name : {"trace_id", "traceId"}) {
            const auto id = string_at(object, fmt::format("/{}", name)).value_or("");
            if (id.size() == 32 && detail::is_hex(id)) record.trace_id = detail::lower(id);
        }
        VIGIE_TRY_ASSIGN(record.attributes, budget_.merge({}, std::move(record.attributes)));
        VIGIE_TRY_ASSIGN(resource, budget_.merge({}, std::move(resource)));
        name_resource(resource);
        return add(std::move(resource), std::move(record));
    }

    Status add_text(std::string_view line) {
        LogRecord record;
        record.body = clean_label(line, budget_);
        return add({}, std::move(record));
    }

    std::vector<LogGroup> take() {
        std::vector<LogGroup> groups;
        groups.reserve(by_resource_.size());
        for (auto& [resource, records] : by_resource_) {
            groups.push_back({resource, std::move(records)});
        }
        return groups;
    }

private:
    Status add(Labels resource, LogRecord record) {
        VIGIE_TRY(budget_.take_item());
        VIGIE_TRY(budget_.take_bytes(sizeof record + record.body.size()));
        by_resource_[std::move(resource)].push_back(std::move(record));
        return {};
    }

    Budget budget_;
    std::map<Labels, std::vector<LogRecord>> by_resource_;
};

Status add_line(Lines& lines, std::string_view line) {
    const auto json = parse_json(line);
    if (json && json->is_object()) return lines.add_object(*json);
    // Text is welcome, half an object is a line that was cut.
    if (!json && line.starts_with('{')) return fail(json.error());
    return lines.add_text(line);
}

}  // namespace

Result<std::vector<LogGroup>> decode_json_lines(std::string_view bytes,
                                                const DecodeLimits& limits) {
    Lines lines(limits);
    const auto begin = bytes.find_first_not_of(" \t\r\n");
    if (begin != std::string_view::npos && bytes[begin] == '[') {
        VIGIE_TRY_ASSIGN(const Json list, parse_json(bytes));
        for (const auto& item : list) {
            if (!item.is_object()) {
                return fail(ErrorKind::kInvalid, "an item of the list is not an object");
            }
            VIGIE_TRY(lines.add_object(item));
        }
        return lines.take();
    }
    std::size_t number = 0;
    while (!bytes.empty()) {
        ++number;
        auto line = bytes.substr(0, bytes.find('\n'));
        bytes.remove_prefix(std::min(line.size() + 1, bytes.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
        const auto added = add_line(lines, line);
        if (!added) return fail(Error(added.error()).in(fmt::format("line {}", number)));
    }
    return lines.take();
}

}  // namespace vigie::schemas
