#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "detectors/codec.h"

namespace vigie::detectors {

// How long requests took: counts in buckets of one sixteenth of an octave, as HdrHistogram does
// (hdrhistogram.org). Quantiles are at most 3.2 % off, two sketches merge exactly, and the size is
// bounded because durations are held between a microsecond and a day.
class LatencySketch {
public:
    void add(double seconds);
    void merge(const LatencySketch& other);
    std::uint64_t count() const { return count_; }
    double quantile(double q) const;  // Seconds; 0 when empty.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    std::vector<std::pair<std::int32_t, std::uint64_t>> buckets_;  // Ascending.
    std::uint64_t count_ = 0;
};

}  // namespace vigie::detectors
