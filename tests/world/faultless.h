#pragma once

#include <string>
#include <vector>

#include "tests/world/world.h"

namespace vigie::sim {

// Runs each stage that is a function of its input over what the world's log holds for it, with
// no faults at all, and says in one sentence each what is not the same: a record that a sender
// was told is there and is not, an output lost or made twice, a row of state or a timer. Bulk
// stages may repeat outputs. For a world that has settled.
std::vector<std::string> compare_with_faultless(const World& world);

}  // namespace vigie::sim
