#include "detectors/deep_window.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

void RunningMedian::push(double value) {
    if (ring_.size() < capacity_) {
        if (ring_.empty()) {
            ring_.reserve(capacity_);
            sorted_.reserve(capacity_);
        }
        ring_.push_back(value);
    } else {
        sorted_.erase(std::ranges::lower_bound(sorted_, ring_[oldest_]));
        ring_[oldest_] = value;
        oldest_ = (oldest_ + 1) % capacity_;
    }
    sorted_.insert(std::ranges::upper_bound(sorted_, value), value);
}

double RunningMedian::median() const {
    const std::size_t count = sorted_.size();
    if (count == 0) return 0;
    if (count % 2 == 1) return sorted_[count / 2];
    return 0.5 * sorted_[count / 2 - 1] + 0.5 * sorted_[count / 2];
}

double RunningMedian::quantile(double q) const {
    if (sorted_.empty()) return 0;
    const auto at = static_cast<std::size_t>(q * static_cast<double>(sorted_.size()));
    return sorted_[std::min(at, sorted_.size() - 1)];
}

std::size_t RunningMedian::bytes() const {
    return (ring_.capacity() + sorted_.capacity()) * sizeof(double);
}

void RunningMedian::save(Encoder& out) const {
    out.u64(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) out.f64(ring_[(oldest_ + i) % ring_.size()]);
}

void RunningMedian::load(Decoder& in) {
    ring_.clear();
    sorted_.clear();
    oldest_ = 0;
    const std::size_t count = in.count(8);
    if (count > capacity_) in.set_failed();
    for (std::size_t i = 0; i < count && !in.failed(); ++i) {
        const double value = in.f64();
        if (!std::isfinite(value)) in.set_failed();
        if (!in.failed()) push(value);
    }
}

double DifferencePredictor::step(double value) {
    constexpr double kRate = 0.02;
    constexpr double kTeachMax = 3;  // Usual differences.
    constexpr double kInputMax = 6;
    constexpr double kMemory = 300;
    constexpr std::uint64_t kFirst = 30;
    if (seen_++ == 0) {
        last_ = value;
        return 0;
    }
    const double difference = value - last_;
    last_ = value;
    double predicted = 0;
    double energy = 0;
    for (std::size_t i = 0; i < kTaps; ++i) {
        predicted += weights_.at(i) * differences_.at(i);
        energy += differences_.at(i) * differences_.at(i);
    }
    const double error = difference - predicted;
    const bool known = scale_ > 0;
    const double taught =
        known ? std::clamp(error, -kTeachMax * scale_, kTeachMax * scale_) : error;
    energy += 0.1 * kTaps * scale_ * scale_;
    if (energy > 0) {
        const double gain = kRate * taught / energy;
        for (std::size_t i = 0; i < kTaps; ++i) weights_.at(i) += gain * differences_.at(i);
    }
    const double input =
        known ? std::clamp(difference, -kInputMax * scale_, kInputMax * scale_) : difference;
    const double size = std::abs(difference);
    const double counted = seen_ < kFirst || !known ? size : std::min(size, kTeachMax * scale_);
    scale_ += (counted - scale_) / std::min(static_cast<double>(seen_), kMemory);
    std::ranges::copy_backward(differences_.begin(), differences_.end() - 1, differences_.end());
    differences_.front() = input;
    return error;
}

void DifferencePredictor::save(Encoder& out) const {
    for (const double value : weights_) out.f64(value);
    for (const double value : differences_) out.f64(value);
    out.f64(last_);
    out.f64(scale_);
    out.u64(seen_);
}

void DifferencePredictor::load(Decoder& in) {
    bool finite = true;
    const auto read = [&](double& value) {
        value = in.f64();
        finite = finite && std::isfinite(value);
    };
    for (double& value : weights_) read(value);
    for (double& value : differences_) read(value);
    read(last_);
    read(scale_);
    seen_ = in.u64();
    if (!finite || scale_ < 0) in.set_failed();
}

}  // namespace vigie::detectors
