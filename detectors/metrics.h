#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "core/result.h"
#include "detectors/deep_tier.h"
#include "detectors/detector.h"
#include "detectors/metric_policy.h"
#include "detectors/noise.h"
#include "schemas/events.h"

namespace vigie::detectors {

// Which series are watched, and when they count as odd.
struct MetricsOptions {
    // Patterns as in detectors/match.h; a series is watched when one of `select` and none of
    // `ignore` matches it. Buckets are left to quantile rules, constants and "up" to rules.
    std::vector<std::string> select{"*"};
    // An overflow series is a sum over series that come and go.
    std::vector<std::string> ignore{"*_bucket",
                                    "*_created",
                                    "*_info",
                                    "up",
                                    "scrape_*",
                                    "ALERTS*",
                                    "*{otel_metric_overflow=true}"};
    std::size_t series_max = 1'000'000;

    // Cold start: a series is judged once it has both. No anomaly comes from before.
    std::uint32_t warmup_points = 60;
    std::chrono::seconds warmup_span{3600};

    double threshold = 6;            // Multiples of the usual spread.
    double spread_ratio_min = 0.02;  // The spread is taken as at least this share of the level.
    double spread_min = 0;           // And at least this, in the unit of the series.
    std::uint32_t odd_points = 3;    // In a row, on the same side, to begin.
    std::uint32_t calm_points = 5;   // In a row, well inside, to end.
    bool seasonal = true;            // Learn the hours of a day where that predicts better.
    Direction direction = Direction::kBoth;

    // A level that stays odd for so long is the new normal.
    std::chrono::seconds adapt_after{1800};
    // An anomaly whose series sent nothing for so long is no longer judged, and says so. When the
    // series is back, calm_points tell that it is over.
    std::chrono::seconds end_after{300};
    // A series that sent nothing for so long makes room for a new one.
    std::chrono::seconds idle_after{3600};

    schemas::Severity severity = schemas::Severity::kInfo;  // Evidence only.

    std::vector<SeriesRule> rules;  // Series that are judged otherwise. At most 1,000.
    DeepOptions deep;
    NoiseOptions noise;
    // Histograms that are judged by their 95 % quantile, from NAME_bucket; 0: none.
    std::size_t histograms_max = 20'000;
    std::size_t joint_entities_max = 2'000;  // Whose deep series are judged together; 0: none.
};

// Judges each series against its own robust level, spread and season, causally
// (light_series.h), those that deserve it by the deep detector too (deep_tier.h), and the deep ones
// of an entity together (joint.h): detectors "seasonal", "deep" and "joint". What they find is told
// as far as the noise gate lets it (noise.h). Counters are judged by their rate. Above `series_max`
// a new series takes the place of the one that has been idle longest, if that is longer than
// `idle_after`, and is refused otherwise (counted as "series_max"; "forgotten": a series whose
// anomaly fell silent made room). kInvalid names the option that is wrong.
Result<std::unique_ptr<Detector>> make_metrics_detector(MetricsOptions options);

// What Vigie tells about its detectors, from Detector::counts(), label `family`; dropped also
// has the label `reason`.
inline constexpr MetricName kTracked{"vigie_detectors_tracked_items",
                                     "Series, services and templates that detectors remember."};
inline constexpr MetricName kDropped{"vigie_detectors_dropped_items_total",
                                     "Items that detectors could not judge, by reason."};
inline constexpr MetricName kEvents{
    "vigie_detectors_events_total",
    "Series moved between the light and the deep detector, and alarms held back, by event."};
inline constexpr MetricName kHeld{"vigie_detectors_held_items",
                                  "What detectors hold beside series, in number or bytes."};

}  // namespace vigie::detectors
