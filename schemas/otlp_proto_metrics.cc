#include "schemas/otlp.h"
#include "schemas/otlp_proto.h"
#include "schemas/otlp_series.h"

// opentelemetry/proto/metrics/v1/metrics.proto
namespace vigie::schemas::detail {

namespace {

constexpr std::uint64_t kNoRecordedValue = 1;  // DataPointFlags

constexpr auto kName = message_tag(1);
constexpr auto kGauge = message_tag(5);
constexpr auto kSum = message_tag(7);
constexpr auto kHistogram = message_tag(9);
constexpr auto kExponential = message_tag(10);
constexpr auto kSummary = message_tag(11);
constexpr auto kPoints = message_tag(1);
constexpr auto kTemporality = varint_tag(2);
constexpr auto kMonotonic = varint_tag(3);
constexpr auto kTime = fixed64_tag(3);  // The same in all points, as are count and sum.
constexpr auto kCount = fixed64_tag(4);
constexpr auto kSumValue = fixed64_tag(5);

// Fields that differ between the kinds of points.
struct HeadTags {
    std::uint32_t attributes;
    std::uint32_t flags;
};
constexpr HeadTags kNumberHead{message_tag(7), varint_tag(8)};
constexpr HeadTags kHistogramHead{message_tag(9), varint_tag(10)};
constexpr HeadTags kExponentialHead{message_tag(1), varint_tag(10)};
constexpr HeadTags kSummaryHead{message_tag(7), varint_tag(8)};

// Repeated numbers come packed, or each with its own tag.
template <class T>
void append_packed_fixed64(pbf_reader& fields, std::vector<T>& values) {
    if constexpr (std::is_same_v<T, double>) {
        for (const double value : fields.get_packed_double()) values.push_back(value);
    } else {
        for (const std::uint64_t value : fields.get_packed_fixed64()) values.push_back(value);
    }
}

class MetricsDecoder {
public:
    explicit MetricsDecoder(const DecodeLimits& limits) : budget_(limits), sink_(budget_) {}

    Result<std::vector<TimeSeries>> decode(std::string_view bytes) {
        VIGIE_TRY(for_each_item(bytes, budget_, [this](pbf_reader metric, const Labels& resource) {
            return read_metric(metric, resource);
        }));
        return sink_.take();
    }

private:
    Status read_metric(pbf_reader metric, const Labels& resource) {
        std::string name;
        VIGIE_TRY(read_name(metric, name));
        MetricWriter writer(sink_, std::move(name));
        while (metric.next()) {
            const std::uint32_t tag = metric.tag_and_type();
            if (tag == kGauge || tag == kSum) {
                VIGIE_TRY(read_numbers(metric.get_message(), tag == kSum, resource, writer));
            } else if (tag == kHistogram || tag == kExponential) {
                VIGIE_TRY(read_histograms(metric.get_message(), tag, resource, writer));
            } else if (tag == kSummary) {
                VIGIE_TRY(for_each(metric.get_message(), kPoints, [&](pbf_reader point) {
                    return read_summary(point, resource, writer);
                }));
            } else {
                metric.skip();
            }
        }
        return {};
    }

    Status read_name(pbf_reader metric, std::string& name) const {
        while (metric.next()) {
            if (metric.tag_and_type() == kName) {
                name = clean_label(read_view(metric), budget_);
            } else {
                metric.skip();
            }
        }
        if (name.empty()) return fail(ErrorKind::kInvalid, "a metric without a name");
        return {};
    }

    Status read_numbers(pbf_reader metric, bool is_sum, const Labels& resource,
                        MetricWriter& writer) {
        const auto [temporality, monotonic] = read_temporality(metric);
        const MetricKind kind = is_sum ? kind_of_sum(temporality, monotonic) : MetricKind::kGauge;
        return for_each(metric, kPoints, [&](pbf_reader point) -> Status {
            VIGIE_TRY_ASSIGN(const PointHead head, read_head(point, kNumberHead, resource));
            double value = 0;
            while (point.next()) {
                switch (point.tag_and_type()) {
                    case fixed64_tag(4): value = point.get_double(); break;
                    case fixed64_tag(6): value = static_cast<double>(point.get_sfixed64()); break;
                    default: point.skip();
                }
            }
            return writer.write_number(kind, head, value);
        });
    }

    Status read_histograms(pbf_reader metric, std::uint32_t tag, const Labels& resource,
                           MetricWriter& writer) {
        const auto temporality = read_temporality(metric).first;
        return for_each(metric, kPoints, [&](pbf_reader point) {
            return tag == kHistogram ? read_histogram(point, temporality, resource, writer)
                                     : read_exponential(point, temporality, resource, writer);
        });
    }

