#include "schemas/json_fields.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "core/redact.h"

namespace vigie::schemas::fields {

namespace {

constexpr std::size_t kTextBytesMax = 500;

std::string raw_at(const Json& json, std::string_view pointer) {
    const Json* const found = find(json, pointer);
    if (found == nullptr) return {};
    if (const auto* text = found->get_ptr<const std::string*>()) return *text;
    return found->is_number() || found->is_boolean() ? dump_json(*found) : std::string();
}

// Seconds, or milliseconds when they would else be after the year 5000.
std::optional<EventTime> from_number(std::string_view text) {
    constexpr double kSecondsMax = 1e11;
    double number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = failed == std::errc{} && end == text.data() + text.size();
    if (!whole || !(number > 0 && number < 1e15)) return std::nullopt;
    const double micros = number < kSecondsMax ? number * 1e6 : number * 1e3;
    return event_time_from_micros(static_cast<std::int64_t>(micros));
}

}  // namespace

std::string text_at(const Json& json, std::string_view pointer) {
    return one_line(raw_at(json, pointer), kTextBytesMax);
}

std::string first_line_at(const Json& json, std::string_view pointer) {
    const std::string text = raw_at(json, pointer);
    return one_line(std::string_view(text).substr(0, text.find('\n')), kTextBytesMax);
}

std::string first_text(const Json& json, std::initializer_list<std::string_view> pointers) {
    for (const auto pointer : pointers) {
        if (auto text = text_at(json, pointer); !text.empty()) return text;
    }
    return {};
}

std::string first_link(const Json& json, std::initializer_list<std::string_view> pointers) {
    for (const auto pointer : pointers) {
        if (auto link = link_or_nothing(raw_at(json, pointer)); !link.empty()) return link;
    }
    return {};
}

std::optional<EventTime> parse_any_time(std::string_view text) {
    if (const auto at = parse_rfc3339(text)) return *at;
    if (const auto at = from_number(text)) return at;
    // "YYYY-MM-DD hh:mm:ss ZONE"
    constexpr std::size_t kZone = 20;
    if (text.size() <= kZone || text[10] != ' ' || text[kZone - 1] != ' ') return std::nullopt;
    std::string rfc3339(text.substr(0, kZone - 1));
    rfc3339[10] = 'T';
    const auto zone = text.substr(kZone);
    if (zone == "UTC") {
        rfc3339 += 'Z';
    } else if (zone.size() == 5) {
        rfc3339 += fmt::format("{}:{}", zone.substr(0, 3), zone.substr(3));
    }
    const auto at = parse_rfc3339(rfc3339);
    return at ? std::optional(*at) : std::nullopt;
}

EventTime first_time(const Json& json, std::initializer_list<std::string_view> pointers,
                     EventTime now) {
    for (const auto pointer : pointers) {
        if (const auto at = parse_any_time(raw_at(json, pointer))) return std::min(*at, now);
    }
    return now;
}

Result<std::int64_t> required_integer(const Json& json, std::string_view pointer) {
    const auto number = integer_at(json, pointer);
    if (!number) return fail(ErrorKind::kInvalid, fmt::format("{} is not a number", pointer));
    return *number;
}

Result<std::string> required_text(const Json& json, std::string_view pointer) {
    auto text = text_at(json, pointer);
    if (text.empty()) return fail(ErrorKind::kInvalid, fmt::format("{} is missing", pointer));
    return text;
}

}  // namespace vigie::schemas::fields
