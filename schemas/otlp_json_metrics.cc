#include "schemas/otlp.h"
#include "schemas/otlp_json.h"
#include "schemas/otlp_series.h"

// opentelemetry/proto/metrics/v1/metrics.proto in JSON
namespace vigie::schemas::detail {

namespace {

constexpr std::uint64_t kNoRecordedValue = 1;  // DataPointFlags
constexpr RequestKeys kKeys{"resourceMetrics", "scopeMetrics", "metrics"};

template <class Number, class Read>
Status read_numbers_in(const Json& object, const char* key, const Place& place, Read read,
                       std::vector<Number>& numbers) {
    VIGIE_TRY_ASSIGN(const Json* array, array_in(object, key, place));
    if (array == nullptr) return {};
    numbers.reserve(array->size());
    for (const Json& item : *array) {
        const auto number = read(item);
        if (!number) return refuse(place, key, "not an array of numbers");
        numbers.push_back(*number);
    }
    return {};
}

class MetricsDecoder {
public:
    explicit MetricsDecoder(const DecodeLimits& limits) : budget_(limits), sink_(budget_) {}

    Result<std::vector<TimeSeries>> decode(std::string_view bytes) {
        VIGIE_TRY(
            for_each_item(bytes, kKeys, budget_,
                          [this](const Json& metric, const Labels& resource, const Place& place) {
                              return read_metric(metric, resource, place);
                          }));
        return sink_.take();
    }

private:
    Status read_metric(const Json& metric, const Labels& resource, const Place& place) {
        VIGIE_TRY_ASSIGN(const auto name, text_in(metric, "name", place));
        if (name.empty()) return refuse(place, "name", "missing");
        MetricWriter writer(sink_, clean_label(name, budget_));
        for (const char* kind : {"gauge", "sum", "histogram", "exponentialHistogram", "summary"}) {
            VIGIE_TRY_ASSIGN(const Json* of_kind, object_in(metric, kind, place));
            if (of_kind == nullptr) continue;
            VIGIE_TRY(read_kind(*of_kind, kind, resource, writer, {&place, kind, 0}));
        }
        return {};
    }

    Status read_kind(const Json& metric, std::string_view kind, const Labels& resource,
                     MetricWriter& writer, const Place& place) {
        VIGIE_TRY_ASSIGN(const std::int64_t number,
                         int_in(metric, "aggregationTemporality", place));
        const Temporality temporality = temporality_of(number);
        VIGIE_TRY_ASSIGN(const bool monotonic, bool_in(metric, "isMonotonic", place));
        const MetricKind number_kind =
            kind == "sum" ? kind_of_sum(temporality, monotonic) : MetricKind::kGauge;
        return for_each(metric, "dataPoints", place,
                        [&](const Json& point, const Place& at) -> Status {
                            VIGIE_TRY_ASSIGN(PointHead head, read_head(point, resource, at));
                            if (kind == "histogram")
                                return read_histogram(point, head, temporality, writer, at);
                            if (kind == "exponentialHistogram") {
                                return read_exponential(point, head, temporality, writer, at);
                            }
                            if (kind == "summary") return read_summary(point, head, writer, at);
                            return read_number(point, head, number_kind, writer, at);
                        });
    }

    Result<PointHead> read_head(const Json& point, const Labels& resource, const Place& place) {
        PointHead head;
        VIGIE_TRY_ASSIGN(head.at, time_in(point, "timeUnixNano", place));
        VIGIE_TRY_ASSIGN(Labels attributes, attributes_in(point, "attributes", place, budget_));
        VIGIE_TRY_ASSIGN(head.labels, budget_.merge(resource, std::move(attributes)));
        VIGIE_TRY_ASSIGN(const std::uint64_t flags, uint_in(point, "flags", place));
        head.stale = (flags & kNoRecordedValue) != 0;
        return head;
    }

    static Status read_number(const Json& point, const PointHead& head, MetricKind kind,
                              MetricWriter& writer, const Place& place) {
        if (has(point, "asInt")) {
            VIGIE_TRY_ASSIGN(const std::int64_t value, int_in(point, "asInt", place));
            return writer.write_number(kind, head, static_cast<double>(value));
        }
        VIGIE_TRY_ASSIGN(const double value, double_in(point, "asDouble", place));
        return writer.write_number(kind, head, value);
    }

    static Result<std::optional<double>> read_sum(const Json& point, const Place& place) {
        if (!has(point, "sum")) return std::nullopt;
        VIGIE_TRY_ASSIGN(const double sum, double_in(point, "sum", place));
        return std::optional(sum);
    }

    static Status read_histogram(const Json& json, const PointHead& head, Temporality temporality,
                                 MetricWriter& writer, const Place& place) {
        HistogramPoint point;
        point.head = head;
        VIGIE_TRY_ASSIGN(point.count, uint_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, read_sum(json, place));
        VIGIE_TRY(read_numbers_in(json, "bucketCounts", place, read_uint, point.counts));
        VIGIE_TRY(read_numbers_in(json, "explicitBounds", place, read_double, point.bounds));
        const Status written = writer.write_histogram(temporality, point);
        if (!written) return refuse(place, "", written.error().message);
        return {};
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

    static Status read_exponential(const Json& json, const PointHead& head, Temporality temporality,
                                   MetricWriter& writer, const Place& place) {
        ExponentialPoint point;
        point.head = head;
        VIGIE_TRY_ASSIGN(point.count, uint_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, read_sum(json, place));
        VIGIE_TRY_ASSIGN(const std::int64_t scale, int_in(json, "scale", place));
        VIGIE_TRY_ASSIGN(point.scale, narrow(scale, "scale", place));
        VIGIE_TRY_ASSIGN(point.zero_count, uint_in(json, "zeroCount", place));
        VIGIE_TRY_ASSIGN(point.zero_threshold, double_in(json, "zeroThreshold", place));
        VIGIE_TRY(read_buckets(json, "positive", place, point.positive));
        VIGIE_TRY(read_buckets(json, "negative", place, point.negative));
        return writer.write_exponential(temporality, point);
    }

    static Status read_summary(const Json& json, const PointHead& head, MetricWriter& writer,
                               const Place& place) {
        SummaryPoint point;
        point.head = head;
        VIGIE_TRY_ASSIGN(point.count, uint_in(json, "count", place));
        VIGIE_TRY_ASSIGN(point.sum, double_in(json, "sum", place));
        VIGIE_TRY(for_each(json, "quantileValues", place,
                           [&](const Json& item, const Place& at) -> Status {
                               auto& [quantile, value] = point.quantiles.emplace_back();
                               VIGIE_TRY_ASSIGN(quantile, double_in(item, "quantile", at));
                               VIGIE_TRY_ASSIGN(value, double_in(item, "value", at));
                               return {};
                           }));
        return writer.write_summary(point);
    }

    Budget budget_;
    SeriesSink sink_;
};

}  // namespace

Result<std::vector<TimeSeries>> decode_json_metrics(std::string_view bytes,
                                                    const DecodeLimits& limits) {
    return MetricsDecoder(limits).decode(bytes);
}

}  // namespace vigie::schemas::detail
