#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/world/world.h"

namespace vigie::sim {

// The story of the simulator: checkout gets a bad version, it and its caller turn slow, a person
// approves the rollback, the shop recovers.
struct Outcome {
    std::vector<std::string> broken;         // Invariants that did not hold, one sentence each
    std::string trace;                       // What the log says of incidents, for comparing runs
    std::map<std::string, std::size_t> met;  // What went wrong, and how often
    std::size_t crashes = 0;
    int rollbacks = 0;
    bool handed_over = false;  // A call's fate made Vigie give the incident to a person.
};

// All that World knows, except the planted bug.
Hazards all_hazards();

// Runs the story to its end. Equal arguments give equal outcomes.
Outcome run_story(std::uint64_t seed, const Hazards& hazards);

}  // namespace vigie::sim
