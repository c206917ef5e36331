#include "schemas/prometheus.h"

#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace vigie::schemas::detail {

namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

constexpr std::uint32_t tag(std::uint32_t number, pbf_wire_type type) {
    return protozero::tag_and_type(number, type);
}
constexpr auto kVarint = pbf_wire_type::varint;
constexpr auto kFixed64 = pbf_wire_type::fixed64;
constexpr auto kMessage = pbf_wire_type::length_delimited;

constexpr std::int32_t kCustomBounds = -53;  // The schema of histograms with bounds of their own
constexpr std::int64_t kGaugeReset = 3;      // Histogram.ResetHint.GAUGE

bool counts_up(std::string_view part) {
    return part == "_total" || part == "_bucket" || part == "_count" || part == "_sum";
}

struct Span {
    std::int64_t offset = 0;
    std::uint64_t length = 0;
};

// One side of the histogram: buckets in spans, with gaps, as differences or as they are.
struct Side {
    std::vector<Span> spans;
    std::vector<double> counts;
    double last = 0;  // What the next difference adds to

    Status add_span(pbf_reader fields) {
        VIGIE_TRY(check_bucket_count(spans.size()));
        Span span;
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case tag(1, kVarint): span.offset = fields.get_sint32(); break;
                case tag(2, kVarint): span.length = fields.get_uint32(); break;
                default: fields.skip();
            }
        }
        spans.push_back(span);
        return {};
    }
    Status add_delta(std::int64_t delta) {
        last += static_cast<double>(delta);
        return add_count(last);
    }
    Status add_count(double count) {
        VIGIE_TRY(check_bucket_count(counts.size()));
        counts.push_back(count);
        return {};
    }
    // Index and count of each bucket; kInvalid when spans and counts do not fit.
    Result<std::vector<std::pair<std::int64_t, double>>> buckets() const {
        std::vector<std::pair<std::int64_t, double>> out;
        std::int64_t index = 0;
        for (const Span& span : spans) {
            index += span.offset;
            for (std::uint64_t i = 0; i < span.length; ++i) {
                if (out.size() == counts.size()) {
                    return fail(ErrorKind::kInvalid, "a histogram has fewer buckets than spans");
                }
                out.emplace_back(index++, counts[out.size()]);
            }
        }
        if (out.size() != counts.size()) {
            return fail(ErrorKind::kInvalid, "a histogram has more buckets than spans");
        }
        return out;
    }
};

struct Native {
    double count = 0;
    double sum = 0;
    double zero_count = 0;
    double zero_threshold = 0;
    std::int32_t schema = 0;
    std::int64_t reset_hint = 0;
    std::int64_t millis = 0;
    Side negative;
    Side positive;
    std::vector<double> bounds;

    Status read(pbf_reader fields);
    Status read_side(pbf_reader& fields, std::uint32_t number);
    Status read_bounds(pbf_reader& fields) {
        for (const double bound : fields.get_packed_double()) {
            VIGIE_TRY(check_bucket_count(bounds.size()));
            bounds.push_back(bound);
        }
        return {};
    }
};

Status Native::read_side(pbf_reader& fields, std::uint32_t number) {
    Side& side = number < 11 ? negative : positive;
    switch (number) {
        case 8:
        case 11: return side.add_span(fields.get_message());
        case 9:
        case 12:
            for (const auto delta : fields.get_packed_sint64()) VIGIE_TRY(side.add_delta(delta));
            return {};
        default:
            for (const auto one : fields.get_packed_double()) VIGIE_TRY(side.add_count(one));
            return {};
    }
}

Status Native::read(pbf_reader fields) {
    while (fields.next()) {
        const auto number = fields.tag();
        switch (fields.tag_and_type()) {
            case tag(1, kVarint): count = static_cast<double>(fields.get_uint64()); break;
            case tag(2, kFixed64): count = fields.get_double(); break;
            case tag(3, kFixed64): sum = fields.get_double(); break;
            case tag(4, kVarint): schema = fields.get_sint32(); break;
            case tag(5, kFixed64): zero_threshold = fields.get_double(); break;
            case tag(6, kVarint): zero_count = static_cast<double>(fields.get_uint64()); break;
            case tag(7, kFixed64): zero_count = fields.get_double(); break;
            case tag(14, kVarint): reset_hint = fields.get_int64(); break;
            case tag(15, kVarint): millis = fields.get_int64(); break;
            case tag(16, kMessage): {
                VIGIE_TRY(read_bounds(fields));
                break;
            }
            default:
                if (fields.wire_type() == kMessage && number >= 8 && number <= 13) {
                    VIGIE_TRY(read_side(fields, number));
                } else {
                    fields.skip();
                }
        }
    }
    return {};
}

