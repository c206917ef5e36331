#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "detectors/codec.h"

namespace vigie::detectors {

// How often lines of one template come, counted in steps of equal length. Two views of what is
// usual, both must find the count odd: its own rate of the last hours, and its share of all lines
// of the service, so that neither the rhythm of the day nor a surge of traffic is an anomaly.
class TemplateRate {
public:
    static constexpr std::size_t kRing = 30;     // Steps that are remembered one by one.
    static constexpr std::uint32_t kWarm = 180;  // Steps before anything is judged.

    void add() { ++now_; }

    struct Verdict {
        double nats = 0;      // How unlikely, where both the size and the history allow it; else 0.
        double observed = 0;  // Lines in `steps` steps,
        double expected = 0;
        std::size_t steps = 0;
        bool more = false;
    };
    // A step is over; `service` has how many lines all templates had in each of the last kRing
    // steps, the newest at `at`.
    Verdict close_step(const std::array<std::uint32_t, kRing>& service, std::size_t at);
    // After close_step(): the step was usual, and is learned.
    void learn(const std::array<std::uint32_t, kRing>& service, std::size_t at);
    // What came in the last steps is usual from now on.
    void adapt(const std::array<std::uint32_t, kRing>& service);

    std::uint32_t steps() const { return steps_; }
    double usual() const { return rate_; }  // Lines a step.
    void merge(const TemplateRate& other);

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    double sum(std::size_t at, std::size_t steps) const;
    Verdict judge_more(const std::array<std::uint32_t, kRing>& service, std::size_t at) const;
    Verdict judge_less(const std::array<std::uint32_t, kRing>& service, std::size_t at) const;
    double by_share(double others) const;

    std::uint32_t now_ = 0;
    std::array<std::uint32_t, kRing> ring_{};
    std::uint32_t steps_ = 0;
    double rate_ = 0;   // Lines a step.
    double lines_ = 0;  // Of it and of the service, older ones counting less: its share.
    double all_ = 0;
    double scatter_ = 1;  // Variance over mean; 1 is Poisson.
    double top_1_ = 0;    // The most in one step, and in five.
    double top_5_ = 0;
    double low_20_ = -1;  // The fewest in 20 steps, and in 30; -1: not known.
    double low_30_ = -1;
};

}  // namespace vigie::detectors
