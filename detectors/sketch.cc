#include "detectors/sketch.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

namespace {

constexpr double kSecondsMin = 1e-6;
constexpr double kSecondsMax = 86'400;
constexpr std::int32_t kPerOctave = 16;

// By frexp, not by a logarithm: the same on every platform.
std::int32_t bucket_of(double seconds) {
    int exponent = 0;
    const double mantissa = std::frexp(seconds, &exponent);  // [0.5, 1)
    return exponent * kPerOctave + static_cast<std::int32_t>((mantissa - 0.5) * 2 * kPerOctave);
}

double middle_of(std::int32_t bucket) {
    const std::int32_t exponent =
        bucket >= 0 ? bucket / kPerOctave : (bucket - kPerOctave + 1) / kPerOctave;
    const std::int32_t part = bucket - exponent * kPerOctave;
    return std::ldexp(0.5 + (part + 0.5) / (2.0 * kPerOctave), exponent);
}

}  // namespace

void LatencySketch::add(double seconds) {
    const std::int32_t bucket = bucket_of(std::clamp(seconds, kSecondsMin, kSecondsMax));
    auto at = std::ranges::lower_bound(buckets_, bucket, {}, [](const auto& b) { return b.first; });
    if (at == buckets_.end() || at->first != bucket) at = buckets_.insert(at, {bucket, 0});
    ++at->second;
    ++count_;
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
            count > (std::uint64_t{1} << 48U) ||
            (!buckets_.empty() && buckets_.back().first >= bucket)) {
            in.set_failed();
            return;
        }
        buckets_.emplace_back(static_cast<std::int32_t>(bucket), count);
        count_ += count;
    }
}

}  // namespace vigie::detectors
