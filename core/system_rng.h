#pragma once

#include <cstdint>

namespace vigie {

// A seed from the machine's entropy: for instance names and jitter, never for decisions.
std::uint64_t system_seed();

}  // namespace vigie
