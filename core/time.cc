#include "core/time.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "core/redact.h"

namespace vigie {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t kYearFirstMicros = -62'135'596'800'000'000;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kYearLastMicros = 253'402'300'799'999'999;   // 9999-12-31T23:59:59.999999Z

// Reads exactly `digits` decimal digits at `at` and moves past them.
std::optional<int> read_digits(std::string_view text, std::size_t& at, std::size_t digits) {
    if (text.size() < at + digits) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const char c = text[at + i];
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    at += digits;
    return value;
}

bool read_char(std::string_view text, std::size_t& at, std::string_view any_of) {
    if (at >= text.size() || any_of.find(text[at]) == std::string_view::npos) return false;
    ++at;
    return true;
}

std::optional<microseconds> read_fraction(std::string_view text, std::size_t& at) {
    std::int64_t micros = 0;
    std::size_t digits = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        if (digits < 6) micros = micros * 10 + (text[at] - '0');
        ++digits;
        ++at;
    }
    if (digits == 0 || digits > 9) return std::nullopt;
    for (; digits < 6; ++digits) micros *= 10;
    return microseconds{micros};
}

std::optional<microseconds> read_zone(std::string_view text, std::size_t& at) {
    if (read_char(text, at, "Zz")) return microseconds{0};
    const bool minus = at < text.size() && text[at] == '-';
    if (!read_char(text, at, "+-")) return std::nullopt;
    const auto hours = read_digits(text, at, 2);
    if (!hours || *hours > 23 || !read_char(text, at, ":")) return std::nullopt;
    const auto minutes = read_digits(text, at, 2);
    if (!minutes || *minutes > 59) return std::nullopt;
    const microseconds offset = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
    return minus ? -offset : offset;
}

std::optional<microseconds> read_date_time(std::string_view text, std::size_t& at) {
    const auto year = read_digits(text, at, 4);
    if (!year || !read_char(text, at, "-")) return std::nullopt;
    const auto month = read_digits(text, at, 2);
    if (!month || !read_char(text, at, "-")) return std::nullopt;
    const auto day = read_digits(text, at, 2);
    if (!day || !read_char(text, at, "Tt ")) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    const auto hour = read_digits(text, at, 2);
    if (!hour || *hour > 23 || !read_char(text, at, ":")) return std::nullopt;
    const auto minute = read_digits(text, at, 2);
    if (!minute || *minute > 59 || !read_char(text, at, ":")) return std::nullopt;
    const auto second = read_digits(text, at, 2);
    if (!second || *second > 60) return std::nullopt;  // 60 is a leap second: counted as the next.
    return microseconds{std::chrono::sys_days{date}.time_since_epoch()} +
           std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
           std::chrono::seconds{*second};
}

struct Unit {
    std::string_view name;
    std::int64_t millis;
};
constexpr std::array<Unit, 6> kUnits{{{"w", 604'800'000},
                                      {"d", 86'400'000},
                                      {"h", 3'600'000},
                                      {"m", 60'000},
                                      {"s", 1000},
                                      {"ms", 1}}};

}  // namespace

std::string to_rfc3339(EventTime at) {
    const microseconds since{std::min(std::max(micros_of(at), kYearFirstMicros), kYearLastMicros)};
    const auto days = std::chrono::floor<std::chrono::days>(since);
    const std::chrono::year_month_day date{std::chrono::sys_days{days}};
    const auto in_day = since - days;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(in_day);
    const auto micros = (in_day - seconds).count();
    const auto clock = seconds.count();
    std::string text =
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int{date.year()}, unsigned{date.month()},
                    unsigned{date.day()}, clock / 3600, clock / 60 % 60, clock % 60);
    if (micros != 0) text += fmt::format(".{:06}", micros);
    return text + "Z";
}

Result<EventTime> parse_rfc3339(std::string_view text) {
    const auto invalid = [text] {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is not an RFC 3339 time", one_line(text, 64)));
    };
    std::size_t at = 0;
    const auto local = read_date_time(text, at);
    if (!local) return invalid();
    microseconds fraction{0};
    if (read_char(text, at, ".")) {
        const auto read = read_fraction(text, at);
        if (!read) return invalid();
        fraction = *read;
    }
    const auto zone = read_zone(text, at);
    if (!zone || at != text.size()) return invalid();
    return EventTime{*local + fraction - *zone};
}

Result<milliseconds> parse_duration(std::string_view text) {
    const auto invalid = [text] {
        return fail(
            ErrorKind::kInvalid,
            fmt::format("'{}' is not a duration such as 1h30m or 250ms", text.substr(0, 64)));
    };
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;
    if (text.empty()) return invalid();
    std::int64_t total = 0;
    std::size_t unit_next = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        std::int64_t number = 0;
        const auto [rest, error] = std::from_chars(at, end, number);
        if (error != std::errc{} || *at == '-') return invalid();
        const char* unit_end = rest;
        while (unit_end != end && *unit_end >= 'a' && *unit_end <= 'z') ++unit_end;
        const std::string_view name(rest, static_cast<std::size_t>(unit_end - rest));
        while (unit_next < kUnits.size() && kUnits.at(unit_next).name != name) ++unit_next;
        if (unit_next == kUnits.size()) return invalid();
        const std::int64_t millis = kUnits.at(unit_next++).millis;
        if (number > (kMax - total) / millis) return invalid();
        total += number * millis;
        at = unit_end;
    }
    return milliseconds{total};
}

std::string to_string(milliseconds duration) {
    std::int64_t rest = duration.count();
    if (rest == 0) return "0s";
    std::string text;
    if (rest < 0) {
        text = "-";
        rest = -rest;
    }
    for (const Unit& unit : kUnits) {
        if (const std::int64_t count = rest / unit.millis; count != 0) {
            text += fmt::format("{}{}", count, unit.name);
            rest %= unit.millis;
        }
    }
    return text;
}

}  // namespace vigie
