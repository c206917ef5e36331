#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/notices.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// What actions answered, and the execution of a plan: one step at a time, never twice.
namespace vigie::agent {

using schemas::ActionEvent;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::IncidentState;
using schemas::PlanStep;

namespace {

// A new inspection replaces the one before: what it no longer finds is no longer a fact.
void keep_facts(Work& work, const std::map<std::string, std::string>& found) {
    const auto step = static_cast<std::size_t>(work.step);
    if (work.facts.size() <= step) work.facts.resize(step + 1);
    auto& facts = work.facts[step];
    facts.clear();
    for (const auto& [name, value] : found) {
        if (facts.size() == kFactsMax) break;
        facts[clean(name, kNameBytesMax)] = clean(value, 4 * kTextBytesMax);
    }
}

void keep_diff(Work& work, const std::vector<std::string>& diff) {
    const auto step = static_cast<std::size_t>(work.step);
    if (work.diffs.size() <= step) work.diffs.resize(step + 1);
    auto& lines = work.diffs[step];
    lines.clear();
    // One more than is shown, so that the plan can say that it is cut.
    for (const auto& line : diff) {
        if (lines.size() <= kDiffLinesMax) lines.push_back(clean(line));
    }
}

std::string told(const ActionEvent& outcome) {
    return fmt::format("{} {} of {}: {}", schemas::to_string(outcome.phase), outcome.action,
                       clean(outcome.target.value, kNameBytesMax),
                       fmt::format("{}{}{}", schemas::to_string(outcome.status),
                                   outcome.message.empty() ? "" : ", ", clean(outcome.message)));
}

bool is_final(ActionStatus status) {
    return status != ActionStatus::kIntended && status != ActionStatus::kStarted;
}

}  // namespace

Status Turn::on_outcome(const ActionEvent& outcome) {
    if (outcome.status == ActionStatus::kIntended) {
        audit("outcome ignored", meta_.id.value, "it is an intent, not an outcome");
        return {};
    }
    VIGIE_TRY_ASSIGN(auto item, memory_.load(outcome.incident));
    if (!item || outcome.id.empty() || item->work.waiting_for != outcome.id) {
        audit("outcome ignored", meta_.id.value,
              fmt::format("{}: no incident waits for {}", told(outcome),
                          clean(outcome.id.value, kNameBytesMax)));
        return {};
    }
    audit("action outcome", meta_.id.value,
          fmt::format("incident {}: {}", item->incident.id.value, told(outcome)));
    tell(*item, "action", told(outcome), outcome.id.value);
    touch(told(outcome));
    const bool inspecting = item->work.purpose != Purpose::kNone;
    if (is_final(outcome.status)) {
        context_.cancel_timer(
            timer_name(inspecting ? kInspectTimer : kActionTimer, item->incident.id.value));
        item->work.waiting_for = {};
        VIGIE_TRY(inspecting ? on_inspected(*item, outcome) : on_executed(*item, outcome));
    } else if (!inspecting && item->incident.plan) {
        const auto step = static_cast<std::size_t>(item->work.step);
        item->incident.plan->steps[step].status = schemas::to_string(outcome.status);
    }
    finish(*item);
    return {};
}

Status Turn::on_inspected(Case& item, const ActionEvent& outcome) {
    auto& work = item.work;
    const Purpose purpose = std::exchange(work.purpose, Purpose::kNone);
    if (outcome.status != ActionStatus::kSucceeded) {
        return escalate(item, purpose == Purpose::kPlan ? Hold::kNoPlan : Hold::kPerson,
                        fmt::format("the target could not be inspected: {}", told(outcome)),
                        work.acted);
    }
    keep_facts(work, outcome.facts);
    keep_diff(work, outcome.diff);
    work.facts_at = at(item);
    if (purpose == Purpose::kApproved) return confirm_plan(item);
    if (purpose == Purpose::kNextStep || purpose == Purpose::kRetry) return confirm_step(item);
    const auto* runbook = runbook_of(item);
    if (runbook != nullptr && static_cast<std::size_t>(work.step) + 1 < runbook->steps.size()) {
        ++work.step;
        return ask_inspection(item, Purpose::kPlan);
    }
    return propose(item);
}

// An approval is for exactly one plan: what the target needs now must still be that plan.
Status Turn::confirm_plan(Case& item) {
    auto& incident = item.incident;
    const auto* runbook = runbook_of(item);
    const auto* entry = view_.entry(item.work.cause_entity);
    if (runbook == nullptr || entry == nullptr || !incident.plan) {
        return escalate(item, Hold::kPerson, "the configuration no longer has the approved plan",
                        false);
    }
    const auto planning = make_plan(plan_request(item, *runbook, *entry));
    if (!planning.plan) {
        const auto why = planning.refusals.empty() ? "no reason" : planning.refusals.back().reason;
        audit("plan refused", incident.plan->id.value,
              fmt::format("incident {}: approved, but {}", incident.id.value, why));
        return escalate(item, Hold::kPerson, fmt::format("approved, but {}", why), false);
    }
    if (planning.plan->id != incident.plan->id) {
        const auto old = incident.plan->id;
        audit("approval not used", old.value,
              fmt::format("incident {}: the target changed since, it would now be {}",
                          incident.id.value, planning.plan->id.value));
        tell(item, "plan", "the target changed after the approval: a new plan is needed",
             old.value);
        move(item, IncidentState::kDiagnosing, "the target changed after the approval");
        return propose(item);
    }
    // Guards come from the fresh inspection; all else is equal, or the id would not be.
    for (std::size_t i = 0; i < incident.plan->steps.size(); ++i) {
        incident.plan->steps[i].parameters = planning.plan->steps[i].parameters;
    }
    return pass_gate_again(item);
}

// Before a later step or the retry: its own preconditions, parameters and diff.
Status Turn::confirm_step(Case& item) {
    auto& plan = *item.incident.plan;
    const auto index = static_cast<std::size_t>(item.work.step);
    const auto* runbook = runbook_of(item);
    const auto* entry = view_.entry(item.work.cause_entity);
    if (runbook == nullptr || entry == nullptr || index >= runbook->steps.size()) {
        return escalate(item, Hold::kPerson, "the configuration no longer has the plan", true);
    }
    const auto& step = runbook->steps[index];
    PlanStep& planned = plan.steps[index];
    const auto facts = merged_facts(item.work, index);
    const Bindings bindings{*entry, facts};
    std::string problem;
    for (const auto& precondition : step.preconditions) {
        const auto status = holds(precondition, bindings);
        if (!status && problem.empty()) problem = status.error().message;
    }
    for (const auto& [name, text] : step.parameters) {
        const auto value = agent::resolve(text, bindings);
        if (!value && problem.empty()) problem = value.error().message;
        if (!value) continue;
        if (!is_guard(name) && planned.parameters[name] != *value && problem.empty()) {
            problem = fmt::format("the parameter {} changed", name);
        }
        planned.parameters[name] = *value;
    }
    const bool same_diff = index < item.work.diffs.size() && item.work.diffs[index] == planned.diff;
    if (problem.empty() && !same_diff) problem = "what it would do changed";
    if (problem.empty() && at(item) >= plan.expires_at) problem = "the approval has expired";
    if (!problem.empty()) {
        audit("plan refused", plan.id.value,
              fmt::format("incident {}: step {}: {}", item.incident.id.value, index + 1, problem));
        return escalate(item, Hold::kPerson, fmt::format("step {}: {}", index + 1, problem), true);
    }
    return pass_gate_again(item);
}

Status Turn::pass_gate_again(Case& item) {
    auto& plan = *item.incident.plan;
    VIGIE_TRY_ASSIGN(const auto permitted, gate(item, plan, item.work.facts_at));
    const bool approved = !plan.approved_by.empty() && plan.approved_by != "autonomous";
    const bool may = permitted == Permission::kAct || (approved && permitted == Permission::kAsk);
    if (may) return execute(item);
    plan.steps[static_cast<std::size_t>(item.work.step)].status = "blocked";
    const auto why = blocking(plan.gate);
    return escalate(
        item, item.work.acted ? Hold::kPerson : Hold::kGate,
        fmt::format("the gate holds the plan: {}", why.empty() ? "nobody approved it" : why),
        item.work.acted);
}

// Asks for the step at hand. The intent is on the log before anybody can act on it, and every
// intent has an id of its own: an outcome can only belong to this one.
Status Turn::execute(Case& item) {
    auto& incident = item.incident;
    auto& work = item.work;
    auto& plan = *incident.plan;
    const auto index = static_cast<std::size_t>(work.step);
    PlanStep& step = plan.steps[index];
    ++work.intents;
    step.action_id = {stable_id("act-", fmt::format("{}\nexecute\n{}\n{}", incident.id.value,
                                                    plan.id.value, work.intents))};
    step.status = "intended";
    ActionEvent intent;
    intent.id = step.action_id;
    intent.incident = incident.id;
    intent.plan = plan.id;
    intent.phase = ActionPhase::kExecute;
    intent.status = ActionStatus::kIntended;
    intent.action = step.action;
    intent.target = step.target;
    intent.parameters = step.parameters;
    if (index < work.facts.size()) intent.facts = work.facts[index];
    intent.diff = step.diff;
    intent.message = fmt::format("{}, step {} of {}, approved by {}", plan.title, index + 1,
                                 plan.steps.size(), plan.approved_by);
    work.waiting_for = step.action_id;
    work.purpose = Purpose::kNone;
    work.acted = true;
    work.tried.insert(fmt::format("{}|{}|{}|{}", work.cause_entity.value,
                                  schemas::to_string(work.cause_mechanism), work.cause_change,
                                  work.runbook));
    const auto when = at(item);
    const auto* runbook = runbook_of(item);
    const auto rest = runbook == nullptr ? std::chrono::seconds{600} : runbook->cooldown;
    VIGIE_TRY(controls_.count_action(step.action_id, step.target, when));
    VIGIE_TRY(controls_.start_cooldown(step.target, episode(item, plan), when + rest, when));
    audit("action intended", step.action_id.value,
          fmt::format("incident {}, plan {}: {} on {}", incident.id.value, plan.id.value,
                      step.action, step.target.value));
    start_timer(item, kActionTimer, when + policy_.action_timeout);
    if (index == 0 && !work.retried) notify(item, "update", "acting", acting_text(incident));
    context_.emit(std::move(intent));
    const auto reason = fmt::format("step {} of {}: {} on {}", index + 1, plan.steps.size(),
                                    step.action, step.target.value);
    tell(item, "action", reason, step.action_id.value);
    move(item, IncidentState::kActing, reason);
    return {};
}

Status Turn::on_executed(Case& item, const ActionEvent& outcome) {
    auto& work = item.work;
    VIGIE_ASSERT(item.incident.plan.has_value());
    auto& plan = *item.incident.plan;
    auto& step = plan.steps[static_cast<std::size_t>(work.step)];
    step.status = schemas::to_string(outcome.status);
    if (outcome.status != ActionStatus::kSucceeded) return on_failed(item, outcome);
    const bool last = static_cast<std::size_t>(work.step) + 1 == plan.steps.size();
    if (last) return begin_verifying(item);
    if (item.incident.state != IncidentState::kActing) {
        return escalate(item, Hold::kPerson, "a step succeeded after its time: the rest is left",
                        true);
    }
    ++work.step;
    work.retried = false;
    return ask_inspection(item, Purpose::kNextStep);
}

Status Turn::on_failed(Case& item, const ActionEvent& outcome) {
    auto& work = item.work;
    const auto& plan = *item.incident.plan;
    const auto applied = outcome.facts.find("applied");
    const bool surely_not = outcome.status == ActionStatus::kFailed &&
                            applied != outcome.facts.end() && applied->second == "no";
    if (surely_not && !work.retried && at(item) < plan.expires_at &&
        item.incident.state == IncidentState::kActing) {
        work.retried = true;
        tell(item, "action", "certainly not applied: it is tried once more, checked afresh",
             outcome.id.value);
        audit("retry", plan.id.value,
              fmt::format("incident {}: {} was certainly not applied and may be asked for once "
                          "more",
                          item.incident.id.value, outcome.id.value));
        return ask_inspection(item, Purpose::kRetry);
    }
    std::string reason;
    switch (outcome.status) {
        case ActionStatus::kInDoubt:
            reason = fmt::format(
                "whether {} was applied is not known: look at {}, it is never "
                "repeated",
                outcome.action, clean(outcome.target.value, kNameBytesMax));
            break;
        case ActionStatus::kRefused:
            reason = fmt::format("the action was refused: {}", clean(outcome.message));
            break;
        default: reason = fmt::format("the action failed: {}", clean(outcome.message)); break;
    }
    return escalate(item, Hold::kPerson, std::move(reason), true);
}

}  // namespace vigie::agent
