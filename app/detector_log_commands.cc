#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/log_text.h"
#include "app/series_csv.h"
#include "detectors/match.h"
#include "detectors/rules/propose.h"
#include "detectors/traces/traces.h"
#include "detectors/words.h"
#include "schemas/topics.h"

// Commands of `vigie detector` that read a recorded log, or files instead.
namespace vigie::app {

namespace {

using schemas::Json;

constexpr std::size_t kPointsMax = 20'000'000;
constexpr std::size_t kSeriesMax = 10'000;

struct Span {
    std::optional<EventTime> from;
    std::optional<EventTime> to;

    static Result<Span> parse(const std::optional<std::string>& from,
                              const std::optional<std::string>& to) {
        Span span;
        if (from) {
            VIGIE_TRY_ASSIGN(span.from, parse_rfc3339(*from));
        }
        if (to) {
            VIGIE_TRY_ASSIGN(span.to, parse_rfc3339(*to));
        }
        return span;
    }
};

// Calls `visit` with the items of each record of a topic; what cannot be decoded is counted.
template <class Decode, class Visit>
Result<std::size_t> read_topic(const LogPlace& place, std::string_view topic, const Span& span,
                               Decode decode, Visit visit) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(place, LogAccess::Intent::kLook));
    VIGIE_TRY_ASSIGN(const std::int32_t count, access->bus().partition_count(topic));
    std::size_t undecoded = 0;
    for (std::int32_t index = 0; index < count; ++index) {
        const streams::Partition partition{std::string(topic), index};
        streams::Offset from = 0;
        if (span.from) {
            VIGIE_TRY_ASSIGN(from, streams::find_offset(access->bus(), partition, *span.from));
        }
        VIGIE_TRY(for_each_record(
            access->bus(), partition, from, [&](const streams::Record& record) -> Result<bool> {
                const streams::Message& message = record.message;
                if (span.to && message.event_time >= *span.to) return false;
                if (header_of(message, schemas::topics::kHeaderKind) ==
                    schemas::topics::kKindTick) {
                    return visit({}, message.event_time);
                }
                const auto named = header_of(message, schemas::topics::kHeaderContentType);
                auto items =
                    decode(message.value, named.empty() ? schemas::kContentOtlpProtobuf : named,
                           header_of(message, schemas::topics::kHeaderContentEncoding),
                           schemas::DecodeLimits{});
                if (!items) {
                    ++undecoded;
                    return true;
                }
                return visit(*std::move(items), message.event_time);
            }));
    }
    return undecoded;
}

Status show_map(const DetectorMapCommand& command) {
    VIGIE_TRY_ASSIGN(const Span span, Span::parse(command.from, command.to));
    VIGIE_TRY_ASSIGN(const auto detector, detectors::make_trace_detector({}));
    detectors::Findings found;
    EventTime now{};
    VIGIE_TRY_ASSIGN(
        const std::size_t undecoded,
        read_topic(command.place, schemas::topics::kSpans, span, schemas::decode_traces,
                   [&](const std::vector<schemas::Span>& spans, EventTime at) -> Result<bool> {
                       now = std::max(now, at);
                       detector->observe(spans, found);
                       detector->advance(now, found);
                       found = {};
                       return true;
                   }));
    detector->advance(now + std::chrono::minutes{2}, found);  // What is left is over.
    std::vector<std::vector<std::string>> rows{
        {"CALLER", "CALLEE", "CALLS", "ERRORS", "FIRST", "LAST"}};
    Json all = Json::array();
    for (const auto& [edge, stats] : detectors::service_map_of(*detector)) {
        rows.push_back({printable(edge.first), printable(edge.second), std::to_string(stats.calls),
                        std::to_string(stats.errors), to_rfc3339(stats.first_at),
                        to_rfc3339(stats.last_at)});
        all.push_back({{"caller", edge.first},
                       {"callee", edge.second},
                       {"calls", stats.calls},
                       {"errors", stats.errors},
                       {"first", to_rfc3339(stats.first_at)},
                       {"last", to_rfc3339(stats.last_at)}});
    }
    std::cout << (command.format == Format::kTable ? table(rows) : formatted(all, command.format));
    for (const auto& [reason, number] : detector->counts().dropped) {
        fmt::print(stderr, "vigie: {} spans not counted: {}\n", number, reason);
    }
    if (undecoded > 0) fmt::print(stderr, "vigie: {} records could not be decoded\n", undecoded);
    return {};
}

using Points = std::vector<detectors::RulePoint>;

Status too_many() {
    return fail(ErrorKind::kInvalid,
                fmt::format("more than {} points or {} series: choose fewer, or a shorter time",
                            kPointsMax, kSeriesMax));
}

Result<std::vector<Points>> points_of_files(const std::vector<std::string>& files) {
    std::vector<Points> series;
    std::size_t total = 0;
    for (const auto& path : files) {
        VIGIE_TRY_ASSIGN(auto file, SeriesFile::open(path));
        std::map<EventTime, double> points;
        while (true) {
            VIGIE_TRY_ASSIGN(const auto row, file.next());
            if (!row) break;
            if (row->value) points[row->at] = *row->value;
            if (++total > kPointsMax) VIGIE_TRY(too_many());
        }
        Points& ordered = series.emplace_back();
        ordered.reserve(points.size());
        for (const auto& [at, value] : points) ordered.push_back({at, value});
    }
    return series;
}

struct Recorded {
    std::string metric;
    schemas::MetricKind kind = schemas::MetricKind::kUnknown;
    std::map<EventTime, double> points;

    // As the detectors take it.
    bool counts() const {
        return kind == schemas::MetricKind::kCounter ||
               (kind == schemas::MetricKind::kUnknown && detectors::counter_by_name(metric));
    }
};

