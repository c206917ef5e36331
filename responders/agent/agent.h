#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/state.h"
#include "core/time.h"
#include "schemas/events.h"

namespace vigie::agent {

class CaseCache;
class PolicyView;

// What the agent may do with a signal: remember, and say. Implemented by app/ on a step of the
// stream, and by a recorder in tests.
class AgentContext : public State {
public:
    virtual void emit(schemas::IncidentEvent event) = 0;
    virtual void emit(schemas::ActionEvent event) = 0;  // Intents only.
    // `sequence` and `previous_hash` are filled in by whoever implements this.
    virtual void emit(schemas::Audit entry) = 0;

    // As streams::Context: durable, in event time, one for each name, setting again moves it.
    virtual void set_timer(std::string_view name, EventTime at) = 0;
    virtual void cancel_timer(std::string_view name) = 0;
};

// The incident agent of one domain: correlates signals into incidents, diagnoses, gates, plans,
// verifies and writes the post-mortem. Pure: everything it knows is in `context`'s state, so
// the same signals in the same order give the same outputs, also across restarts at any point.
class Agent {
public:
    Agent();
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    // `now` is the watermark: event time never runs back here. Unknown or meaningless events
    // are recorded in the audit and change nothing else. Errors are those of the state only.
    Status on_event(const schemas::Event& event, EventTime now, AgentContext& context);
    Status on_timer(std::string_view name, EventTime now, AgentContext& context);

private:
    Result<const PolicyView*> view(AgentContext& context);
    Status on_time(const schemas::Event& event, EventTime now, AgentContext& context);
    Status on_policy(const schemas::Event& event, EventTime now, AgentContext& context);

    // Caches of what is in the state, which decides what it is; nothing else is kept.
    std::unique_ptr<const PolicyView> view_;
    std::string view_id_;
    const std::unique_ptr<CaseCache> cache_;
};

}  // namespace vigie::agent
