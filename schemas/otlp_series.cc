#include "schemas/otlp_series.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "schemas/wire_cursor.h"

namespace vigie::schemas::detail {

namespace {

// Finer exponential buckets are joined to this scale: four for each doubling. The bounds are then
// the same in every export, whatever scale the sender moves to.
constexpr std::int32_t kScaleMax = 2;
constexpr std::size_t kBucketsMax = 16'384;

// Prometheus writes bounds as short as they can be read back: "0.5", "10", "+Inf".
std::string bound_text(double bound) {
    if (std::isinf(bound)) return bound > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", bound);
}

void set_label(Labels& labels, std::string_view name, std::string value) {
    const auto at = std::ranges::lower_bound(
        labels, name, {}, [](const auto& pair) { return std::string_view(pair.first); });
    if (at != labels.end() && at->first == name) {
        at->second = std::move(value);
    } else {
        labels.emplace(at, name, std::move(value));
    }
}

// Counts of buckets by their upper bound.
using Buckets = std::map<double, double>;

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

MetricKind kind_of_histogram(Temporality temporality) {
    return kind_of_sum(temporality, true);
}

std::uint64_t ReadyLabels::hash() const {
    std::uint64_t hash = labels_.size();
    for (const auto& [name, value] : labels_) hash = mix(mix(hash, hash_of(name)), hash_of(value));
    return hash;
}

MetricWriter::MetricWriter(SampleSink& sink, std::string name)
    : sink_(sink), name_(std::move(name)), name_hash_(hash_of(name_)) {}

Status MetricWriter::write(const Part& part, MetricKind kind, const PointHead& head,
                           const PointLabels& labels, double value) {
    class PartNamer final : public Namer {
    public:
        PartNamer(const std::string& metric, const Part& of, MetricKind kind_in,
                  const PointLabels& labels_in)
            : metric_(metric), part_(of), kind_(kind_in), labels_(labels_in) {}
        Result<SeriesName> name() const override {
            VIGIE_TRY_ASSIGN(Labels all, labels_.labels());
            if (!part_.label.empty()) {
                set_label(all, part_.label, bound_text(part_.label_value));
            }
            return SeriesName{metric_ + std::string(part_.suffix), std::move(all), kind_};
        }

    private:
        const std::string& metric_;
        const Part& part_;
        const MetricKind kind_;
        const PointLabels& labels_;
    };
    std::uint64_t hash = mix(head.hash, static_cast<std::uint64_t>(kind));
    if (!part.suffix.empty()) hash = mix(hash, static_cast<unsigned char>(part.suffix[1]));
    if (!part.label.empty()) hash = mix(hash, std::bit_cast<std::uint64_t>(part.label_value));
    return sink_.add(hash, head.at, value, head.stale, PartNamer(name_, part, kind, labels));
}

// A point is written whole, or not at all.
Status MetricWriter::whole(const SampleSink::Mark& mark, Status status) {
    if (!status) sink_.back_to(mark);
    return status;
}

Status MetricWriter::write_number(MetricKind kind, const PointHead& head, const PointLabels& labels,
                                  double value) {
    return write({}, kind, head, labels, value);
}

Status MetricWriter::write_totals(MetricKind kind, const PointHead& head, const PointLabels& labels,
                                  double count, std::optional<double> sum) {
    VIGIE_TRY(write({"_count", {}, 0}, kind, head, labels, count));
    if (!sum && !head.stale) return {};
    return write({"_sum", {}, 0}, kind, head, labels, sum.value_or(0));
}

Status MetricWriter::write_bucket(MetricKind kind, const PointHead& head, const PointLabels& labels,
                                  double bound, double count) {
    return write({"_bucket", "le", bound}, kind, head, labels, count);
}

Status MetricWriter::write_histogram(MetricKind kind, const HistogramPoint& point,
                                     const PointLabels& labels) {
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
    return whole(sink_.mark(), write_bounds(kind, point, labels));
}

Status MetricWriter::write_bounds(MetricKind kind, const HistogramPoint& point,
                                  const PointLabels& labels) {
    VIGIE_TRY(write_totals(kind, point.head, labels, point.count, point.sum));
    if (point.head.stale) return {};
    double below = 0;
    for (std::size_t i = 0; i < point.bounds.size(); ++i) {
        below += point.counts[i];
        if (!std::isfinite(point.bounds[i])) continue;  // A last bound of infinity is the next one.
        VIGIE_TRY(write_bucket(kind, point.head, labels, point.bounds[i], below));
    }
    return write_bucket(kind, point.head, labels, HUGE_VAL, point.count);
}

Status MetricWriter::write_exponential(MetricKind kind, const ExponentialPoint& point,
                                       const PointLabels& labels) {
    return whole(sink_.mark(), write_scaled(kind, point, labels));
}

Status MetricWriter::write_scaled(MetricKind kind, const ExponentialPoint& point,
                                  const PointLabels& labels) {
    VIGIE_TRY(write_totals(kind, point.head, labels, point.count, point.sum));
    if (point.head.stale) return {};
    Buckets buckets;
    add_buckets(buckets, point.negative, point.scale, true);
    if (point.zero_count > 0) {
        buckets[std::isfinite(point.zero_threshold) ? point.zero_threshold : 0] += point.zero_count;
    }
    add_buckets(buckets, point.positive, point.scale, false);
    double below = 0;
    for (const auto& [bound, count] : buckets) {
        below += count;
        if (!std::isfinite(bound)) continue;  // What is beyond a double is in the last bucket.
        VIGIE_TRY(write_bucket(kind, point.head, labels, bound, below));
    }
    return write_bucket(kind, point.head, labels, HUGE_VAL, point.count);
}

Status MetricWriter::write_summary(const SummaryPoint& point, const PointLabels& labels) {
    return whole(sink_.mark(), write_quantiles(point, labels));
}

Status MetricWriter::write_quantiles(const SummaryPoint& point, const PointLabels& labels) {
    VIGIE_TRY(write_totals(MetricKind::kCounter, point.head, labels, point.count, point.sum));
    if (point.head.stale) return {};
    for (const auto& [quantile, value] : point.quantiles) {
        VIGIE_TRY(write({"", "quantile", quantile}, MetricKind::kGauge, point.head, labels, value));
    }
    return {};
}

}  // namespace vigie::schemas::detail
