#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/agent/agent.h"
#include "responders/agent/diagnose.h"
#include "responders/agent/policy_view.h"
#include "schemas/events.h"
#include "schemas/incident.h"

namespace vigie::agent {

// Evidence that no incident has yet: it may explain one that opens soon.
struct LooseEvidence {
    schemas::Evidence evidence;
    Channel channel = Channel::kOther;
    EventTime seen_at;
};

struct Neighbours {
    std::set<EntityId> dependencies;
    std::set<EntityId> dependents;
};

// What the agent learned about the fleet: calls, recent changes, loose evidence. In the agent's
// state; bounded by limits.h. Entities are canonical (PolicyView::canonical) except where said.
class World {
public:
    // Both must outlive this.
    World(AgentContext& state, const PolicyView& view) : state_(state), view_(view) {}

    enum class Learned : std::uint8_t { kNew, kKnown, kFull };
    Result<Learned> learn_edge(const EntityId& from, const EntityId& to);

    // Declared and learned, each kind at most kNeighboursMax.
    Result<Neighbours> neighbours(const EntityId& entity) const;
    // What everything reachable from `from` depends on: kPathMax calls deep, kGraphMax entities.
    Result<Graph> graph(const std::set<EntityId>& from) const;

    // Folds a status update into what is known of the change; forgets those older than
    // `change_window` before `now`, and the oldest beyond kChangesMax.
    Result<RecentChange> remember(const schemas::Change& change, const EventId& event,
                                  EventTime now);
    // By time of the last status, oldest first.
    Result<std::vector<RecentChange>> changes() const;

    // Replaces what is known of the same symptom; forgets what is older than the correlation
    // window before `now`, and the oldest beyond kLooseMax. True when the symptom is new.
    Result<bool> keep_loose(const LooseEvidence& loose, EventTime now);
    // False when there is none of that name (evidence_name).
    Result<bool> drop_loose(std::string_view name);
    // Removes and returns what was seen at one of `entities` not before `since`.
    Result<std::vector<LooseEvidence>> take_loose(const std::set<EntityId>& entities,
                                                  EventTime since);

private:
    Result<std::set<EntityId>> learned(std::string_view prefix, const EntityId& entity) const;
    Result<std::vector<std::pair<std::string, LooseEvidence>>> loose_since(EventTime since) const;

    AgentContext& state_;
    const PolicyView& view_;
};

}  // namespace vigie::agent
