#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"

namespace vigie::detectors {

// The usual course of a day or a week: for each phase the median of the last five periods, so
// that one outage does not become part of it.
class Profile {
public:
    Profile(EventClock::duration period, std::size_t phases) : period_(period), phases_(phases) {}

    void learn(EventTime at, double value);
    bool ready() const;                 // Most phases were seen in two periods.
    double offset(EventTime at) const;  // Against the mean of the profile.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Phase {
        std::vector<float> means;  // One for each period, oldest first, at most five.
        double median = 0;
    };
    std::int64_t phase_number(EventTime at) const;  // Counted from the epoch on.
    std::size_t index(std::int64_t phase_number) const;
    void fold();

    EventClock::duration period_;
    std::vector<Phase> phases_;
    std::int64_t open_ = 0;  // Number of the phase that is being summed up.
    double sum_ = 0;
    std::uint64_t count_ = 0;  // 0: no phase is open.
    double center_ = 0;        // Mean of the medians.
    std::size_t seen_twice_ = 0;
};

}  // namespace vigie::detectors
