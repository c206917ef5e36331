#include <optional>

#include "schemas/otlp.h"
#include "schemas/otlp_proto.h"
#include "schemas/otlp_series.h"
#include "schemas/wire_cursor.h"

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

// The hash of all fields with a tag, in their order.
std::uint64_t hash_of_fields(pbf_reader message, std::uint32_t tag, std::uint64_t hash) {
    while (message.next()) {
        if (message.tag_and_type() == tag) {
            hash = hash_of(read_view(message), hash);
        } else {
            message.skip();
        }
    }
    return hash;
}

// Repeated numbers come packed, or each with its own tag.
template <class Range>
Status append_all(const Range& range, std::vector<double>& values) {
    for (const auto value : range) {
        VIGIE_TRY(check_bucket_count(values.size()));
        values.push_back(static_cast<double>(value));
    }
    return {};
}

Status append_one(double value, std::vector<double>& values) {
    VIGIE_TRY(check_bucket_count(values.size()));
    values.push_back(value);
    return {};
}

class MetricsDecoder {
public:
    MetricsDecoder(const DecodeLimits& limits, SeriesIndex& index, DecodedSamples& out)
        : budget_(limits), sink_(budget_, index, out) {}

    Status decode(std::string_view bytes) {
        try {
            pbf_reader request(bytes.data(), bytes.size());
            return for_each(request, message_tag(1),
                            [&](pbf_reader group) { return read_group(group, bytes); });
        } catch (const protozero::exception& error) {
            return fail(ErrorKind::kInvalid, place(error.what()));
        }
    }

private:
    // The resource's labels are made once, when one of its series is new.
    struct Resource {
        pbf_reader group;
        std::uint64_t hash = 0;
        std::optional<Result<Labels>> labels;
    };

    class Attributes final : public PointLabels {
    public:
        Attributes(MetricsDecoder& decoder, pbf_reader point, std::uint32_t tag)
            : decoder_(decoder), point_(point), tag_(tag) {}
        Result<Labels> labels() const override {
            VIGIE_TRY_ASSIGN(const Labels resource, decoder_.resource_labels());
            VIGIE_TRY_ASSIGN(Labels own, read_attributes(point_, tag_, decoder_.budget_));
            return decoder_.budget_.merge(resource, std::move(own));
        }

    private:
        MetricsDecoder& decoder_;
        const pbf_reader point_;
        const std::uint32_t tag_;
    };

    std::string place(std::string_view why) const {
        return fmt::format("OTLP protobuf: {}, in or after the item at byte {}", why, at_);
    }

    Result<Labels> resource_labels() {
        if (!resource_.labels) resource_.labels = read_resource(resource_.group, budget_);
        return *resource_.labels;
    }

    Status read_group(pbf_reader group, std::string_view bytes) {
        resource_ = {group, hash_of_fields(group, message_tag(1), 0), std::nullopt};
        return for_each(group, message_tag(2), [&](pbf_reader scope) {
            return for_each(scope, message_tag(2), [&](pbf_reader metric) {
                at_ = static_cast<std::size_t>(metric.data().data() - bytes.data());
                return read_metric(metric);
            });
        });
    }

    // A point that is wrong is left out; only what ends the body comes back.
    Status settle(Status status, std::size_t points = 1) {
        if (!status) status.error().message = place(status.error().message);
        return sink_.refuse(std::move(status), points);
    }

    Status read_metric(pbf_reader metric) {
        std::string name = read_name(metric);
        if (name.empty()) {
            return settle(fail(ErrorKind::kInvalid, "a metric without a name"));
        }
        MetricWriter writer(sink_, std::move(name));
        while (metric.next()) {
            const std::uint32_t tag = metric.tag_and_type();
            if (tag == kGauge || tag == kSum || tag == kHistogram || tag == kExponential ||
                tag == kSummary) {
                VIGIE_TRY(read_points(metric.get_message(), tag, writer));
            } else {
                metric.skip();
            }
        }
        return {};
    }

    std::string read_name(pbf_reader metric) const {
        std::string name;
        while (metric.next()) {
            if (metric.tag_and_type() == kName) {
                name = clean_label(read_view(metric), budget_);
            } else {
                metric.skip();
            }
        }
        return name;
    }

