#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/sample_sink.h"

// OTLP data points without their encoding, and how they become series. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// opentelemetry.proto.metrics.v1.AggregationTemporality
enum class Temporality : std::uint8_t { kUnspecified, kDelta, kCumulative };
Temporality temporality_of(std::int64_t number);

// The labels of a point and its resource, merged; made when its series is new.
class PointLabels {
public:
    PointLabels() = default;
    PointLabels(const PointLabels&) = delete;
    PointLabels& operator=(const PointLabels&) = delete;
    virtual ~PointLabels() = default;
    virtual Result<Labels> labels() const = 0;
};

// Labels that are there already.
class ReadyLabels final : public PointLabels {
public:
    explicit ReadyLabels(Labels labels) : labels_(std::move(labels)) {}
    Result<Labels> labels() const override { return labels_; }
    std::uint64_t hash() const;

private:
    Labels labels_;
};

struct PointHead {
    EventTime at;
    std::uint64_t hash = 0;  // Of what names the point, its metric and resource
    bool stale = false;
};

struct HistogramPoint {
    PointHead head;
    double count = 0;
    std::optional<double> sum;
    std::vector<double> counts;  // Of each bucket alone; one more than bounds, or none.
    std::vector<double> bounds;
};

// Bucket i of `counts` is (base^(offset+i), base^(offset+i+1)] with base = 2^(2^-scale).
struct ExponentialBuckets {
    std::int64_t offset = 0;
    std::vector<double> counts;
};

struct ExponentialPoint {
    PointHead head;
    double count = 0;
    std::optional<double> sum;
    std::int32_t scale = 0;
    double zero_count = 0;
    double zero_threshold = 0;
    ExponentialBuckets positive;
    ExponentialBuckets negative;
};

struct SummaryPoint {
    PointHead head;
    double count = 0;
    double sum = 0;
    std::vector<std::pair<double, double>> quantiles;  // Quantile and its value.
};

// kInvalid when one point has so many buckets or quantiles already that no honest sender has more:
// a byte of input can become many of memory here.
Status check_bucket_count(std::size_t count);

MetricKind kind_of_sum(Temporality temporality, bool monotonic);
MetricKind kind_of_histogram(Temporality temporality);

// Writes the points of one metric as the series that Prometheus would have. A point that is refused
// has written nothing. `name` and what is given for labels must outlive the call.
class MetricWriter {
public:
    MetricWriter(SampleSink& sink, std::string name);

    // Of the name alone, to begin the hash of a point with.
    std::uint64_t name_hash() const { return name_hash_; }

    Status write_number(MetricKind kind, const PointHead& head, const PointLabels& labels,
                        double value);
    Status write_histogram(MetricKind kind, const HistogramPoint& point, const PointLabels& labels);
    Status write_exponential(MetricKind kind, const ExponentialPoint& point,
                             const PointLabels& labels);
    Status write_summary(const SummaryPoint& point, const PointLabels& labels);

private:
    // A series of a metric: NAME, NAME_count, NAME_bucket{le=}.
    struct Part {
        std::string_view suffix;
        std::string_view label;  // "" when it has no label of its own
        double label_value = 0;
    };
    Status write(const Part& part, MetricKind kind, const PointHead& head,
                 const PointLabels& labels, double value);
    Status write_totals(MetricKind kind, const PointHead& head, const PointLabels& labels,
                        double count, std::optional<double> sum);
    Status write_bucket(MetricKind kind, const PointHead& head, const PointLabels& labels,
                        double bound, double count);
    Status write_bounds(MetricKind kind, const HistogramPoint& point, const PointLabels& labels);
    Status write_scaled(MetricKind kind, const ExponentialPoint& point, const PointLabels& labels);
    Status write_quantiles(const SummaryPoint& point, const PointLabels& labels);
    Status whole(const SampleSink::Mark& mark, Status status);

    SampleSink& sink_;
    std::string name_;
    std::uint64_t name_hash_;
};

}  // namespace vigie::schemas::detail
