#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "core/time.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rule_value.h"

namespace vigie::detectors::promql {

// The points of one series in the window (end - range, end], ascending.
struct Range {
    std::span<const RulePoint> points;
    EventTime end;
    std::chrono::milliseconds range{0};
};

// What a function of a range says of it, as Prometheus 3 computes it (promql/functions.go):
// rate, increase and delta extrapolate to the ends of the window, a counter that went down
// started again from zero. `parameter` is predict_linear's seconds, quantile_over_time's quantile.
// nullopt when there are too few points.
std::optional<double> over_range(Function function, const Range& range, double parameter);

// One bucket of a histogram: how many observations are at most `bound`.
struct Bucket {
    double bound = 0;
    double count = 0;
};
// Prometheus' histogram_quantile: linear inside a bucket. NaN without a bucket to infinity or
// without observations. `buckets` in any order, bounds may repeat.
double quantile_of_buckets(double q, std::vector<Bucket> buckets);

}  // namespace vigie::detectors::promql
