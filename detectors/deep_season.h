#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"

namespace vigie::detectors {

// What each time of the day held on the last seven days it was seen, in up to `kBinsMax` parts
// of a day. A median over days bends to no single outage (median seasonality: Vallis et al.,
// HotCloud 2014), and what two days had at this time is no news.
class DayMemory {
public:
    // Where a value of this time of day usually lies. `known` without any day yet is false;
    // the range `low`..`high`, the second most extreme of the days, needs two.
    struct Usual {
        bool known = false;
        bool ranged = false;
        double median = 0;
        double low = 0;
        double high = 0;
        bool weekly = false;  // Seven days are known, and about this time the one a week ago held
        double week = 0;      // so much more than their median.
    };

    // `step`: between two rows of the series. To be called once, before anything else.
    void start(EventClock::duration step);
    bool started() const { return bins_ > 0; }
    Usual usual(EventTime at) const;
    void learn(EventTime at, double value);
    std::size_t bytes() const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    static constexpr std::size_t kDays = 7;
    static constexpr std::size_t kBinsMax = 720;

    std::size_t bin_of(EventTime at) const;
    std::int64_t day_of(EventTime at) const;
    void close();

    std::size_t bins_ = 0;
    std::vector<float> means_;        // [bin][slot]; not a number where no day was seen.
    std::vector<std::uint8_t> next_;  // For each bin the slot to overwrite: the oldest.
    // The part of the day that is being summed up.
    bool open_ = false;
    std::size_t bin_ = 0;
    std::int64_t day_ = 0;
    double sum_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace vigie::detectors