    Status read_points(pbf_reader metric, std::uint32_t tag, MetricWriter& writer) {
        const auto [temporality, monotonic] = read_temporality(metric);
        MetricKind kind = MetricKind::kGauge;
        if (tag == kSum) kind = kind_of_sum(temporality, monotonic);
        if (tag == kHistogram || tag == kExponential) kind = kind_of_histogram(temporality);
        const std::uint64_t seed = mix(mix(resource_.hash, writer.name_hash()), tag);
        return for_each(metric, kPoints, [&](pbf_reader point) -> Status {
            if (tag == kGauge || tag == kSum) {
                if (auto read = read_usual_number(point, kind, seed, writer)) {
                    if (*read) return {};
                    return settle(*std::move(read));
                }
                return settle(read_number(point, kind, seed, writer));
            }
            if (tag == kHistogram) return settle(read_histogram(point, kind, seed, writer));
            if (tag == kExponential) return settle(read_exponential(point, kind, seed, writer));
            return settle(read_summary(point, seed, writer));
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

    // A number point as the SDKs write it: nullopt when it has anything else in it.
    std::optional<Status> read_usual_number(pbf_reader point, MetricKind kind, std::uint64_t seed,
                                            MetricWriter& writer) {
        WireCursor cursor({point.data().data(), point.length()});
        PointHead head;
        std::uint64_t nanos = 0;
        std::uint64_t skipped = 0;
        double value = 0;
        std::int64_t whole = 0;
        std::string_view attributes;
        bool seen = false;
        while (!cursor.at_end()) {
            if (cursor.next_is(0x3a)) {
                if (seen || !cursor.take_run(0x3a, attributes)) return std::nullopt;
                seen = true;
                continue;
            }
            switch (cursor.take_byte()) {
                case 0x11:
                    if (!cursor.take_fixed64(skipped)) return std::nullopt;
                    break;
                case 0x19:
                    if (!cursor.take_fixed64(nanos)) return std::nullopt;
                    break;
                case 0x21:
                    if (!cursor.take_fixed64(value)) return std::nullopt;
                    break;
                case 0x31:
                    if (!cursor.take_fixed64(whole)) return std::nullopt;
                    value = static_cast<double>(whole);
                    break;
                case 0x40:
                    if (!cursor.take_varint(skipped)) return std::nullopt;
                    head.stale = (skipped & kNoRecordedValue) != 0;
                    break;
                default: return std::nullopt;
            }
        }
        head.at = time_of_nanos(nanos);
        head.hash = hash_of(attributes, seed);
        return writer.write_number(kind, head, Attributes(*this, point, kNumberHead.attributes),
                                   value);
    }

    static PointHead read_head(pbf_reader point, const HeadTags& tags, std::uint64_t seed) {
        PointHead head;
        head.hash = hash_of_fields(point, tags.attributes, seed);
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

    Status read_number(pbf_reader point, MetricKind kind, std::uint64_t seed,
                       MetricWriter& writer) {
        const PointHead head = read_head(point, kNumberHead, seed);
        const Attributes labels(*this, point, kNumberHead.attributes);
        double value = 0;
        while (point.next()) {
            switch (point.tag_and_type()) {
                case fixed64_tag(4): value = point.get_double(); break;
                case fixed64_tag(6): value = static_cast<double>(point.get_sfixed64()); break;
                default: point.skip();
            }
        }
        return writer.write_number(kind, head, labels, value);
    }

    Status read_histogram(pbf_reader fields, MetricKind kind, std::uint64_t seed,
                          MetricWriter& writer) {
        HistogramPoint point;
        point.head = read_head(fields, kHistogramHead, seed);
        const Attributes labels(*this, fields, kHistogramHead.attributes);
        Status fits;
        while (fields.next() && fits) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = static_cast<double>(fields.get_fixed64()); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case message_tag(6):
                    fits = append_all(fields.get_packed_fixed64(), point.counts);
                    break;
                case fixed64_tag(6):
                    fits = append_one(static_cast<double>(fields.get_fixed64()), point.counts);
                    break;
                case message_tag(7):
                    fits = append_all(fields.get_packed_double(), point.bounds);
                    break;
                case fixed64_tag(7): fits = append_one(fields.get_double(), point.bounds); break;
                default: fields.skip();
            }
        }
        VIGIE_TRY(fits);
        return writer.write_histogram(kind, point, labels);
    }

    static Status read_buckets(pbf_reader fields, ExponentialBuckets& buckets) {
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case varint_tag(1): buckets.offset = fields.get_sint32(); break;
                case varint_tag(2): {
                    const auto count = static_cast<double>(fields.get_uint64());
                    VIGIE_TRY(append_one(count, buckets.counts));
                    break;
                }
                case message_tag(2): {
                    VIGIE_TRY(append_all(fields.get_packed_uint64(), buckets.counts));
                    break;
                }
                default: fields.skip();
            }
        }
        return {};
    }

    Status read_exponential(pbf_reader fields, MetricKind kind, std::uint64_t seed,
                            MetricWriter& writer) {
        ExponentialPoint point;
        point.head = read_head(fields, kExponentialHead, seed);
        const Attributes labels(*this, fields, kExponentialHead.attributes);
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = static_cast<double>(fields.get_fixed64()); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case varint_tag(6): point.scale = fields.get_sint32(); break;
                case fixed64_tag(7):
                    point.zero_count = static_cast<double>(fields.get_fixed64());
                    break;
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
        return writer.write_exponential(kind, point, labels);
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

    Status read_summary(pbf_reader fields, std::uint64_t seed, MetricWriter& writer) {
        SummaryPoint point;
        point.head = read_head(fields, kSummaryHead, seed);
        const Attributes labels(*this, fields, kSummaryHead.attributes);
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kCount: point.count = static_cast<double>(fields.get_fixed64()); break;
                case kSumValue: point.sum = fields.get_double(); break;
                case message_tag(6): {
                    VIGIE_TRY(check_bucket_count(point.quantiles.size()));
                    point.quantiles.push_back(read_quantile(fields.get_message()));
                    break;
                }
                default: fields.skip();
            }
        }
        return writer.write_summary(point, labels);
    }

    Budget budget_;
    SampleSink sink_;
    Resource resource_;
    std::size_t at_ = 0;  // Where the metric being read begins
};

}  // namespace

Status decode_proto_metrics(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                            DecodedSamples& out) {
    return MetricsDecoder(limits, index, out).decode(bytes);
}

}  // namespace vigie::schemas::detail
