#include "schemas/otlp.h"
#include "schemas/otlp_json.h"
#include "schemas/otlp_json_usual.h"
#include "schemas/otlp_series.h"
#include "schemas/wire_cursor.h"

// opentelemetry/proto/metrics/v1/metrics.proto in JSON
namespace vigie::schemas::detail {

namespace {

constexpr std::uint64_t kNoRecordedValue = 1;  // DataPointFlags
constexpr RequestKeys kKeys{"resourceMetrics", "scopeMetrics", "metrics"};

template <class Read>
Status read_numbers_in(const Json& object, const char* key, const Place& place, Read read,
                       std::vector<double>& numbers) {
    VIGIE_TRY_ASSIGN(const Json* array, array_in(object, key, place));
    if (array == nullptr) return {};
    for (const Json& item : *array) {
        const auto number = read(item);
        if (!number) return refuse(place, key, "not an array of numbers");
        VIGIE_TRY(check_bucket_count(numbers.size()));
        numbers.push_back(static_cast<double>(*number));
    }
    return {};
}

class MetricsDecoder {
public:
    MetricsDecoder(Budget& budget, SampleSink& sink) : budget_(budget), sink_(sink) {}

    Status decode(std::string_view bytes) {
        return for_each_item(
            bytes, kKeys, budget_,
            [this](const Json& metric, const Labels& resource, const Place& place) {
                return read_metric(metric, resource, place);
            });
    }

    // What is wrong with the form of the body ends it; a metric that says nothing sensible is left
    // out.
    Status read_metric(const Json& metric, const Labels& resource, const Place& place) {
        VIGIE_TRY_ASSIGN(const auto name, text_in(metric, "name", place));
        if (name.empty()) return sink_.refuse(refuse(place, "name", "missing"));
        MetricWriter writer(sink_, clean_label(name, budget_));
        for (const char* kind : {"gauge", "sum", "histogram", "exponentialHistogram", "summary"}) {
            VIGIE_TRY_ASSIGN(const Json* of_kind, object_in(metric, kind, place));
            if (of_kind == nullptr) continue;
            VIGIE_TRY(read_kind(*of_kind, kind, resource, writer, {&place, kind, 0}));
        }
        return {};
    }

private:
    Status read_kind(const Json& metric, std::string_view of, const Labels& resource,
                     MetricWriter& writer, const Place& place) {
        VIGIE_TRY_ASSIGN(const std::int64_t number,
                         int_in(metric, "aggregationTemporality", place));
        const Temporality temporality = temporality_of(number);
        VIGIE_TRY_ASSIGN(const bool monotonic, bool_in(metric, "isMonotonic", place));
        MetricKind kind = MetricKind::kGauge;
        if (of == "sum") kind = kind_of_sum(temporality, monotonic);
        if (of == "histogram" || of == "exponentialHistogram") {
            kind = kind_of_histogram(temporality);
        }
        return for_each(metric, "dataPoints", place, [&](const Json& point, const Place& at) {
            return sink_.refuse(read_point(point, of, kind, resource, writer, at));
        });
    }

    Status read_point(const Json& point, std::string_view of, MetricKind kind,
                      const Labels& resource, MetricWriter& writer, const Place& at) {
        VIGIE_TRY_ASSIGN(Labels own, attributes_in(point, "attributes", at, budget_));
        VIGIE_TRY_ASSIGN(Labels merged, budget_.merge(resource, std::move(own)));
        const ReadyLabels labels(std::move(merged));
        PointHead head;
        head.hash = mix(mix(labels.hash(), writer.name_hash()), hash_of(of));
        VIGIE_TRY_ASSIGN(head.at, time_in(point, "timeUnixNano", at));
        VIGIE_TRY_ASSIGN(const std::uint64_t flags, uint_in(point, "flags", at));
        head.stale = (flags & kNoRecordedValue) != 0;
        Status written;
        if (of == "histogram") {
            VIGIE_TRY_ASSIGN(HistogramPoint histogram, read_histogram(point, at));
            histogram.head = head;
            written = writer.write_histogram(kind, histogram, labels);
        } else if (of == "exponentialHistogram") {
            VIGIE_TRY_ASSIGN(ExponentialPoint exponential, read_exponential(point, at));
            exponential.head = head;
            written = writer.write_exponential(kind, exponential, labels);
        } else if (of == "summary") {
            VIGIE_TRY_ASSIGN(SummaryPoint summary, read_summary(point, at));
            summary.head = head;
            written = writer.write_summary(summary, labels);
        } else {
            VIGIE_TRY_ASSIGN(const double value, read_number(point, at));
            written = writer.write_number(kind, head, labels, value);
        }
        if (written || written.error().kind == ErrorKind::kRefused) return written;
        return refuse(at, "", written.error().message);
    }

