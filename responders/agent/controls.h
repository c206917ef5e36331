#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/agent/agent.h"
#include "responders/agent/gate.h"
#include "responders/agent/learn.h"
#include "schemas/silences.h"

namespace vigie::agent {

using schemas::Silence;

// What people switched and what was done recently: all that the gate must remember. In the
// agent's state.
class Controls {
public:
    // `state` must outlive this.
    explicit Controls(AgentContext& state) : state_(state) {}

    // Takes the place of one with the same id. kOverloaded beyond kSilencesMax.
    Status add_silence(const Silence& silence, EventTime now);
    // Those that have not ended at `now`, also those that have not begun.
    Result<std::vector<Silence>> silences(EventTime now) const;
    void end_silence(std::string_view id);

    // kOverloaded beyond kModesMax scopes.
    Status set_mode(const ModeDecision& decision);
    Status clear_mode(std::string_view scope);
    Result<std::vector<ModeDecision>> modes() const;

    // "": off, else who switched it on and when.
    Result<std::string> kill() const;
    void set_kill(std::string text);
    void clear_kill();

    // The blast-radius budget and the cooldown of a target.
    Status count_action(const ActionId& id, const EntityId& target, EventTime now);
    Result<std::int64_t> actions_since(EventTime since) const;
    Status start_cooldown(const EntityId& target, std::string_view by, EventTime until,
                          EventTime now);
    // "", or why `target` must rest. `by` ("PLAN#EPISODE") does not wait for its own steps.
    Result<std::string> cooldown(const EntityId& target, std::string_view by, EventTime now) const;

    Result<Outcomes> outcomes() const;
    void set_outcomes(const Outcomes& outcomes);

private:
    AgentContext& state_;
};

}  // namespace vigie::agent
