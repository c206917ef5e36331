#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"

// Times that come again, as Alertmanager writes them:
// https://prometheus.io/docs/alerting/latest/configuration/#time_interval-0
namespace vigie::schemas {

// Both ends are inside.
using Span16 = std::pair<std::int16_t, std::int16_t>;

// All that is given must hold; of a list, one. In UTC.
struct TimeInterval {
    std::vector<std::pair<int, int>> times;  // Minutes of the day, from 0; the end is outside
    std::vector<Span16> weekdays;            // 0 is Sunday
    std::vector<Span16> days_of_month;       // From 1; negative ones from the month's end
    std::vector<Span16> months;              // From 1
    std::vector<Span16> years;

    bool contains(EventTime at) const;
    bool operator==(const TimeInterval&) const = default;

private:
    bool minutes_hold(int minute) const;
};

// "09:00" and "17:00"; "24:00" ends a day. kInvalid says what is wrong; so do those below.
Result<std::pair<int, int>> parse_day_times(std::string_view start, std::string_view end);
Result<Span16> parse_weekdays(std::string_view text);       // "monday:friday", "sunday"
Result<Span16> parse_days_of_month(std::string_view text);  // "1:5", "-3:-1", "15"
Result<Span16> parse_months(std::string_view text);         // "1:3", "may:august", "december"
Result<Span16> parse_years(std::string_view text);          // "2020:2022", "2030"

// When none of the intervals holds any more: `at` itself when none does now. An end further away
// than 31 days is cut there.
EventTime end_of(const std::vector<TimeInterval>& intervals, EventTime at);

}  // namespace vigie::schemas