    static Result<double> read_number(const Json& point, const Place& place) {
        if (!has(point, "asInt")) return double_in(point, "asDouble", place);
        VIGIE_TRY_ASSIGN(const std::int64_t value, int_in(point, "asInt", place));
        return static_cast<double>(value);
    }

    static Result<double> count_in(const Json& point, const char* key, const Place& place) {
        VIGIE_TRY_ASSIGN(const std::uint64_t count, uint_in(point, key, place));
        return static_cast<double>(count);
    }

    static Result<std::optional<double>> read_sum(const Json& point, const Place& place) {
        if (!has(point, "sum")) return std::nullopt;
        VIGIE_TRY_ASSIGN(const double sum, double_in(point, "sum", place));
        return std::optional(sum);
    }

    static Result<HistogramPoint> read_histogram(const Json& json, const Place& place) {
        HistogramPoint point;
        VIGIE_TRY_ASSIGN(point.count, count_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, read_sum(json, place));
        VIGIE_TRY(read_numbers_in(json, "bucketCounts", place, read_uint, point.counts));
        VIGIE_TRY(read_numbers_in(json, "explicitBounds", place, read_double, point.bounds));
        return point;
    }

    static Status read_buckets(const Json& json, const char* key, const Place& place,
                               ExponentialBuckets& buckets) {
        VIGIE_TRY_ASSIGN(const Json* found, object_in(json, key, place));
        if (found == nullptr) return {};
        VIGIE_TRY_ASSIGN(const std::int64_t offset, int_in(*found, "offset", place));
        VIGIE_TRY_ASSIGN(buckets.offset, narrow(offset, "offset", place));
        return read_numbers_in(*found, "bucketCounts", place, read_uint, buckets.counts);
    }

    static Result<std::int32_t> narrow(std::int64_t number, const char* key, const Place& place) {
        if (number < std::numeric_limits<std::int32_t>::min() ||
            number > std::numeric_limits<std::int32_t>::max()) {
            return refuse(place, key, "not an integer of 32 bits");
        }
        return static_cast<std::int32_t>(number);
    }

    static Result<ExponentialPoint> read_exponential(const Json& json, const Place& place) {
        ExponentialPoint point;
        VIGIE_TRY_ASSIGN(point.count, count_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, read_sum(json, place));
        VIGIE_TRY_ASSIGN(const std::int64_t scale, int_in(json, "scale", place));
        VIGIE_TRY_ASSIGN(point.scale, narrow(scale, "scale", place));
        VIGIE_TRY_ASSIGN(point.zero_count, count_in(json, "zeroCount", place));
        VIGIE_TRY_ASSIGN(point.zero_threshold, double_in(json, "zeroThreshold", place));
        VIGIE_TRY(read_buckets(json, "positive", place, point.positive));
        VIGIE_TRY(read_buckets(json, "negative", place, point.negative));
        return point;
    }

    static Result<SummaryPoint> read_summary(const Json& json, const Place& place) {
        SummaryPoint point;
        VIGIE_TRY_ASSIGN(point.count, count_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, double_in(json, "sum", place));
        const Status read = for_each(
            json, "quantileValues", place, [&](const Json& item, const Place& at) -> Status {
                VIGIE_TRY(check_bucket_count(point.quantiles.size()));
                auto& [quantile, value] = point.quantiles.emplace_back();
                VIGIE_TRY_ASSIGN(quantile, double_in(item, "quantile", at));
                VIGIE_TRY_ASSIGN(value, double_in(item, "value", at));
                return {};
            });
        VIGIE_TRY(read);
        return point;
    }

    Budget& budget_;
    SampleSink& sink_;
};

}  // namespace

Status decode_json_metrics(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                           DecodedSamples& out) {
    {
        Budget budget(limits);
        SampleSink sink(budget, index, out);
        const auto read_other = [&](std::string_view metric, const Labels& resource) {
            const auto json = parse_json(metric);
            const std::size_t refused = out.refused;
            return json && MetricsDecoder(budget, sink).read_metric(*json, resource, Place{}) &&
                   out.refused == refused;
        };
        if (read_usual_json_metrics(bytes, budget, sink, read_other)) return {};
    }
    out.clear();
    Budget budget(limits);
    SampleSink sink(budget, index, out);
    return MetricsDecoder(budget, sink).decode(bytes);
}

}  // namespace vigie::schemas::detail
