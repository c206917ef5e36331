#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "detectors/codec.h"

namespace vigie::detectors {

// How long requests took, in seconds: a DDSketch (Masson, Rim, Lee, "DDSketch: A Fast and
// Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019). Buckets grow by
// gamma = (1 + a) / (1 - a), so a quantile is at most kRelativeError off; two sketches merge
// exactly, in any order. The bucket of a value comes from a cubic in place of the logarithm, as in
// DataDog's own implementations, which costs 1 % more buckets and is the same on every machine.
// At most about 1,300 buckets, because durations are held between a microsecond and a day.
class LatencySketch {
public:
    static constexpr double kRelativeError = 0.01;

    void add(double seconds, std::uint64_t times = 1);
    void merge(const LatencySketch& other);
    std::uint64_t count() const { return count_; }
    std::size_t buckets() const { return buckets_.size(); }
    double quantile(double q) const;  // Seconds; 0 when empty.

    bool operator==(const LatencySketch&) const = default;

    void save(Encoder& out) const;
    void load(Decoder& in);
    // The format before: buckets of a sixteenth of an octave.
    void load_octaves(Decoder& in);

private:
    void add_to(std::int32_t bucket, std::uint64_t times);

    std::vector<std::pair<std::int32_t, std::uint64_t>> buckets_;  // Ascending.
    std::uint64_t count_ = 0;
};

}  // namespace vigie::detectors