    static std::pair<Temporality, bool> read_temporality(pbf_reader metric) {
        Temporality temporality = Temporality::kUnspecified;
        bool monotonic = false;
        while (metric.next()) {
            switch (metric.tag_and_type()) {
                case kTemporality: temporality = temporality_of(metric.get_int32()); break;
                case kMonotonic: monotonic = read_bool(metric); break;
                default: metric.skip();
            }
        }
        return {temporality, monotonic};
    }

    Result<PointHead> read_head(pbf_reader point, const HeadTags& tags, const Labels& resource) {
        PointHead head;
        VIGIE_TRY_ASSIGN(Labels attributes, read_attributes(point, tags.attributes, budget_));
        VIGIE_TRY_ASSIGN(head.labels, budget_.merge(resource, std::move(attributes)));
        while (point.next()) {
            const std::uint32_t tag = point.tag_and_type();
            if (tag == kTime) {
                head.at = time_of_nanos(point.get_fixed64());
            } else if (tag == tags.flags) {
                head.stale = (point.get_uint32() & kNoRecordedValue) != 0;
            } else {
                point.skip();
            }
        }
        return head;
    }

    Status read_histogram(pbf_reader fields, Temporality temporality, const Labels& resource,
                          MetricWriter& writer) {
        HistogramPoint point;
        VIGIE_TRY_ASSIGN(point.head, read_head(fields, kHistogramHead, resource));
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = fields.get_fixed64(); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case message_tag(6): append_packed_fixed64(fields, point.counts); break;
                case fixed64_tag(6): point.counts.push_back(fields.get_fixed64()); break;
                case message_tag(7): append_packed_fixed64(fields, point.bounds); break;
                case fixed64_tag(7): point.bounds.push_back(fields.get_double()); break;
                default: fields.skip();
            }
        }
        return writer.write_histogram(temporality, point);
    }

    static Status read_buckets(pbf_reader fields, ExponentialBuckets& buckets) {
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case varint_tag(1): buckets.offset = fields.get_sint32(); break;
                case varint_tag(2): {
                    VIGIE_TRY(check_bucket_count(buckets.counts.size()));
                    buckets.counts.push_back(fields.get_uint64());
                    break;
                }
                case message_tag(2):
                    for (const std::uint64_t count : fields.get_packed_uint64()) {
                        VIGIE_TRY(check_bucket_count(buckets.counts.size()));
                        buckets.counts.push_back(count);
                    }
                    break;
                default: fields.skip();
            }
        }
        return {};
    }

    Status read_exponential(pbf_reader fields, Temporality temporality, const Labels& resource,
                            MetricWriter& writer) {
        ExponentialPoint point;
        VIGIE_TRY_ASSIGN(point.head, read_head(fields, kExponentialHead, resource));
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = fields.get_fixed64(); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case varint_tag(6): point.scale = fields.get_sint32(); break;
                case fixed64_tag(7): point.zero_count = fields.get_fixed64(); break;
                case message_tag(8): {
                    VIGIE_TRY(read_buckets(fields.get_message(), point.positive));
                    break;
                }
                case message_tag(9): {
                    VIGIE_TRY(read_buckets(fields.get_message(), point.negative));
                    break;
                }
                case fixed64_tag(14): point.zero_threshold = fields.get_double(); break;
                default: fields.skip();
            }
        }
        return writer.write_exponential(temporality, point);
    }

    static std::pair<double, double> read_quantile(pbf_reader fields) {
        double quantile = 0;
        double value = 0;
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case fixed64_tag(1): quantile = fields.get_double(); break;
                case fixed64_tag(2): value = fields.get_double(); break;
                default: fields.skip();
            }
        }
        return {quantile, value};
    }

    Status read_summary(pbf_reader fields, const Labels& resource, MetricWriter& writer) {
        SummaryPoint point;
        VIGIE_TRY_ASSIGN(point.head, read_head(fields, kSummaryHead, resource));
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = fields.get_fixed64(); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case message_tag(6): {
                    VIGIE_TRY(check_bucket_count(point.quantiles.size()));
                    point.quantiles.push_back(read_quantile(fields.get_message()));
                    break;
                }
                default: fields.skip();
            }
        }
        return writer.write_summary(point);
    }

    Budget budget_;
    SeriesSink sink_;
};

}  // namespace

Result<std::vector<TimeSeries>> decode_proto_metrics(std::string_view bytes,
                                                     const DecodeLimits& limits) {
    return MetricsDecoder(limits).decode(bytes);
}

}  // namespace vigie::schemas::detail
