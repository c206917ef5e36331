#include "detectors/deep_season.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

namespace vigie::detectors {

namespace {

constexpr std::int64_t kDayMicros = 86'400'000'000;

double middle(std::span<float> values) {
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    const auto upper = static_cast<double>(values[half]);
    return values.size() % 2 == 1 ? upper : 0.5 * (static_cast<double>(values[half - 1]) + upper);
}

}  // namespace

void DayMemory::start(EventClock::duration step) {
    const std::int64_t parts = kDayMicros / std::max<std::int64_t>(step.count(), 1);
    bins_ = static_cast<std::size_t>(
        std::clamp<std::int64_t>(parts, 1, static_cast<std::int64_t>(kBinsMax)));
    means_.assign(bins_ * kDays, std::numeric_limits<float>::quiet_NaN());
    next_.assign(bins_, 0);
}

std::int64_t DayMemory::day_of(EventTime at) const {
    const std::int64_t micros = micros_of(at);
    return (micros >= 0 ? micros : micros - kDayMicros + 1) / kDayMicros;
}

std::size_t DayMemory::bin_of(EventTime at) const {
    const std::int64_t within = micros_of(at) - day_of(at) * kDayMicros;
    return static_cast<std::size_t>(within / (kDayMicros / static_cast<std::int64_t>(bins_))) %
           bins_;
}

void DayMemory::close() {
    means_[bin_ * kDays + next_[bin_]] =
        static_cast<float>(sum_ / static_cast<double>(std::max<std::uint64_t>(count_, 1)));
    next_[bin_] = static_cast<std::uint8_t>((next_[bin_] + 1U) % kDays);
    open_ = false;
}

void DayMemory::learn(EventTime at, double value) {
    const std::size_t bin = bin_of(at);
    const std::int64_t day = day_of(at);
    if (open_ && (bin != bin_ || day != day_)) close();
    if (!open_) {
        open_ = true;
        bin_ = bin;
        day_ = day;
        sum_ = 0;
        count_ = 0;
    }
    sum_ += value;
    ++count_;
}

DayMemory::Usual DayMemory::usual(EventTime at) const {
    constexpr int kRangeBins = 2;  // How far beside its time of day a value may have been seen.
    const std::size_t bin = bin_of(at);
    std::array<float, 3 * kDays> near{};
    std::size_t count = 0;
    std::array<float, kDays> high{};
    std::array<float, kDays> low{};
    high.fill(-std::numeric_limits<float>::infinity());
    low.fill(std::numeric_limits<float>::infinity());
    for (int beside = -kRangeBins; beside <= kRangeBins; ++beside) {
        const std::size_t other =
            (bin + bins_ + static_cast<std::size_t>(beside + static_cast<int>(bins_))) % bins_;
        // From the newest day back, so that the same age is the same day in neighbours.
        std::size_t slot = next_[other];
        for (std::size_t age = 0; age < kDays; ++age) {
            slot = slot == 0 ? kDays - 1 : slot - 1;
            const float mean = means_[other * kDays + slot];
            if (std::isnan(mean)) continue;
            if (beside >= -1 && beside <= 1) near.at(count++) = mean;
            high.at(age) = std::max(high.at(age), mean);
            low.at(age) = std::min(low.at(age), mean);
        }
    }
    Usual usual;
    if (count > 0) {
        usual.known = true;
        usual.median = middle(std::span(near).first(count));
    }
    std::ranges::sort(high, std::greater<>{});
    std::ranges::sort(low);
    usual.ranged = std::isfinite(high[1]) && std::isfinite(low[1]);
    usual.high = static_cast<double>(std::max(high[1], low[1]));
    usual.low = static_cast<double>(std::min(high[1], low[1]));
    // The slot to be overwritten next is a week old, if no day was missed.
    double week = 0;
    for (const std::size_t other : {bin, (bin + 1) % bins_, (bin + bins_ - 1) % bins_}) {
        week += static_cast<double>(means_[other * kDays + next_[other]]);
    }
    usual.weekly = usual.known && std::isfinite(week);
    if (usual.weekly) usual.week = week / 3 - usual.median;
    return usual;
}

std::size_t DayMemory::bytes() const {
    return means_.capacity() * sizeof(float) + next_.capacity();
}

void DayMemory::save(Encoder& out) const {
    out.u64(bins_);
    for (std::size_t i = 0; i < bins_; ++i) {
        for (std::size_t age = 0; age < kDays; ++age) {
            const float mean = means_[i * kDays + (next_[i] + age) % kDays];
            out.f32(mean);
        }
    }
    out.flag(open_);
    out.u64(bin_);
    out.i64(day_);
    out.f64(sum_);
    out.u64(count_);
}

void DayMemory::load(Decoder& in) {
    const std::uint64_t bins = in.u64();
    if (bins > kBinsMax) in.set_failed();
    bins_ = in.failed() ? 0 : static_cast<std::size_t>(bins);
    means_.assign(bins_ * kDays, std::numeric_limits<float>::quiet_NaN());
    next_.assign(bins_, 0);
    for (float& mean : means_) {
        if (in.failed()) break;
        mean = in.f32();
        if (std::isinf(mean)) in.set_failed();
    }
    open_ = in.flag();
    bin_ = in.u64();
    day_ = in.i64();
    sum_ = in.f64();
    count_ = in.u64();
    if (!std::isfinite(sum_) || (open_ && bin_ >= bins_)) in.set_failed();
}

}  // namespace vigie::detectors
