#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "detectors/codec.h"

namespace vigie::detectors {

// How rare a score is against the score's own past: a histogram over quarters of octaves that
// forgets (a score weighs 1/e after `kMemory` later ones), and above its top decile a generalised
// Pareto distribution fitted by moments (Hosking and Wallis 1987). 490 bytes. Positive scores
// only; what is not positive counts as being below all of them.
class ScoreTail {
public:
    // -log10 of the share of scores above `score`; 0 for scores in the lower half, and until 30
    // scores are known.
    double rarity(double score) const;
    // The score that is exceeded with probability `share` (below a tenth); 0 while unknown.
    double exceeded_by(double share) const;
    void add(double score);
    std::uint64_t seen() const { return seen_; }

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    static constexpr int kPerOctave = 4;
    static constexpr int kOctaves = 24;
    static constexpr int kBuckets = kPerOctave * kOctaves;

    int bucket_of(double score) const;  // In the window of octaves, clamped to its ends.
    double bound_of(int bucket) const;  // Lower bound of a bucket.
    void make_room_for(double score);   // Moves the window of octaves.
    void fit();

    std::array<float, kBuckets> weight_{};
    std::int32_t lowest_octave_ = 0;
    double total_ = 0;  // Weight of all scores, and of the next one: it grows instead of the
    double next_ = 1;   // others shrinking.
    std::uint64_t seen_ = 0;
    std::uint64_t fit_at_ = 0;
    bool any_ = false;
    // The fit: above `start_`, which a share `above_` exceeds.
    double start_ = 0;
    double above_ = 0;
    double scale_ = 0;
    double shape_ = 0;
};

}  // namespace vigie::detectors
