#include "schemas/time_interval.h"

#include <catch2/catch.hpp>

using namespace vigie;
using namespace vigie::schemas;

namespace {

EventTime at(std::string_view text) {
    const auto time = parse_rfc3339(text);
    REQUIRE(time.has_value());
    return *time;
}

}  // namespace

TEST_CASE("time interval: all that is given must hold, to the minute", "[schemas]") {
    TimeInterval office;
    office.times = {*parse_day_times("09:00", "17:00")};
    office.weekdays = {*parse_weekdays("monday:friday")};
    CHECK(office.contains(at("2026-11-23T09:00:00Z")));  // A Monday
    CHECK_FALSE(office.contains(at("2026-11-23T08:59:59Z")));
    CHECK(office.contains(at("2026-11-27T16:59:59Z")));
    CHECK_FALSE(office.contains(at("2026-11-27T17:00:00Z")));
    CHECK_FALSE(office.contains(at("2026-11-28T12:00:00Z")));
    CHECK(TimeInterval{}.contains(at("2026-11-28T12:00:00Z")));
}

TEST_CASE("time interval: days from a month's end, months and years", "[schemas]") {
    TimeInterval last;
    last.days_of_month = {*parse_days_of_month("-3:-1")};
    last.months = {*parse_months("february"), *parse_months("11:12")};
    CHECK(last.contains(at("2028-02-27T00:00:00Z")));
    CHECK_FALSE(last.contains(at("2028-02-26T23:59:59Z")));
    CHECK(last.contains(at("2026-11-28T00:00:00Z")));
    CHECK_FALSE(last.contains(at("2026-10-31T00:00:00Z")));
    last.years = {*parse_years("2027:2028")};
    CHECK_FALSE(last.contains(at("2026-11-28T00:00:00Z")));
    CHECK(last.contains(at("2028-02-29T00:00:00Z")));
    TimeInterval middle;
    middle.days_of_month = {*parse_days_of_month("10:-10")};
    CHECK(middle.contains(at("2026-11-21T00:00:00Z")));
    CHECK_FALSE(middle.contains(at("2026-11-22T00:00:00Z")));
}

TEST_CASE("time interval: what is no time is refused", "[schemas]") {
    for (const auto* text : {"", "someday", "monday:", "friday:monday", "1:5"}) {
        INFO(text);
        CHECK_FALSE(parse_weekdays(text).has_value());
    }
    for (const auto* text : {"0", "32", "5:1", "-1:-3", "x", "1:0"}) {
        INFO(text);
        CHECK_FALSE(parse_days_of_month(text).has_value());
    }
    CHECK_FALSE(parse_months("13").has_value());
    CHECK_FALSE(parse_years("20").has_value());
    CHECK_FALSE(parse_day_times("9:00", "17:00").has_value());
    CHECK_FALSE(parse_day_times("09:00", "24:01").has_value());
    CHECK_FALSE(parse_day_times("09:00", "09:00").has_value());
    CHECK(parse_day_times("00:00", "24:00").has_value());
}

TEST_CASE("time interval: the end is when none holds any more", "[schemas]") {
    TimeInterval night;
    night.times = {{22 * 60, 24 * 60}, {0, 6 * 60}};
    TimeInterval weekend;
    weekend.weekdays = {{6, 6}, {0, 0}};
    CHECK(end_of({night}, at("2026-11-23T23:15:30Z")) == at("2026-11-24T06:00:00Z"));
    CHECK(end_of({night, weekend}, at("2026-11-27T23:00:00Z")) == at("2026-11-30T06:00:00Z"));
    CHECK(end_of({night}, at("2026-11-23T12:00:00Z")) == at("2026-11-23T12:00:00Z"));
    CHECK(end_of({}, at("2026-11-23T12:00:00Z")) == at("2026-11-23T12:00:00Z"));
    CHECK(end_of({TimeInterval{}}, at("2026-11-23T12:00:00Z")) == at("2026-12-24T12:00:00Z"));
}
