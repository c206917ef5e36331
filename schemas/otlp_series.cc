#include "schemas/otlp_series.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace vigie::schemas::detail {

namespace {

// Finer exponential buckets are joined to this scale: four for each doubling. The bounds are then
// the same in every export, whatever scale the sender moves to.
constexpr std::int32_t kScaleMax = 2;
constexpr std::size_t kBucketsMax = 16'384;

MetricKind kind_of_histogram(Temporality temporality) {
    return kind_of_sum(temporality, true);
}

// Prometheus writes bounds as short as they can be read back: "0.5", "10", "+Inf".
std::string bound_text(double bound) {
    if (std::isinf(bound)) return bound > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", bound);
}

Labels with_label(const Labels& labels, std::string_view name, std::string value) {
    Labels all = labels;
    const auto at = std::ranges::lower_bound(
        all, name, {}, [](const auto& pair) { return std::string_view(pair.first); });
    if (at != all.end() && at->first == name) {
        at->second = std::move(value);
    } else {
        all.emplace(at, name, std::move(value));
    }
    return all;
}

// Counts of buckets by their upper bound.
using Buckets = std::map<double, std::uint64_t>;

void add_buckets(Buckets& buckets, const ExponentialBuckets& from, std::int32_t scale,
                 bool negative) {
    // Joining halves the index for each step of the scale, rounding down. Further than these
    // scales nothing changes: every index is 0 or -1, or every bound infinite.
    const int fine = std::clamp(scale, -2000, 64);
    const int steps = std::max(fine - kScaleMax, 0);
    const int exponent = -std::min(fine, kScaleMax);
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
        if (from.counts[i] == 0) continue;
        const std::int64_t index = (from.offset + static_cast<std::int64_t>(i)) >> steps;
        // The upper bound of a negative bucket is the one nearer to zero.
        const std::int64_t edge = negative ? index : index + 1;
        const double size = std::exp2(std::ldexp(static_cast<double>(edge), exponent));
        buckets[negative ? -size : size] += from.counts[i];
    }
}

}  // namespace

Temporality temporality_of(std::int64_t number) {
    if (number == 1) return Temporality::kDelta;
    if (number == 2) return Temporality::kCumulative;
    return Temporality::kUnspecified;
}

Status check_bucket_count(std::size_t count) {
    if (count < kBucketsMax) return {};
    return fail(ErrorKind::kInvalid, fmt::format("more than {} buckets in one point", kBucketsMax));
}

MetricKind kind_of_sum(Temporality temporality, bool monotonic) {
    if (temporality == Temporality::kUnspecified) return MetricKind::kUnknown;
    const bool counter = temporality == Temporality::kCumulative && monotonic;
    return counter ? MetricKind::kCounter : MetricKind::kGauge;
}

Status MetricWriter::write_number(MetricKind kind, const PointHead& head, double value) {
    const Point point{.at = head.at, .value = head.stale ? 0 : value, .stale = head.stale};
    return sink_.add(name_, head.labels, kind, point);
}

Status MetricWriter::write_totals(MetricKind kind, const PointHead& head, std::uint64_t count,
                                  std::optional<double> sum) {
    Point point{.at = head.at, .value = static_cast<double>(count), .stale = head.stale};
    if (head.stale) point.value = 0;
    VIGIE_TRY(sink_.add(name_ + "_count", head.labels, kind, point));
    if (!sum && !head.stale) return {};
    point.value = head.stale ? 0 : *sum;
    return sink_.add(name_ + "_sum", head.labels, kind, point);
}

Status MetricWriter::write_bucket(MetricKind kind, const PointHead& head, double bound,
                                  std::uint64_t count) {
    return sink_.add(name_ + "_bucket", with_label(head.labels, "le", bound_text(bound)), kind,
                     {.at = head.at, .value = static_cast<double>(count), .stale = false});
}

Status MetricWriter::write_histogram(Temporality temporality, const HistogramPoint& point) {
    const bool alone = point.counts.empty() && point.bounds.empty();
    if (!alone && point.counts.size() != point.bounds.size() + 1) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("histogram {}: {} buckets for {} bounds", name_,
                                point.counts.size(), point.bounds.size()));
    }
    if (std::ranges::adjacent_find(point.bounds, [](double a, double b) { return !(a < b); }) !=
        point.bounds.end()) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("histogram {}: the bounds do not ascend", name_));
    }
    const MetricKind kind = kind_of_histogram(temporality);
    VIGIE_TRY(write_totals(kind, point.head, point.count, point.sum));
    if (point.head.stale) return {};
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < point.bounds.size(); ++i) {
        below += point.counts[i];
        if (!std::isfinite(point.bounds[i])) continue;  // A last bound of infinity is the next one.
        VIGIE_TRY(write_bucket(kind, point.head, point.bounds[i], below));
    }
    return write_bucket(kind, point.head, HUGE_VAL, point.count);
}

Status MetricWriter::write_exponential(Temporality temporality, const ExponentialPoint& point) {
    const MetricKind kind = kind_of_histogram(temporality);
    VIGIE_TRY(write_totals(kind, point.head, point.count, point.sum));
    if (point.head.stale) return {};
    Buckets buckets;
    add_buckets(buckets, point.negative, point.scale, true);
    if (point.zero_count > 0) {
        buckets[std::isfinite(point.zero_threshold) ? point.zero_threshold : 0] += point.zero_count;
    }
    add_buckets(buckets, point.positive, point.scale, false);
    std::uint64_t below = 0;
    for (const auto& [bound, count] : buckets) {
        below += count;
        if (!std::isfinite(bound)) continue;  // What is beyond a double is in the last bucket.
        VIGIE_TRY(write_bucket(kind, point.head, bound, below));
    }
    return write_bucket(kind, point.head, HUGE_VAL, point.count);
}

Status MetricWriter::write_summary(const SummaryPoint& point) {
    VIGIE_TRY(write_totals(MetricKind::kCounter, point.head, point.count, point.sum));
    if (point.head.stale) return {};
    for (const auto& [quantile, value] : point.quantiles) {
        VIGIE_TRY(sink_.add(name_, with_label(point.head.labels, "quantile", bound_text(quantile)),
                            MetricKind::kGauge,
                            {.at = point.head.at, .value = value, .stale = false}));
    }
    return {};
}

}  // namespace vigie::schemas::detail
