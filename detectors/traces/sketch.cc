#include "detectors/traces/sketch.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace vigie::detectors {

namespace {

constexpr double kSecondsMin = 1e-6;
constexpr double kSecondsMax = 86'400;
constexpr std::uint64_t kTimesMax = std::uint64_t{1} << 48U;

// f(x) = e + P(s) of x = 2^e (1 + s) rises like the logarithm of x to the base two. A bucket is a
// stretch of 1/kPerUnit of f. Where f is flattest against ln(x), at s = 0, d ln(x) / df is 0.7; so
// kPerUnit = 0.7 / ln(gamma) makes no bucket wider than gamma. ln(1.01 / 0.99) = 0.0200006667.
constexpr double kA = 6.0 / 35;
constexpr double kB = -3.0 / 5;
constexpr double kC = 10.0 / 7;
constexpr double kPerUnit = 0.7 / 0.020000666706669435;
static_assert(LatencySketch::kRelativeError == 0.01);

double place_of(double seconds) {
    int exponent = 0;
    const double s = std::frexp(seconds, &exponent) * 2 - 1;  // [0, 1)
    return exponent - 1 + ((kA * s + kB) * s + kC) * s;
}

// The inverse of place_of; halving is exact, and rare: only quantiles need it.
double value_at(double place) {
    const double exponent = std::floor(place);
    double low = 0;
    double high = 1;
    for (int i = 0; i < 52; ++i) {
        const double s = (low + high) / 2;
        (((kA * s + kB) * s + kC) * s < place - exponent ? low : high) = s;
    }
    return std::ldexp(1 + low, static_cast<int>(exponent));
}

std::int32_t bucket_of(double seconds) {
    return static_cast<std::int32_t>(std::ceil(place_of(seconds) * kPerUnit));
}

// As far from both ends of the bucket, relative to them.
double middle_of(std::int32_t bucket) {
    const double low = value_at((bucket - 1) / kPerUnit);
    const double high = value_at(bucket / kPerUnit);
    return 2 * low * high / (low + high);
}

}  // namespace

void LatencySketch::add(double seconds, std::uint64_t times) {
    add_to(bucket_of(std::clamp(seconds, kSecondsMin, kSecondsMax)), times);
}

void LatencySketch::add_to(std::int32_t bucket, std::uint64_t times) {
    auto at = std::ranges::lower_bound(buckets_, bucket, {}, [](const auto& b) { return b.first; });
    if (at == buckets_.end() || at->first != bucket) at = buckets_.insert(at, {bucket, 0});
    at->second += times;
    count_ += times;
}

void LatencySketch::merge(const LatencySketch& other) {
    if (other.count_ == 0) return;
    std::vector<std::pair<std::int32_t, std::uint64_t>> merged;
    merged.reserve(buckets_.size() + other.buckets_.size());
    std::ranges::merge(
        buckets_, other.buckets_, std::back_inserter(merged), {},
        [](const auto& b) { return b.first; }, [](const auto& b) { return b.first; });
    buckets_.clear();
    for (const auto& [bucket, count] : merged) {
        if (!buckets_.empty() && buckets_.back().first == bucket) {
            buckets_.back().second += count;
        } else {
            buckets_.emplace_back(bucket, count);
        }
    }
    count_ += other.count_;
}

double LatencySketch::quantile(double q) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
    std::uint64_t seen = 0;
    for (const auto& [bucket, count] : buckets_) {
        seen += count;
        if (seen > rank) return middle_of(bucket);
    }
    return middle_of(buckets_.back().first);
}

void LatencySketch::save(Encoder& out) const {
    out.u64(buckets_.size());
    for (const auto& [bucket, count] : buckets_) {
        out.i64(bucket);
        out.u64(count);
    }
}

void LatencySketch::load(Decoder& in) {
    buckets_.clear();
    count_ = 0;
    for (std::size_t left = in.count(2); left > 0; --left) {
        const std::int64_t bucket = in.i64();
        const std::uint64_t count = in.u64();
        if (bucket < bucket_of(kSecondsMin) || bucket > bucket_of(kSecondsMax) || count == 0 ||
            count > kTimesMax || (!buckets_.empty() && buckets_.back().first >= bucket)) {
            in.set_failed();
            return;
        }
        buckets_.emplace_back(static_cast<std::int32_t>(bucket), count);
        count_ += count;
    }
}

void LatencySketch::load_octaves(Decoder& in) {
    constexpr std::int64_t kPerOctave = 16;
    buckets_.clear();
    count_ = 0;
    for (std::size_t left = in.count(2); left > 0; --left) {
        const std::int64_t bucket = in.i64();
        const std::uint64_t count = in.u64();
        if (bucket < -20 * kPerOctave || bucket > 18 * kPerOctave || count == 0 ||
            count > kTimesMax) {
            in.set_failed();
            return;
        }
        const std::int64_t exponent =
            bucket >= 0 ? bucket / kPerOctave : (bucket - kPerOctave + 1) / kPerOctave;
        const auto part = static_cast<double>(bucket - exponent * kPerOctave);
        add(std::ldexp(0.5 + (part + 0.5) / (2.0 * kPerOctave), static_cast<int>(exponent)), count);
    }
}

}  // namespace vigie::detectors
