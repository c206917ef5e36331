#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/budget.h"

// OTLP data points without their encoding, and how they become series. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// opentelemetry.proto.metrics.v1.AggregationTemporality
enum class Temporality : std::uint8_t { kUnspecified, kDelta, kCumulative };
Temporality temporality_of(std::int64_t number);

struct PointHead {
    EventTime at;
    Labels labels;  // Of the point and its resource, merged.
    bool stale = false;
};

struct HistogramPoint {
    PointHead head;
    std::uint64_t count = 0;
    std::optional<double> sum;
    std::vector<std::uint64_t> counts;  // Of each bucket alone; one more than bounds, or none.
    std::vector<double> bounds;
};

// Bucket i of `counts` is (base^(offset+i), base^(offset+i+1)] with base = 2^(2^-scale).
struct ExponentialBuckets {
    std::int32_t offset = 0;
    std::vector<std::uint64_t> counts;
};

struct ExponentialPoint {
    PointHead head;
    std::uint64_t count = 0;
    std::optional<double> sum;
    std::int32_t scale = 0;
    std::uint64_t zero_count = 0;
    double zero_threshold = 0;
    ExponentialBuckets positive;
    ExponentialBuckets negative;
};

struct SummaryPoint {
    PointHead head;
    std::uint64_t count = 0;
    double sum = 0;
    std::vector<std::pair<double, double>> quantiles;  // Quantile and its value.
};

// kInvalid when one point has so many buckets or quantiles already that no honest sender has more:
// a byte of input can become many of memory here.
Status check_bucket_count(std::size_t count);

MetricKind kind_of_sum(Temporality temporality, bool monotonic);

// Writes the points of one metric as the series that Prometheus would have.
class MetricWriter {
public:
    MetricWriter(SeriesSink& sink, std::string name) : sink_(sink), name_(std::move(name)) {}

    Status write_number(MetricKind kind, const PointHead& head, double value);
    Status write_histogram(Temporality temporality, const HistogramPoint& point);
    Status write_exponential(Temporality temporality, const ExponentialPoint& point);
    Status write_summary(const SummaryPoint& point);

private:
    Status write_totals(MetricKind kind, const PointHead& head, std::uint64_t count,
                        std::optional<double> sum);
    Status write_bucket(MetricKind kind, const PointHead& head, double bound, std::uint64_t count);

    SeriesSink& sink_;
    std::string name_;
};

}  // namespace vigie::schemas::detail
