#include "app/route_config.h"

#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "schemas/matchers.h"

namespace vigie::app {

namespace {

using Intervals = std::map<std::string, std::vector<schemas::TimeInterval>>;

std::set<std::string> names_of(const OutwardConfig& config) {
    std::set<std::string> names;
    for (const auto& options : config.slack) names.insert(options.channel.name);
    for (const auto& options : config.pagerduty) names.insert(options.channel.name);
    for (const auto& options : config.webhooks) names.insert(options.channel.name);
    return names;
}

Intervals read_intervals(Section& root) {
    Intervals intervals;
    root.each("time_intervals", [&](Section& section) {
        const auto name = section.text("name");
        if (name.empty()) section.complain("name", "is missing");
        if (intervals.contains(name)) {
            section.complain("name", fmt::format("two intervals are named '{}'", name));
        }
        auto& all = intervals[name];
        section.each("time_intervals",
                     [&](Section& part) { all.push_back(read_time_interval(part)); });
        if (all.empty()) section.complain("time_intervals", "must have at least one");
    });
    return intervals;
}

notify::Route read_route(Section& section, const std::set<std::string>& channels,
                         const Intervals& intervals) {
    notify::Route route;
    for (const auto& text : section.texts("matchers")) {
        auto matchers = schemas::parse_matchers(text);
        if (!matchers) {
            section.complain("matchers", matchers.error().message);
            continue;
        }
        for (auto& matcher : *matchers) {
            if (matcher.name != "severity" && matcher.name != "kind" &&
                matcher.name != schemas::kEntityLabel) {
                section.complain(
                    "matchers",
                    fmt::format("'{}' is none of severity, kind and vigie_entity", matcher.name));
            }
            route.matchers.push_back(std::move(matcher));
        }
    }
    if (!section.has("channels")) section.complain("channels", "is missing; [] is nobody");
    route.channels = section.texts("channels");
    for (const auto& name : route.channels) {
        if (!channels.contains(name)) {
            section.complain("channels", fmt::format("there is no channel '{}'", name));
        }
    }
    route.go_on = section.boolean("continue", false);
    for (const auto& name : section.texts("mute_time_intervals")) {
        const auto found = intervals.find(name);
        if (found == intervals.end()) {
            section.complain("mute_time_intervals", fmt::format("there is no interval '{}'", name));
            continue;
        }
        route.mute.insert(route.mute.end(), found->second.begin(), found->second.end());
    }
    return route;
}

}  // namespace

schemas::TimeInterval read_time_interval(Section& section) {
    schemas::TimeInterval interval;
    section.each("times", [&](Section& part) {
        const auto times = schemas::parse_day_times(part.text("start_time"), part.text("end_time"));
        if (times) {
            interval.times.push_back(*times);
        } else {
            part.complain("", times.error().message);
        }
    });
    const auto spans = [&](std::string_view key, auto parse, std::vector<schemas::Span16>& out) {
        for (const auto& text : section.texts(key)) {
            const auto span = parse(text);
            if (span) {
                out.push_back(*span);
            } else {
                section.complain(key, span.error().message);
            }
        }
    };
    spans("weekdays", schemas::parse_weekdays, interval.weekdays);
    spans("days_of_month", schemas::parse_days_of_month, interval.days_of_month);
    spans("months", schemas::parse_months, interval.months);
    spans("years", schemas::parse_years, interval.years);
    const auto location = section.text("location", "UTC");
    if (location != "UTC") section.complain("location", "must be UTC: no other is known");
    return interval;
}

void read_routes(Section& section, OutwardConfig& config) {
    const auto intervals = read_intervals(section);
    const auto channels = names_of(config);
    std::vector<notify::Route> routes;
    section.each("routes",
                 [&](Section& part) { routes.push_back(read_route(part, channels, intervals)); });
    if (routes.empty()) return;
    auto made = notify::Routes::create(std::move(routes));
    if (!made) {
        section.complain("routes", made.error().message);
        return;
    }
    config.routes = std::make_shared<const notify::Routes>(*std::move(made));
}

}  // namespace vigie::app
