#pragma once

#include <cstdint>

#include "core/result.h"

namespace vigie {

// The only source of randomness. Same seed, same numbers, on every compiler: that is why it
// does not use the distributions of <random>, whose results differ between libraries. The
// generator is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, OOPSLA 2014).
class Rng {
public:
    explicit Rng(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }

    // Uniform in [0, bound), up to a bias too small for tests and jitter. `bound` >= 1.
    std::uint64_t below(std::uint64_t bound) {
        VIGIE_ASSERT(bound >= 1);
        return next() % bound;
    }

    // True `per_mille` times out of 1000.
    bool chance(std::uint32_t per_mille) { return below(1000) < per_mille; }

    // Uniform in [0, 1).
    double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

private:
    std::uint64_t state_;
};

}  // namespace vigie
