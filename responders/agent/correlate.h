#pragma once

#include <optional>
#include <string>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/agent/memory.h"
#include "responders/agent/policy_view.h"
#include "responders/agent/world.h"

namespace vigie::agent {

// Where a new symptom belongs, and why, in words for the audit.
struct Match {
    IncidentId incident;
    std::string because;
};

// Looks for the open incident that a symptom of `entity` (canonical) seen at `at` belongs to, in
// this order; among equals the one with the latest activity, then the lowest id:
//   1. one that is at the same entity, whenever it opened;
//   2. one at a neighbour in the topology, active within the correlation window;
//   3. one that suspects the same recent change, active within the correlation window.
// Absence: it is the first of its kind. An empty entity has no neighbours and matches nothing.
Result<std::optional<Match>> correlate(const EntityId& entity, EventTime at, const Memory& memory,
                                       const World& world, const PolicyView& view);

}  // namespace vigie::agent
