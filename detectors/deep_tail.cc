#include "detectors/deep_tail.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

namespace {

constexpr double kMemory = 5000;    // Scores.
constexpr double kTailShare = 0.1;  // What counts as the tail,
constexpr double kShapeMax = 0.25;  // and how heavy it may be taken for.
constexpr std::uint64_t kSeenMin = 30;
constexpr std::uint64_t kFitEvery = 32;
constexpr double kWeightMax = 1e9;
constexpr std::int32_t kOctaveMax = 1000;
constexpr int kHeadRoom = 6;  // Octaves kept free above the largest score, when room is made.

int octave_of(double score) {
    int exponent = 0;
    std::frexp(score, &exponent);
    return exponent - 1;
}

}  // namespace

// Four buckets in an octave, of equal width: exact on every platform, as a logarithm is not.
int ScoreTail::bucket_of(double score) const {
    int exponent = 0;
    const double mantissa = std::frexp(score, &exponent);  // [0.5, 1)
    const int within = static_cast<int>((mantissa - 0.5) * 2 * kPerOctave);
    return std::clamp((exponent - 1 - lowest_octave_) * kPerOctave + within, 0, kBuckets - 1);
}

double ScoreTail::bound_of(int bucket) const {
    const double within = 1 + static_cast<double>(bucket % kPerOctave) / kPerOctave;
    return std::ldexp(within, lowest_octave_ + bucket / kPerOctave);
}

void ScoreTail::make_room_for(double score) {
    const int octave = octave_of(score);
    if (!any_) {
        any_ = true;
        lowest_octave_ = octave - kOctaves + kHeadRoom;
        return;
    }
    const int up = octave - (lowest_octave_ + kOctaves - 1);
    // Nearly all weight at the bottom: the window was set by something far larger.
    const bool sunk = octave < lowest_octave_ && weight_[0] > 0.9 * total_;
    if (up <= 0 && !sunk) return;
    const int shift = sunk ? octave - lowest_octave_ - kOctaves / 2 : up;
    std::array<float, kBuckets> moved{};
    for (int i = 0; i < kBuckets; ++i) {
        const int to = std::clamp(i - shift * kPerOctave, 0, kBuckets - 1);
        moved.at(static_cast<std::size_t>(sunk && i == 0 ? kBuckets / 2 : to)) +=
            weight_.at(static_cast<std::size_t>(i));
    }
    weight_ = moved;
    lowest_octave_ += shift;
}

void ScoreTail::add(double score) {
    ++seen_;
    next_ *= 1 + 1 / kMemory;
    if (next_ > kWeightMax) {
        for (float& weight : weight_) weight = static_cast<float>(weight / next_);
        total_ /= next_;
        next_ = 1;
    }
    total_ += next_;
    if (score > 0) {
        make_room_for(score);
        weight_.at(static_cast<std::size_t>(bucket_of(score))) += static_cast<float>(next_);
    }
    if (seen_ < fit_at_) return;
    fit();
    fit_at_ = seen_ + std::clamp<std::uint64_t>(seen_ / 16, 1, kFitEvery);
}

void ScoreTail::fit() {
    double above = 0;
    int first = kBuckets;  // First bucket of the tail.
    while (first > 0 && above < kTailShare * total_) {
        --first;
        above += static_cast<double>(weight_.at(static_cast<std::size_t>(first)));
    }
    // Fewer than a tenth are positive: all of those are tail.
    start_ = above < kTailShare * total_ ? 0 : bound_of(std::min(first + 1, kBuckets - 1));
    if (start_ > 0) ++first;
    double weight = 0;
    double mean = 0;
    double square = 0;
    for (int i = first; i < kBuckets; ++i) {
        const double each = static_cast<double>(weight_.at(static_cast<std::size_t>(i)));
        if (each <= 0) continue;
        const double low = bound_of(i);
        const double excess = low * (1 + 0.5 / (kPerOctave + i % kPerOctave)) - start_;
        weight += each;
        mean += each * excess;
        square += each * excess * excess;
    }
    above_ = weight / total_;
    if (weight <= 0) {
        scale_ = 0;
        return;
    }
    mean /= weight;
    double variance = square / weight - mean * mean;
    if (variance <= 0) variance = mean * mean;
    shape_ = std::clamp(0.5 * (1 - mean * mean / variance), 0.0, kShapeMax);
    scale_ = mean * (1 - shape_);
}

double ScoreTail::rarity(double score) const {
    if (seen_ < kSeenMin || !(score > 0)) return 0;
    if (score <= start_) {
        return 0.999 * std::min(1.0, -std::log10(std::max(above_, 1e-9))) * score / start_;
    }
    // Never anything positive before: as rare as the number of scores can say.
    if (scale_ <= 0) return std::log10(static_cast<double>(seen_) + 1);
    const double excess = (score - start_) / scale_;
    const double tail =
        shape_ < 1e-6 ? excess / std::log(10.0) : std::log10(1 + shape_ * excess) / shape_;
    return tail - std::log10(above_);
}

double ScoreTail::exceeded_by(double share) const {
    if (seen_ < kSeenMin || scale_ <= 0 || share >= above_) return start_;
    const double ratio = above_ / share;
    const double excess = shape_ < 1e-6 ? std::log(ratio) : (std::pow(ratio, shape_) - 1) / shape_;
    return start_ + scale_ * excess;
}

void ScoreTail::save(Encoder& out) const {
    out.i64(lowest_octave_);
    out.flag(any_);
    out.f64(total_);
    out.f64(next_);
    out.u64(seen_);
    out.u64(fit_at_);
    for (const double value : {start_, above_, scale_, shape_}) out.f64(value);
    std::uint64_t used = 0;
    for (const float weight : weight_) used += weight > 0 ? 1 : 0;
    out.u64(used);
    for (std::size_t i = 0; i < weight_.size(); ++i) {
        if (!(weight_.at(i) > 0)) continue;
        out.u64(i);
        out.f32(weight_.at(i));
    }
}

void ScoreTail::load(Decoder& in) {
    const std::int64_t octave = in.i64();
    any_ = in.flag();
    total_ = in.f64();
    next_ = in.f64();
    seen_ = in.u64();
    fit_at_ = in.u64();
    for (double* value : {&start_, &above_, &scale_, &shape_}) *value = in.f64();
    const bool sane = octave > -2 * kOctaveMax && octave < 2 * kOctaveMax && total_ >= 0 &&
                      total_ < 1e14 && next_ >= 1 && next_ <= 2 * kWeightMax && start_ >= 0 &&
                      above_ >= 0 && above_ <= 1.1 && scale_ >= 0 && shape_ >= 0 &&
                      shape_ <= kShapeMax && std::isfinite(start_) && std::isfinite(scale_);
    if (!sane) in.set_failed();
    lowest_octave_ = sane ? static_cast<std::int32_t>(octave) : 0;
    weight_.fill(0);
    for (std::size_t left = in.count(5); left > 0 && !in.failed(); --left) {
        const std::uint64_t at = in.u64();
        const float weight = in.f32();
        if (at >= weight_.size() || !(weight > 0 && weight < 1e14F)) {
            in.set_failed();
            return;
        }
        weight_.at(at) = weight;
    }
}

}  // namespace vigie::detectors
