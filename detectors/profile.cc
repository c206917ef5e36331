#include "detectors/profile.h"

#include <algorithm>
#include <cmath>

#include "detectors/robust.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kPeriodsKept = 5;

// Division that rounds down, so that times before the epoch have phases too.
std::int64_t floor_div(std::int64_t value, std::int64_t by) {
    const std::int64_t quotient = value / by;
    return value % by < 0 ? quotient - 1 : quotient;
}

}  // namespace

std::int64_t Profile::phase_number(EventTime at) const {
    const auto width = period_.count() / static_cast<std::int64_t>(phases_.size());
    return floor_div(micros_of(at), width);
}

std::size_t Profile::index(std::int64_t phase_number) const {
    const auto size = static_cast<std::int64_t>(phases_.size());
    return static_cast<std::size_t>(phase_number - floor_div(phase_number, size) * size);
}

void Profile::learn(EventTime at, double value) {
    const std::int64_t number = phase_number(at);
    if (count_ > 0 && number != open_) fold();
    open_ = number;
    sum_ += value;
    ++count_;
}

void Profile::fold() {
    Phase& phase = phases_[index(open_)];
    const double mean = sum_ / static_cast<double>(count_);
    sum_ = 0;
    count_ = 0;
    if (phase.means.size() == kPeriodsKept) phase.means.erase(phase.means.begin());
    phase.means.push_back(static_cast<float>(std::clamp(mean, -1e38, 1e38)));
    if (phase.means.size() == 2) ++seen_twice_;
    phase.median = median({phase.means.begin(), phase.means.end()});
    double total = 0;
    std::size_t seen = 0;
    for (const Phase& each : phases_) {
        if (each.means.empty()) continue;
        total += each.median;
        ++seen;
    }
    center_ = total / static_cast<double>(seen);
}

bool Profile::ready() const {
    return seen_twice_ * 5 >= phases_.size() * 4;
}

double Profile::offset(EventTime at) const {
    const auto width = period_.count() / static_cast<std::int64_t>(phases_.size());
    // Between the middles of two phases the course is a straight line.
    const std::int64_t since_middle = micros_of(at) - width / 2;
    const std::int64_t left = floor_div(since_middle, width);
    const double share =
        static_cast<double>(since_middle - left * width) / static_cast<double>(width);
    const Phase& from = phases_[index(left)];
    const Phase& to = phases_[index(left + 1)];
    const double a = from.means.empty() ? center_ : from.median;
    const double b = to.means.empty() ? center_ : to.median;
    return a + (b - a) * share - center_;
}

void Profile::save(Encoder& out) const {
    for (const Phase& phase : phases_) {
        out.u64(phase.means.size());
        for (const float mean : phase.means) out.f64(static_cast<double>(mean));
    }
    out.i64(open_);
    out.f64(sum_);
    out.u64(count_);
}

void Profile::load(Decoder& in) {
    double total = 0;
    std::size_t seen = 0;
    seen_twice_ = 0;
    for (Phase& phase : phases_) {
        phase.means.clear();
        const std::size_t size = in.count(8);
        if (size > kPeriodsKept) in.set_failed();
        for (std::size_t i = 0; i < size && !in.failed(); ++i) {
            const double mean = in.f64();
            if (!(std::abs(mean) <= 1e38)) {
                in.set_failed();
                break;
            }
            phase.means.push_back(static_cast<float>(mean));
        }
        phase.median = median({phase.means.begin(), phase.means.end()});
        if (phase.means.size() >= 2) ++seen_twice_;
        if (phase.means.empty()) continue;
        total += phase.median;
        ++seen;
    }
    center_ = seen == 0 ? 0 : total / static_cast<double>(seen);
    open_ = in.i64();
    sum_ = in.f64();
    count_ = in.u64();
    if (!std::isfinite(sum_)) in.set_failed();
}

}  // namespace vigie::detectors