// Buckets by index as a row from the first to the last: the gaps are zeros.
Result<ExponentialBuckets> row_of(const Side& side) {
    VIGIE_TRY_ASSIGN(const auto buckets, side.buckets());
    ExponentialBuckets row;
    if (buckets.empty()) return row;
    // Bucket i of Prometheus ends where bucket i - 1 of OpenTelemetry does.
    row.offset = buckets.front().first - 1;
    for (const auto& [index, count] : buckets) {
        const std::int64_t place = index - buckets.front().first;
        if (place < static_cast<std::int64_t>(row.counts.size())) {
            return fail(ErrorKind::kInvalid, "the spans of a histogram overlap");
        }
        VIGIE_TRY(check_bucket_count(static_cast<std::size_t>(place)));
        row.counts.resize(static_cast<std::size_t>(place) + 1);
        row.counts.back() = count;
    }
    return row;
}

Status write_custom(const Native& native, const PointHead& head, MetricKind kind,
                    const PointLabels& labels, MetricWriter& writer) {
    HistogramPoint point{.head = head,
                         .count = native.count,
                         .sum = native.sum,
                         .counts = {},
                         .bounds = native.bounds};
    point.counts.resize(native.bounds.size() + 1);
    VIGIE_TRY_ASSIGN(const auto buckets, native.positive.buckets());
    for (const auto& [index, count] : buckets) {
        if (index < 0 || index >= static_cast<std::int64_t>(point.counts.size())) {
            return fail(ErrorKind::kInvalid, "a histogram has a bucket outside of its bounds");
        }
        point.counts[static_cast<std::size_t>(index)] = count;
    }
    return writer.write_histogram(kind, point, labels);
}

}  // namespace

MetricKind kind_of_metric(std::string_view metric, FamilyType type) {
    if (type == FamilyType::kCounter) return MetricKind::kCounter;
    const auto part_at = metric.rfind('_');
    const bool counts = part_at != std::string_view::npos && counts_up(metric.substr(part_at));
    if (type == FamilyType::kGauge) return MetricKind::kGauge;
    // The family's own name is a quantile of a summary.
    if (type == FamilyType::kSummary && !counts) return MetricKind::kGauge;
    return counts ? MetricKind::kCounter : MetricKind::kUnknown;
}

Result<EventTime> time_of_millis(std::int64_t millis) {
    constexpr std::int64_t kMillisMax = std::numeric_limits<std::int64_t>::max() / 1000;
    if (millis > kMillisMax || millis < -kMillisMax) {
        return fail(ErrorKind::kInvalid, fmt::format("{} is not a time in milliseconds", millis));
    }
    return event_time_from_micros(millis * 1000);
}

bool is_stale(double value) {
    return std::bit_cast<std::uint64_t>(value) == kStaleNan;
}

Status write_native_histogram(pbf_reader fields, std::uint64_t series_hash,
                              const PointLabels& labels, MetricWriter& writer) {
    Native native;
    VIGIE_TRY(native.read(fields));
    PointHead head{.at = {}, .hash = series_hash, .stale = is_stale(native.sum)};
    VIGIE_TRY_ASSIGN(head.at, time_of_millis(native.millis));
    const MetricKind kind =
        native.reset_hint == kGaugeReset ? MetricKind::kGauge : MetricKind::kCounter;
    if (native.schema == kCustomBounds) return write_custom(native, head, kind, labels, writer);
    if (native.schema < -4 || native.schema > 8) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} is not a schema of native histograms", native.schema));
    }
    ExponentialPoint point{.head = head,
                           .count = native.count,
                           .sum = native.sum,
                           .scale = native.schema,
                           .zero_count = native.zero_count,
                           .zero_threshold = native.zero_threshold,
                           .positive = {},
                           .negative = {}};
    VIGIE_TRY_ASSIGN(point.positive, row_of(native.positive));
    VIGIE_TRY_ASSIGN(point.negative, row_of(native.negative));
    return writer.write_exponential(kind, point, labels);
}

Result<SeriesName> name_series(Labels labels, FamilyType type, const Budget& budget) {
    SeriesName name;
    VIGIE_TRY_ASSIGN(name.labels, budget.merge({}, std::move(labels)));
    std::erase_if(name.labels, [](const auto& pair) { return pair.second.empty(); });
    name.metric = label(name.labels, "__name__");
    if (name.metric.empty()) return fail(ErrorKind::kInvalid, "no label __name__");
    std::erase_if(name.labels, [](const auto& pair) { return pair.first == "__name__"; });
    name.kind = kind_of_metric(name.metric, type);
    return name;
}

}  // namespace vigie::schemas::detail