Result<std::vector<Points>> points_of_log(const DetectorProposeCommand& command) {
    VIGIE_TRY_ASSIGN(const Span span, Span::parse(command.from, command.to));
    VIGIE_TRY_ASSIGN(const auto pattern, detectors::parse_pattern(command.metric));
    std::map<std::string, Recorded> found;
    std::size_t total = 0;
    VIGIE_TRY(
        read_topic(command.place, schemas::topics::kMetrics, span, schemas::decode_metrics,
                   [&](const std::vector<schemas::TimeSeries>& batch, EventTime) -> Result<bool> {
                       for (const auto& each : batch) {
                           if (!detectors::matches(pattern, each.metric, each.labels)) continue;
                           auto& recorded = found[schemas::to_string(each.metric, each.labels)];
                           recorded.metric = each.metric;
                           if (each.kind != schemas::MetricKind::kUnknown)
                               recorded.kind = each.kind;
                           for (const auto& point : each.points) {
                               if (!point.stale && std::isfinite(point.value))
                                   recorded.points[point.at] = point.value;
                           }
                           total += each.points.size();
                           if (total > kPointsMax || found.size() > kSeriesMax)
                               return fail(too_many().error());
                       }
                       return true;
                   }));
    if (found.empty()) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("the log has no series '{}'", command.metric));
    }
    std::vector<Points> series;
    series.reserve(found.size());
    std::size_t counters = 0;
    for (const auto& [name, recorded] : found) {
        Points& ordered = series.emplace_back();
        ordered.reserve(recorded.points.size());
        for (const auto& [at, value] : recorded.points) ordered.push_back({at, value});
        if (!recorded.counts()) continue;
        ordered = detectors::rates_of(ordered);
        ++counters;
    }
    if (counters > 0) {
        fmt::print(stderr,
                   "vigie: {} of {} series are counters: of those the threshold is of the rate per "
                   "second between two points, as with `aggregation: rate`\n",
                   counters, series.size());
    }
    return series;
}

// What the data is too short to tell.
void warn_of_short(const std::vector<Points>& series, const detectors::ProposeOptions& options,
                   const std::vector<detectors::Proposal>& proposals) {
    using Days = std::chrono::duration<double, std::ratio<86'400>>;
    EventClock::duration longest{0};
    Days days{0};
    for (const auto& points : series) {
        if (points.empty()) continue;
        const auto span = points.back().at - points.front().at;
        longest = std::max(longest, span);
        days += span;
    }
    if (longest <= options.hold) {
        fmt::print(stderr,
                   "vigie: the longest series has {}: nothing in it can hold --for {}, so these "
                   "thresholds say nothing\n",
                   detectors::span_text(longest), vigie::to_string(options.hold));
    }
    std::string without;
    for (const double budget : options.alarms_per_day) {
        if (std::ranges::find(proposals, budget, &detectors::Proposal::budget_per_day) ==
            proposals.end()) {
            without += fmt::format("{}{:.3g}", without.empty() ? "" : ", ", budget);
        }
    }
    if (without.empty()) return;
    fmt::print(
        stderr,
        "vigie: no row for a budget of {} a day: the threshold is that of a smaller one (the "
        "data has {:.3g} days of series)\n",
        without, days.count());
}

Status propose(const DetectorProposeCommand& command) {
    if (command.files.empty() == command.metric.empty()) {
        return fail(ErrorKind::kInvalid,
                    "name either CSV files, or a metric of the log by --metric");
    }
    detectors::ProposeOptions options;
    options.above = !command.below;
    if (!command.hold.empty()) {
        const auto hold = parse_duration(command.hold);
        if (!hold) {
            return fail(ErrorKind::kInvalid, "--for: write a duration such as 5m or 1h30m");
        }
        options.hold = *hold;
    }
    if (!command.alarms_per_day.empty()) options.alarms_per_day = command.alarms_per_day;
    VIGIE_TRY_ASSIGN(const auto series, command.metric.empty() ? points_of_files(command.files)
                                                               : points_of_log(command));
    VIGIE_TRY_ASSIGN(const auto proposals, detectors::propose_thresholds(series, options));
    warn_of_short(series, options, proposals);
    std::vector<std::vector<std::string>> rows{
        {"COMPARE", "THRESHOLD", "BUDGET/DAY", "ALARMS", "PER DAY", "FIRING", "LATER HALF/DAY"}};
    Json all = Json::array();
    const char* const compare = command.below ? "<" : ">";
    for (const auto& each : proposals) {
        rows.push_back({compare, fmt::format("{:.4g}", each.threshold),
                        fmt::format("{:.3g}", each.budget_per_day), std::to_string(each.alarms),
                        fmt::format("{:.3g}", each.alarms_per_day),
                        fmt::format("{:.2g} %", 100 * each.firing_ratio),
                        fmt::format("{:.3g}", each.later_per_day)});
        all.push_back({{"compare", compare},
                       {"threshold", each.threshold},
                       {"budget_per_day", each.budget_per_day},
                       {"alarms", each.alarms},
                       {"alarms_per_day", each.alarms_per_day},
                       {"firing_ratio", each.firing_ratio},
                       {"later_half_alarms_per_day", each.later_per_day}});
    }
    std::cout << (command.format == Format::kTable ? table(rows) : formatted(all, command.format));
    return {};
}

int outcome(const char* command, const Status& done) {
    std::cout.flush();
    if (done) return 0;
    fmt::print(stderr, "vigie: detector {}: {}\n", command, done.error().message);
    return 1;
}

}  // namespace

int run_detector_service_map(const DetectorMapCommand& command) {
    return outcome("service-map", show_map(command));
}

int run_detector_propose(const DetectorProposeCommand& command) {
    return outcome("propose", propose(command));
}

}  // namespace vigie::app
