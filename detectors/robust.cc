#include "detectors/robust.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

double quantile(std::span<const double> sorted, double q) {
    if (sorted.empty()) return 0;
    const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return quantile(values, 0.5);
}

Usual usual_of(std::vector<double> values) {
    std::ranges::sort(values);
    Usual usual;
    usual.median = quantile(values, 0.5);
    usual.low = quantile(values, 0.05);
    usual.high = quantile(values, 0.95);
    usual.top = quantile(values, 0.99);
    for (double& value : values) value = std::abs(value - usual.median);
    usual.spread = kMedianDeviationScale * median(std::move(values));
    return usual;
}

void History::push(double value) {
    if (values_.size() < capacity_) {
        values_.push_back(value);
        return;
    }
    if (capacity_ == 0) return;
    values_[next_] = value;
    next_ = (next_ + 1) % capacity_;
}

void History::save(Encoder& out) const {
    out.u64(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
        out.f64(values_[(next_ + i) % values_.size()]);
    }
}

void History::load(Decoder& in) {
    clear();
    for (std::size_t left = in.count(8); left > 0; --left) {
        const double value = in.f64();
        if (!std::isfinite(value)) in.set_failed();
        push(value);
    }
}

Episode::Turn Episode::see(Sight sight, EventTime from, EventTime to, Needed needed) {
    if (sight == Sight::kOdd) {
        if (!firing() && odd_ == 0) first_seen_ = from;
        ++odd_;
        calm_ = 0;
        last_seen_ = to;
        if (firing() || odd_ < needed.odd) return Turn::kNone;
        phase_ = Phase::kFiring;
        return Turn::kBegan;
    }
    odd_ = 0;
    calm_ = sight == Sight::kCalm ? calm_ + 1 : 0;
    if (phase_ == Phase::kQuiet || calm_ < needed.calm) return Turn::kNone;
    phase_ = Phase::kQuiet;
    return Turn::kEnded;
}

void Episode::forget_row() {
    odd_ = 0;
    calm_ = 0;
}

void Episode::end() {
    phase_ = Phase::kQuiet;
    forget_row();
}

void Episode::fall_silent() {
    phase_ = Phase::kSilent;
    forget_row();
}

void Episode::save(Encoder& out) const {
    save_phase(phase_, out);
    out.u64(odd_);
    out.u64(calm_);
    out.time(first_seen_);
    out.time(last_seen_);
}

void Episode::load(Decoder& in) {
    phase_ = load_phase(in);
    odd_ = in.u64();
    calm_ = in.u64();
    first_seen_ = in.time();
    last_seen_ = in.time();
}

}  // namespace vigie::detectors
