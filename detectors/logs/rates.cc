#include "detectors/logs/rates.h"

#include <algorithm>
#include <cmath>

#include "detectors/logs/tail.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kFive = 5;
constexpr double kRateSteps = 180;    // Over so many steps the rate is averaged,
constexpr double kShareSteps = 1440;  // and the share.
constexpr double kShareMax = 0.95;
constexpr double kScatterGain = 0.02;
constexpr double kScatterMax = 50;
// More must be at least so many lines, so many times what is expected, and more than ever.
constexpr double kMoreLinesMin = 10;
constexpr double kMoreFactor = 3;
constexpr double kMoreThanTop = 1.25;
// Fewer must be at most this share of what is expected, and half of the fewest ever.
constexpr double kLessFactor = 0.2;
constexpr double kLessThanLow = 0.5;
constexpr double kForget = 0.9998;  // Of the most and the fewest ever, each step.
constexpr double kNumberMax = 1e15;

}  // namespace

double TemplateRate::sum(std::size_t at, std::size_t steps) const {
    double total = 0;
    for (std::size_t i = 0; i < steps; ++i) total += ring_[(at + kRing - i) % kRing];
    return total;
}

namespace {

double sum_of(const std::array<std::uint32_t, TemplateRate::kRing>& ring, std::size_t at,
              std::size_t steps) {
    double total = 0;
    for (std::size_t i = 0; i < steps; ++i) {
        total += ring[(at + TemplateRate::kRing - i) % TemplateRate::kRing];
    }
    return total;
}

}  // namespace

double TemplateRate::by_share(double others) const {
    const double share = all_ > 0 ? std::min(lines_ / all_, kShareMax) : 0;
    return share / (1 - share) * others;
}

TemplateRate::Verdict TemplateRate::judge_more(const std::array<std::uint32_t, kRing>& service,
                                               std::size_t at) const {
    Verdict best;
    for (const std::size_t steps : {std::size_t{1}, kFive}) {
        const double count = sum(at, steps);
        const auto span = static_cast<double>(steps);
        // What was never seen in all that time comes half a time in it, for all we know.
        const double floor = 0.5 * span / std::max(1.0, static_cast<double>(steps_));
        const double expected =
            std::max({by_share(sum_of(service, at, steps) - count), rate_ * span, floor});
        const double top = steps == 1 ? top_1_ : top_5_;
        if (count < kMoreLinesMin || count < kMoreFactor * expected || count < kMoreThanTop * top) {
            continue;
        }
        const double nats = poisson_high_nats(count / scatter_, expected / scatter_);
        if (nats > best.nats) best = {nats, count, expected, steps, true};
    }
    return best;
}

TemplateRate::Verdict TemplateRate::judge_less(const std::array<std::uint32_t, kRing>& service,
                                               std::size_t at) const {
    Verdict best;
    for (const std::size_t steps : {std::size_t{20}, kRing}) {
        const double low = steps == kRing ? low_30_ : low_20_;
        const double count = sum(at, steps);
        const double expected = std::min(by_share(sum_of(service, at, steps) - count),
                                         rate_ * static_cast<double>(steps));
        if (low < 0 || count > kLessFactor * expected || count > kLessThanLow * low || low <= 0) {
            continue;
        }
        const double nats = poisson_low_nats(count / scatter_, expected / scatter_);
        if (nats > best.nats) best = {nats, count, expected, steps, false};
    }
    return best;
}

TemplateRate::Verdict TemplateRate::close_step(const std::array<std::uint32_t, kRing>& service,
                                               std::size_t at) {
    ring_[at] = now_;
    now_ = 0;
    ++steps_;
    if (steps_ <= kWarm) return {};
    const Verdict more = judge_more(service, at);
    return more.nats > 0 ? more : judge_less(service, at);
}

void TemplateRate::learn(const std::array<std::uint32_t, kRing>& service, std::size_t at) {
    const double count = ring_[at];
    if (steps_ % kFive == 0 && steps_ > kRing) {
        const double five = sum(at, kFive);
        const double shared = by_share(sum_of(service, at, kFive) - five);
        const double own = rate_ * static_cast<double>(kFive);
        const double expected = std::abs(shared - five) < std::abs(own - five) ? shared : own;
        const double scatter = (five - expected) * (five - expected) / std::max(expected, 1.0);
        scatter_ += kScatterGain * (scatter - scatter_);
        scatter_ = std::clamp(scatter_, 1.0, kScatterMax);
    }
    rate_ += (count - rate_) / std::min<double>(steps_, kRateSteps);
    lines_ += count - lines_ / kShareSteps;
    all_ += service[at] - all_ / kShareSteps;
    top_1_ = std::max(count, top_1_ * kForget);
    top_5_ = std::max(sum(at, kFive), top_5_ * kForget);
    if (steps_ < kRing) return;
    const auto lower = [](double& low, double value) {
        low = low < 0 ? value : std::min(value, low + (value - low) * (1 - kForget));
    };
    lower(low_20_, sum(at, 20));
    lower(low_30_, sum(at, kRing));
}

void TemplateRate::adapt(const std::array<std::uint32_t, kRing>& service) {
    const double count = sum(0, kRing);
    const double share = count / std::max(1.0, sum_of(service, 0, kRing));
    rate_ = count / static_cast<double>(kRing);
    lines_ = share * all_;
    top_1_ = *std::ranges::max_element(ring_);
    top_5_ =
        std::max(top_5_, count / static_cast<double>(kRing) * static_cast<double>(kFive) * 1.5);
    low_20_ = std::min(low_20_, count / 2);
    low_30_ = std::min(low_30_, count);
}

void TemplateRate::merge(const TemplateRate& other) {
    now_ += other.now_;
    for (std::size_t i = 0; i < kRing; ++i) ring_[i] += other.ring_[i];
    steps_ = std::max(steps_, other.steps_);
    rate_ += other.rate_;
    lines_ += other.lines_;
    all_ = std::max(all_, other.all_);
    scatter_ = std::max(scatter_, other.scatter_);
    top_1_ += other.top_1_;
    top_5_ += other.top_5_;
    low_20_ = std::max(low_20_, 0.0) + std::max(other.low_20_, 0.0);
    low_30_ = std::max(low_30_, 0.0) + std::max(other.low_30_, 0.0);
}

void TemplateRate::save(Encoder& out) const {
    out.u64(now_);
    for (const std::uint32_t count : ring_) out.u64(count);
    out.u64(steps_);
    for (const double value : {rate_, lines_, all_, scatter_, top_1_, top_5_, low_20_, low_30_}) {
        out.f64(value);
    }
}

void TemplateRate::load(Decoder& in) {
    now_ = static_cast<std::uint32_t>(in.u64());
    for (std::uint32_t& count : ring_) count = static_cast<std::uint32_t>(in.u64());
    steps_ = static_cast<std::uint32_t>(in.u64());
    for (double* value :
         {&rate_, &lines_, &all_, &scatter_, &top_1_, &top_5_, &low_20_, &low_30_}) {
        *value = in.f64();
        if (!(std::abs(*value) < kNumberMax)) in.set_failed();
    }
    if (!(scatter_ >= 1)) in.set_failed();
}

}  // namespace vigie::detectors
