#include "detectors/rules/promql_range.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace vigie::detectors::promql {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A gap at an end of the window of more than this part of the usual gap: the series began or ended.
constexpr double kGapFactor = 1.1;

double seconds_between(EventTime from, EventTime to) {
    return std::chrono::duration<double>(to - from).count();
}

double counted(std::span<const RulePoint> points) {
    double total = points.back().value - points.front().value;
    for (std::size_t i = 1; i < points.size(); ++i) {
        if (points[i].value < points[i - 1].value) total += points[i - 1].value;
    }
    return total;
}

std::optional<double> extrapolated(const Range& range, bool counter, bool per_second) {
    const auto points = range.points;
    if (points.size() < 2) return std::nullopt;
    double result = counter ? counted(points) : points.back().value - points.front().value;
    const double sampled = seconds_between(points.front().at, points.back().at);
    const double gap = sampled / static_cast<double>(points.size() - 1);
    double to_start = seconds_between(range.end - range.range, points.front().at);
    double to_end = seconds_between(points.back().at, range.end);
    if (to_start >= gap * kGapFactor) to_start = gap / 2;
    if (counter && result > 0 && points.front().value >= 0) {
        // A counter did not begin below zero.
        to_start = std::min(to_start, sampled * (points.front().value / result));
    }
    if (to_end >= gap * kGapFactor) to_end = gap / 2;
    result *= (sampled + to_start + to_end) / sampled;
    if (per_second) result /= std::chrono::duration<double>(range.range).count();
    return result;
}

std::optional<double> instant(std::span<const RulePoint> points, bool rate) {
    if (points.size() < 2) return std::nullopt;
    const RulePoint& last = points.back();
    const RulePoint& before = points[points.size() - 2];
    const double difference =
        rate && last.value < before.value ? last.value : last.value - before.value;
    return rate ? difference / seconds_between(before.at, last.at) : difference;
}

struct Line {
    double slope = 0;
    double at_origin = 0;
};
// Least squares through the points, with times counted from `origin`.
Line line_through(std::span<const RulePoint> points, EventTime origin) {
    const auto n = static_cast<double>(points.size());
    double sum_x = 0;
    double sum_y = 0;
    double sum_xy = 0;
    double sum_xx = 0;
    for (const RulePoint& point : points) {
        const double x = seconds_between(origin, point.at);
        sum_x += x;
        sum_y += point.value;
        sum_xy += x * point.value;
        sum_xx += x * x;
    }
    const double slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    return {slope, sum_y / n - slope * sum_x / n};
}

double deviation(std::span<const RulePoint> points) {
    double mean = 0;
    double squares = 0;
    double count = 0;
    for (const RulePoint& point : points) {  // Welford, 1962.
        const double delta = point.value - mean;
        mean += delta / ++count;
        squares += delta * (point.value - mean);
    }
    return std::sqrt(squares / count);
}

double quantile_of_points(double q, std::span<const RulePoint> points) {
    if (std::isnan(q)) return kNaN;
    if (q < 0) return -kInfinity;
    if (q > 1) return kInfinity;
    std::vector<double> values;
    values.reserve(points.size());
    for (const RulePoint& point : points) values.push_back(point.value);
    std::ranges::sort(values);
    const double rank = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    const double weight = rank - std::floor(rank);
    return values[below] * (1 - weight) + values[above] * weight;
}

double folded(Function function, std::span<const RulePoint> points) {
    double sum = 0;
    double low = kInfinity;
    double high = -kInfinity;
    for (const RulePoint& point : points) {
        sum += point.value;
        low = std::min(low, point.value);
        high = std::max(high, point.value);
    }
    switch (function) {
        case Function::kMinOverTime: return low;
        case Function::kMaxOverTime: return high;
        case Function::kAvgOverTime: return sum / static_cast<double>(points.size());
        default: return sum;
    }
}

double steps(std::span<const RulePoint> points, bool only_down) {
    double count = 0;
    for (std::size_t i = 1; i < points.size(); ++i) {
        const double before = points[i - 1].value;
        const double now = points[i].value;
        if (only_down ? now < before : now != before) ++count;
    }
    return count;
}

}  // namespace

std::optional<double> over_range(Function function, const Range& range, double parameter) {
    const auto points = range.points;
    if (points.empty()) return std::nullopt;
    switch (function) {
        case Function::kRate: return extrapolated(range, true, true);
        case Function::kIncrease: return extrapolated(range, true, false);
        case Function::kDelta: return extrapolated(range, false, false);
        case Function::kIrate: return instant(points, true);
        case Function::kIdelta: return instant(points, false);
        case Function::kDeriv:
            if (points.size() < 2) return std::nullopt;
            return line_through(points, points.front().at).slope;
        case Function::kPredictLinear: {
            if (points.size() < 2) return std::nullopt;
            const Line line = line_through(points, range.end);
            return line.at_origin + line.slope * parameter;
        }
        case Function::kChanges: return steps(points, false);
        case Function::kResets: return steps(points, true);
        case Function::kAvgOverTime:
        case Function::kMinOverTime:
        case Function::kMaxOverTime:
        case Function::kSumOverTime: return folded(function, points);
        case Function::kCountOverTime: return static_cast<double>(points.size());
        case Function::kLastOverTime: return points.back().value;
        case Function::kPresentOverTime: return 1;
        case Function::kQuantileOverTime: return quantile_of_points(parameter, points);
        case Function::kStddevOverTime: return deviation(points);
        default: return std::nullopt;
    }
}

double quantile_of_buckets(double q, std::vector<Bucket> buckets) {
    if (std::isnan(q)) return kNaN;
    if (q < 0) return -kInfinity;
    if (q > 1) return kInfinity;
    std::ranges::sort(buckets, {}, &Bucket::bound);
    std::vector<Bucket> merged;
    merged.reserve(buckets.size());
    for (const Bucket& bucket : buckets) {
        if (!merged.empty() && merged.back().bound == bucket.bound) {
            merged.back().count += bucket.count;
        } else {
            merged.push_back(bucket);
        }
    }
    if (merged.size() < 2 || !std::isinf(merged.back().bound)) return kNaN;
    for (std::size_t i = 1; i < merged.size(); ++i) {
        merged[i].count = std::max(merged[i].count, merged[i - 1].count);
    }
    const double total = merged.back().count;
    if (!(total > 0)) return kNaN;
    const double rank = q * total;
    std::size_t at = 0;
    while (at + 1 < merged.size() && merged[at].count < rank) ++at;
    if (at + 1 == merged.size()) return merged[at - 1].bound;
    if (at == 0 && merged[0].bound <= 0) return merged[0].bound;
    const double from = at == 0 ? 0 : merged[at - 1].bound;
    const double below = at == 0 ? 0 : merged[at - 1].count;
    return from + (merged[at].bound - from) * ((rank - below) / (merged[at].count - below));
}

}  // namespace vigie::detectors::promql
