#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/deep_channels.h"

namespace vigie::detectors {

// What the deep detector says of one row.
struct DeepVerdict {
    bool judged = false;  // False in warm-up: then there is no alarm, and score is 0.
    double expected = 0;  // Where the next value was expected, in the unit of the series,
    double lower = 0;     // and the band it stays in but for one row in a hundred thousand.
    double upper = 0;
    double score = 0;        // Above 1 is an alarm: the sum of rarities, in thresholds.
    double probability = 0;  // The same as a number from 0 to 1: an alarm from 0.5 on.
    bool anomaly = false;
    // Before the series' own record counts: the sum of rarities, in thresholds; and how far the
    // value is from the last ones, in usual sizes of that.
    double sum = 0;
    double deviation = 0;
    bool usual = false;  // Two other days held nearly such a value at this time of day.
};

// Judges one series row by row, and never looks ahead. Its channels (deep_channels.h) each say
// how rare the row is; rarities are summed (Fisher 1932), because what many views find odd at
// once is what people call odd, and not calibrated again. Then the series' own record counts: a
// row of an episode that has been told needs to be a quarter higher to be told again, and the
// more episodes as high there were lately, the higher the next must be (an alarm budget).
class DeepSeries {
public:
    static constexpr std::uint64_t kWarmupRows = 60;

    // `at` is not before that of the call before (rows of the same time are rows); `value` is
    // finite and at most 1e200 in size.
    DeepVerdict observe(EventTime at, double value);
    std::size_t bytes() const;  // Of memory, all of it.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Peak {
        std::uint32_t row = 0;
        float height = 0;
    };

    double sum_of(const Rarities& rarities) const;
    // The sum as the series' record lets it stand, in thresholds.
    double restrain(double sum);
    void end_episode();

    ChannelSet channels_;
    std::uint32_t rows_ = 0;  // Stops at its largest value, eight thousand years of minutes on.
    double origin_ = 0;  // Channels see (value - origin) / unit: the first value, and the power
    double unit_ = 0;    // of two above the first change; 0 until there is one.
    bool open_ = false;  // An episode runs,
    Peak peak_;          // and this is its highest row so far.
    std::uint32_t calm_ = 0;  // Rows far below it, since the last that was not.
    std::vector<Peak> past_;  // Of those before, oldest first.
};

}  // namespace vigie::detectors
