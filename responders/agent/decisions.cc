#include <utility>

#include <fmt/format.h>

#include "responders/agent/notices.h"
#include "responders/agent/postmortem.h"
#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// What people decide about one incident.
namespace vigie::agent {

using schemas::Decision;
using schemas::DecisionKind;
using schemas::IncidentState;

Status Turn::on_decision(const Decision& decision) {
    is_decision_ = true;
    switch (decision.kind) {
        case DecisionKind::kSilence: return on_silence(decision);
        case DecisionKind::kMode: return on_mode(decision);
        case DecisionKind::kKill: return on_kill(decision);
        default: return on_incident_decision(decision);
    }
}

Status Turn::on_incident_decision(const Decision& decision) {
    const auto what = schemas::to_string(decision.kind);
    const auto actor = clean(decision.actor, kNameBytesMax);
    VIGIE_TRY_ASSIGN(auto item, memory_.load(decision.incident));
    const auto refuse = [&](std::string_view why) {
        audit(fmt::format("{} refused", what), meta_.id.value,
              fmt::format("{}: {}", clean(decision.incident.value, kNameBytesMax), why), actor);
        return Status{};
    };
    if (!item) return refuse("there is no such incident");
    if (actor.find_first_not_of(' ') == std::string::npos) return refuse("it needs a name");
    const auto state = item->incident.state;
    switch (decision.kind) {
        case DecisionKind::kAck:
            if (is_closed(state)) return refuse("the incident is resolved");
            item->incident.owner = actor;
            audit("incident acknowledged", item->incident.id.value, "", actor);
            tell(*item, "decision", fmt::format("acknowledged by {}", actor), meta_.id.value);
            notify(*item, "update", "acknowledged", fmt::format("{} has it", actor));
            touch(fmt::format("{} has it", actor));
            break;
        case DecisionKind::kApprove: VIGIE_TRY(on_approve(*item, decision)); break;
        case DecisionKind::kReject: VIGIE_TRY(on_reject(*item, decision)); break;
        case DecisionKind::kVerdict: VIGIE_TRY(on_verdict(*item, decision)); break;
        case DecisionKind::kResolve: {
            if (is_closed(state)) return refuse("the incident is resolved already");
            if (state == IncidentState::kActing) return refuse("an action is under way");
            const auto reason =
                fmt::format("resolved by {}{}{}", actor, decision.reason.empty() ? "" : ": ",
                            clean(decision.reason));
            audit("incident resolved", item->incident.id.value, reason, actor);
            tell(*item, "decision", reason, meta_.id.value);
            VIGIE_TRY(resolve(*item, reason));
            break;
        }
        default: return refuse("this decision is not about an incident");
    }
    finish(*item);
    return {};
}

// "" when the decision is about the plan that is waiting for one.
std::string Turn::plan_problem(const Case& item, const Decision& decision) const {
    const auto& incident = item.incident;
    if (!incident.plan) return "the incident has no plan";
    if (incident.plan->id != decision.plan) {
        return fmt::format("the plan that waits is {}, not this one", incident.plan->id.value);
    }
    if (incident.state != IncidentState::kAwaitingApproval) {
        return fmt::format("the incident is {}, it does not wait for an approval (mode {})",
                           schemas::to_string(incident.state),
                           schemas::to_string(incident.plan->mode));
    }
    if (at(item) >= incident.plan->expires_at) {
        return fmt::format("the plan expired at {}", to_rfc3339(incident.plan->expires_at));
    }
    return {};
}

Status Turn::on_approve(Case& item, const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    auto& incident = item.incident;
    const auto refuse = [&](std::string_view why) {
        audit("approval refused", clean(decision.plan.value, kNameBytesMax),
              fmt::format("incident {}: {}", incident.id.value, why), actor);
        tell(item, "decision", fmt::format("approval by {} refused: {}", actor, why),
             meta_.id.value);
        touch("an approval was refused");
        return Status{};
    };
    if (const auto problem = plan_problem(item, decision); !problem.empty()) return refuse(problem);
    // The inspection that follows is the data whose age counts, and the gate is asked again then.
    VIGIE_TRY_ASSIGN(const auto permitted, gate(item, *incident.plan, at(item)));
    if (permitted != Permission::kAsk && permitted != Permission::kAct) {
        return refuse(fmt::format("the gate holds it: {}", blocking(incident.plan->gate)));
    }
    incident.plan->approved_by = actor;
    for (auto& step : incident.plan->steps) step.status = "approved";
    audit("plan approved", incident.plan->id.value,
          fmt::format("incident {}{}{}", incident.id.value, decision.reason.empty() ? "" : ": ",
                      clean(decision.reason)),
          actor);
    tell(item, "decision", fmt::format("approved by {}", actor), incident.plan->id.value);
    context_.cancel_timer(timer_name(kApprovalTimer, incident.id.value));
    item.work.step = 0;
    move(item, IncidentState::kActing,
         fmt::format("approved by {}; the target is looked at again", actor));
    return ask_inspection(item, Purpose::kApproved);
}

Status Turn::on_reject(Case& item, const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    if (const auto problem = plan_problem(item, decision); !problem.empty()) {
        audit("rejection refused", clean(decision.plan.value, kNameBytesMax),
              fmt::format("incident {}: {}", item.incident.id.value, problem), actor);
        return {};
    }
    const auto reason = fmt::format("rejected by {}{}{}", actor,
                                    decision.reason.empty() ? "" : ": ", clean(decision.reason));
    for (auto& step : item.incident.plan->steps) step.status = "rejected";
    audit("plan rejected", item.incident.plan->id.value,
          fmt::format("incident {}: {}", item.incident.id.value, reason), actor);
    tell(item, "decision", reason, item.incident.plan->id.value);
    context_.cancel_timer(timer_name(kApprovalTimer, item.incident.id.value));
    return escalate(item, Hold::kPerson, reason, false);
}

Status Turn::on_verdict(Case& item, const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    auto& incident = item.incident;
    const auto refuse = [&](std::string_view why) {
        audit("verdict refused", incident.id.value, std::string(why), actor);
        return Status{};
    };
    if (incident.state != IncidentState::kResolved) {
        return refuse(incident.state == IncidentState::kReviewed
                          ? "the incident has a verdict already"
                          : "the incident is not resolved yet");
    }
    const std::string& value = decision.value;
    if (value != "right" && value != "wrong" && value != "false" && value != "known") {
        return refuse("a verdict is 'right', 'wrong', 'false' or 'known'");
    }
    // A known event says nothing of the diagnosis; a false alarm had no cause to be named.
    const bool of_cause = value != "known";
    const auto& causes = incident.diagnosis.causes;
    const bool counts =
        of_cause && !causes.empty() && causes.front().mechanism != schemas::Mechanism::kUnknown;
    if (counts) {
        VIGIE_TRY_ASSIGN(auto outcomes, controls_.outcomes());
        count_verdict(outcomes, causes.front().share, decision.value == "right");
        controls_.set_outcomes(outcomes);
    }
    const auto what = value == "false"   ? "a false alarm"
                      : value == "known" ? "a known event"
                                         : "the diagnosis was " + value;
    const auto text = fmt::format("verdict of {}: {}{}{}", actor, what,
                                  decision.reason.empty() ? "" : ": ", clean(decision.reason));
    audit("verdict", incident.id.value,
          fmt::format("{}{}", text,
                      counts ? "" : " (no cause was named, so it does not count for confidence)"),
          actor);
    tell(item, "decision", text, meta_.id.value);
    incident.postmortem = write_postmortem(incident, decision.value);
    tell(item, "verdict", decision.value, meta_.id.value);
    move(item, IncidentState::kReviewed, text);
    return {};
}

}  // namespace vigie::agent
