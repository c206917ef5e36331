#pragma once

#include <cstdint>

#include "detectors/codec.h"

namespace vigie::detectors {

// Where a finding stands. kSilent: it stopped firing because nothing was left to judge it by. It
// is remembered so that it is told again, as calm or as firing, when there is: whoever heard of
// it cannot know otherwise.
enum class Phase : std::uint8_t { kQuiet, kFiring, kSilent };

inline void save_phase(Phase phase, Encoder& out) {
    out.u64(static_cast<std::uint64_t>(phase));
}

inline Phase load_phase(Decoder& in) {
    const std::uint64_t value = in.u64();
    if (value > static_cast<std::uint64_t>(Phase::kSilent)) in.set_failed();
    return in.failed() ? Phase::kQuiet : static_cast<Phase>(value);
}

}  // namespace vigie::detectors
