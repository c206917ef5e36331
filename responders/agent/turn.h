#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "responders/agent/agent.h"
#include "responders/agent/controls.h"
#include "responders/agent/gate.h"
#include "responders/agent/memory.h"
#include "responders/agent/plan.h"
#include "responders/agent/policy_view.h"
#include "responders/agent/signal.h"
#include "responders/agent/world.h"
#include "schemas/events.h"

namespace vigie::agent {

// One call of the agent: the work on one event or timer. Lives as long as the call.
class Turn {
public:
    struct Options {
        AgentContext& context;
        CaseCache& cache;
        const PolicyView& view;
        EventTime now;
        schemas::EventMeta meta;  // Of the event; of a timer: only the domain matters
    };
    explicit Turn(Options options);

    Status on_signal(const Signal& signal);                       // intake.cc
    Status on_change(const schemas::Change& change);              // intake.cc
    Status on_decision(const schemas::Decision& decision);        // decisions.cc
    Status on_outcome(const schemas::ActionEvent& outcome);       // outcomes.cc
    Status on_new_policy(bool changed, std::string_view id);      // switches.cc
    Status on_timer(std::string_view name, std::string_view id);  // timers.cc
    // Nothing came between `last` and now; nullopt: for how long is not known.
    Status on_gap(std::optional<EventTime> last);  // timers.cc

    void audit(std::string_view what, std::string_view subject, std::string detail,
               std::string_view actor = "vigie");

private:
    // intake.cc
    Status on_known_signal(Case& item, const Signal& signal);
    Status on_new_signal(const Signal& signal);
    Status on_repeat(Case& item, schemas::Evidence& evidence, const Signal& signal);
    Status on_return(Case& item, schemas::Evidence& evidence, const Signal& signal);
    Status on_clear(Case& item, schemas::Evidence& evidence, const Signal& signal);
    Status on_unclear_end(Case& item, schemas::Evidence& evidence, const Signal& signal);
    Result<std::optional<Case>> resolved_too_early(const EntityId& entity, const Signal& signal);
    Status resume(Case& item, const Signal& signal);
    Status merge(Case& item, const Signal& signal, std::string_view because);
    Status open(const Signal& signal);
    Status overflow(const Signal& signal);
    Status attach_change(const RecentChange& change);

    // evidence.cc
    // False when there is no room: it is only counted.
    Result<bool> add_evidence(Case& item, const Signal& signal);
    void count_only(Case& item);
    void note_presence(Case& item, const EntityId& entity, EventTime seen_at);
    Status make_room(Case& item);
    Status gather(Case& item);
    Status after_evidence(Case& item);
    Result<Graph> graph_of(const Case& item) const;
    Result<bool> rediagnose(Case& item);

    // planning.cc
    Status pursue(Case& item);
    Status begin_diagnosis(Case& item, std::string reason);
    Status ask_inspection(Case& item, Purpose purpose);
    Status propose(Case& item);
    PlanRequest plan_request(const Case& item, const schemas::Runbook& runbook,
                             const schemas::InventoryEntry& entry) const;
    Result<GateInput> gate_input(const Case& item, const schemas::Plan& plan, EventTime data_at);
    Result<Permission> gate(Case& item, schemas::Plan& plan, EventTime data_at);
    Status carry_out(Case& item, Permission permitted);
    Status hold_plan(Case& item, std::string reason);
    static std::string episode(const Case& item, const schemas::Plan& plan);
    const schemas::Runbook* runbook_of(const Case& item) const;

    // outcomes.cc
    Status on_inspected(Case& item, const schemas::ActionEvent& outcome);
    Status on_executed(Case& item, const schemas::ActionEvent& outcome);
    Status confirm_plan(Case& item);
    Status confirm_step(Case& item);
    Status pass_gate_again(Case& item);
    Status execute(Case& item);
    Status on_failed(Case& item, const schemas::ActionEvent& outcome);

    // life.cc
    Status escalate(Case& item, Hold hold, std::string reason, bool page);
    Status begin_verifying(Case& item);
    Status watch_symptoms(Case& item);
    // `at_least`: longer than the hold that is asked for otherwise.
    void start_hold(Case& item, std::string because, std::chrono::seconds at_least = {});
    Status fail_verification(Case& item);
    Status resolve(Case& item, std::string reason);
    Status reopen(Case& item, std::string reason);
    Status suppress(Case& item, std::string reason);
    Status unsuppress(Case& item, std::string reason);
    Status tell_unverified(Case& item);
    void tell_firing(Case& item, std::string_view kind);
    void withdraw_plan(Case& item, std::string_view status);

    // timers.cc
    Status on_gathered(Case& item);
    Status on_no_answer(Case& item, bool inspecting);
    Status on_approval_expired(Case& item);
    Status on_held(Case& item);
    Status on_verify_over(Case& item);
    Status on_settled(Case& item);
    Result<bool> watched(const Case& item, std::string_view timer);

    // decisions.cc
    Status on_approve(Case& item, const schemas::Decision& decision);
    Status on_reject(Case& item, const schemas::Decision& decision);
    Status on_verdict(Case& item, const schemas::Decision& decision);
    Status on_incident_decision(const schemas::Decision& decision);
    std::string plan_problem(const Case& item, const schemas::Decision& decision) const;

    // switches.cc
    Status on_silence(const schemas::Decision& decision);
    Status on_mode(const schemas::Decision& decision);
    Status on_kill(const schemas::Decision& decision);
    Status on_silence_start(std::string_view id);
    Status end_silence(std::string_view id, std::string because_text,
                       std::string_view actor = "vigie");
    Status apply_silences(const std::string& woken_because);
    Status reconsider(const std::string& reason, bool no_plan_too);
    Result<std::string> silenced_by(const Case& item) const;
    Result<std::string> silence_of(const EntityId& entity) const;
    // record.cc
    EventTime at(const Case& item) const;
    void tell(Case& item, std::string_view kind, std::string text, std::string_view ref = {});
    void notify(Case& item, std::string_view kind, std::string_view tag, std::string text);
    void move(Case& item, schemas::IncidentState to, std::string reason);
    void touch(std::string reason) { update_ = std::move(reason); }
    void finish(Case& item);
    void say(Case& item, schemas::IncidentState previous, std::string reason);
    void cancel_timers(const Case& item);
    void start_timer(const Case& item, std::string_view name, EventTime when);
    std::set<EntityId> canonical_entities(const Case& item) const;

    AgentContext& context_;
    const PolicyView& view_;
    const schemas::Policy& policy_;
    const EventTime now_;
    const schemas::EventMeta meta_;
    bool is_decision_ = false;
    Memory memory_;
    World world_;
    Controls controls_;
    std::vector<schemas::Notice> notices_;  // Of the case at hand, until the next record of it
    std::string update_;                    // What changed in it since its last record
};

}  // namespace vigie::agent
