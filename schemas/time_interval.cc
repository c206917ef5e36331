#include "schemas/time_interval.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "core/redact.h"
#include "schemas/text.h"

namespace vigie::schemas {

namespace {

using std::chrono::days;
using std::chrono::minutes;

constexpr int kDayMinutes = 24 * 60;
constexpr days kAwayMax{31};
constexpr std::array<std::string_view, 7> kWeekdays{"sunday",   "monday", "tuesday", "wednesday",
                                                    "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> kMonths{"january",   "february", "march",    "april",
                                                   "may",       "june",     "july",     "august",
                                                   "september", "october",  "november", "december"};

std::unexpected<Error> wrong(std::string_view text, std::string_view what) {
    return fail(ErrorKind::kInvalid, fmt::format("'{}' is not {}", one_line(text, 60), what));
}

std::optional<int> number_of(std::string_view text) {
    int value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ptr != end || parsed.ec != std::errc{} || text.empty()) return std::nullopt;
    return value;
}

// The place of a word in a list, from `first`, or the number that it is.
std::optional<int> place_of(std::string_view text, std::span<const std::string_view> words,
                            int first) {
    const std::string low = detail::lower(text);
    const auto found = std::ranges::find(words, low);
    if (found != words.end()) return static_cast<int>(found - words.begin()) + first;
    return number_of(low);
}

Result<Span16> parse_span(std::string_view text, std::span<const std::string_view> words, int first,
                          std::pair<int, int> allowed, std::string_view what) {
    const auto colon = text.find(':');
    const auto begin = place_of(text.substr(0, colon), words, first);
    const auto end =
        colon == std::string_view::npos ? begin : place_of(text.substr(colon + 1), words, first);
    const auto good = [&](int value) { return value >= allowed.first && value <= allowed.second; };
    if (!begin || !end || !good(*begin) || !good(*end)) return wrong(text, what);
    // Of days from both ends of a month it depends on the month.
    if (*begin > *end && (*begin > 0) == (*end > 0)) return wrong(text, what);
    return Span16{static_cast<std::int16_t>(*begin), static_cast<std::int16_t>(*end)};
}

std::optional<int> minute_of(std::string_view text) {
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto hour = number_of(text.substr(0, 2));
    const auto minute = number_of(text.substr(3));
    if (!hour || !minute || *hour < 0 || *minute < 0 || *minute > 59) return std::nullopt;
    const int all = *hour * 60 + *minute;
    return all <= kDayMinutes ? std::optional(all) : std::nullopt;
}

bool any(const std::vector<Span16>& spans, int value) {
    return spans.empty() || std::ranges::any_of(spans, [value](const Span16& span) {
               return value >= span.first && value <= span.second;
           });
}

bool any_day(const std::vector<Span16>& spans, int day, int last) {
    const auto from_start = [last](int value) { return value < 0 ? last + 1 + value : value; };
    return spans.empty() || std::ranges::any_of(spans, [&](const Span16& span) {
               return day >= from_start(span.first) && day <= from_start(span.second);
           });
}

}  // namespace

bool TimeInterval::contains(EventTime at) const {
    const std::chrono::sys_time<EventClock::duration> when{at.time_since_epoch()};
    const auto day = std::chrono::floor<days>(when);
    const std::chrono::year_month_day date(day);
    const auto minute = static_cast<int>(std::chrono::floor<minutes>(when - day).count());
    const bool in_time = minutes_hold(minute) && any(years, static_cast<int>(date.year())) &&
                         any(months, static_cast<int>(static_cast<unsigned>(date.month()))) &&
                         any(weekdays, static_cast<int>(std::chrono::weekday(day).c_encoding()));
    if (!in_time) return false;
    const std::chrono::year_month_day_last end(date.year() / date.month() / std::chrono::last);
    return any_day(days_of_month, static_cast<int>(static_cast<unsigned>(date.day())),
                   static_cast<int>(static_cast<unsigned>(end.day())));
}

bool TimeInterval::minutes_hold(int minute) const {
    return times.empty() || std::ranges::any_of(times, [minute](const auto& span) {
               return minute >= span.first && minute < span.second;
           });
}

Result<std::pair<int, int>> parse_day_times(std::string_view start, std::string_view end) {
    const auto from = minute_of(start);
    if (!from) return wrong(start, "a time of day such as 09:00");
    const auto to = minute_of(end);
    if (!to) return wrong(end, "a time of day such as 17:00");
    if (*from >= *to) return wrong(end, fmt::format("later than '{}'", start));
    return std::pair{*from, *to};
}

Result<Span16> parse_weekdays(std::string_view text) {
    // Numbers of days are not understood alike everywhere: words only, as in Alertmanager.
    if (std::ranges::any_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
        return wrong(text, "a weekday, or two with a colon");
    }
    return parse_span(text, kWeekdays, 0, {0, 6}, "a weekday, or two with a colon");
}

Result<Span16> parse_days_of_month(std::string_view text) {
    constexpr std::string_view kWhat = "a day of the month from 1 to 31 or -31 to -1, or two";
    VIGIE_TRY_ASSIGN(const Span16 span, parse_span(text, {}, 0, {-31, 31}, kWhat));
    if (span.first == 0 || span.second == 0) return wrong(text, kWhat);
    return span;
}

Result<Span16> parse_months(std::string_view text) {
    return parse_span(text, kMonths, 1, {1, 12}, "a month, or two with a colon");
}

Result<Span16> parse_years(std::string_view text) {
    return parse_span(text, {}, 0, {1970, 9999}, "a year, or two with a colon");
}

EventTime end_of(const std::vector<TimeInterval>& intervals, EventTime at) {
    const auto holds = [&](EventTime time) {
        return std::ranges::any_of(intervals,
                                   [&](const TimeInterval& one) { return one.contains(time); });
    };
    if (!holds(at)) return at;
    // Intervals change with the minute.
    EventTime next{std::chrono::floor<minutes>(at.time_since_epoch())};
    const EventTime last = at + kAwayMax;
    while (holds(next) && next < last) next += minutes{1};
    return next;
}

}  // namespace vigie::schemas
