#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/notices.h"
#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// From a diagnosis to a plan: inspect, plan, gate, and then ask, show, record or act.
namespace vigie::agent {

using schemas::IncidentState;
using schemas::Plan;

namespace {

std::string attempt_name(const schemas::Cause& cause, std::string_view runbook) {
    return fmt::format("{}|{}|{}|{}", cause.entity.value, schemas::to_string(cause.mechanism),
                       cause.change_key, runbook);
}

schemas::Cause cause_of(const Work& work) {
    schemas::Cause cause;
    cause.entity = work.cause_entity;
    cause.mechanism = work.cause_mechanism;
    cause.change_key = work.cause_change;
    return cause;
}

std::string joined(const std::vector<Refusal>& refusals) {
    std::string out;
    for (const auto& refusal : refusals) {
        out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", refusal.runbook, refusal.reason);
    }
    return out.empty() ? "there are no runbooks" : clean(out, 4 * kTextBytesMax);
}

void mark_steps(Plan& plan, std::string_view status) {
    for (auto& step : plan.steps) step.status = status;
}

}  // namespace

const schemas::Runbook* Turn::runbook_of(const Case& item) const {
    for (const auto& runbook : policy_.runbooks) {
        if (runbook.name == item.work.runbook) return &runbook;
    }
    return nullptr;
}

Status Turn::begin_diagnosis(Case& item, std::string reason) {
    item.work.hold = Hold::kNone;
    item.work.purpose = Purpose::kNone;
    item.work.waiting_for = {};
    context_.cancel_timer(timer_name(kInspectTimer, item.incident.id.value));
    VIGIE_TRY_ASSIGN(const bool changed, rediagnose(item));
    static_cast<void>(changed);
    if (item.incident.state != IncidentState::kDiagnosing) {
        move(item, IncidentState::kDiagnosing, std::move(reason));
    } else {
        touch(std::move(reason));
    }
    return pursue(item);
}

// Looks for the next runbook for the first cause, and asks for an inspection of its target.
Status Turn::pursue(Case& item) {
    auto& work = item.work;
    if (!symptoms_remain(item.incident)) return tell_unverified(item);
    const auto& top = item.incident.diagnosis.causes.front();
    if (top.mechanism == schemas::Mechanism::kUnknown) {
        return escalate(item, Hold::kNoPlan, "no known cause stands out", false);
    }
    if (work.inspections >= kInspectionsMax) {
        return escalate(item, Hold::kPerson,
                        fmt::format("{} inspections led to no plan", work.inspections), false);
    }
    const auto* entry = view_.entry(top.entity);
    if (entry == nullptr) {
        return escalate(item, Hold::kNoPlan,
                        fmt::format("{} is not in the inventory, so nothing may act on it",
                                    clean(top.entity.value, kNameBytesMax)),
                        false);
    }
    auto selection = select_runbooks(policy_.runbooks, top);
    for (const auto& runbook : selection.runbooks) {
        if (work.tried.contains(attempt_name(top, runbook.name))) {
            selection.refusals.push_back({runbook.name, "it was tried already"});
            continue;
        }
        Status fits;
        for (const auto& step : runbook.steps) {
            const auto parameters = inspection_parameters(step, *entry);
            if (fits && !parameters) fits = fail(parameters.error());
        }
        if (!fits || runbook.steps.empty()) {
            selection.refusals.push_back(
                {runbook.name, fits ? "it has no steps" : fits.error().message});
            continue;
        }
        work.cause_entity = top.entity;
        work.cause_mechanism = top.mechanism;
        work.cause_change = top.change_key;
        work.runbook = runbook.name;
        work.facts.clear();
        work.diffs.clear();
        work.step = 0;
        audit("runbook chosen", item.incident.id.value,
              fmt::format("{} for {} of {}, at cost {}", runbook.name,
                          schemas::to_string(top.mechanism), clean(top.entity.value, kNameBytesMax),
                          number(runbook.cost)));
        return ask_inspection(item, Purpose::kPlan);
    }
    return escalate(item, Hold::kNoPlan,
                    fmt::format("no runbook fits: {}", joined(selection.refusals)), false);
}

Status Turn::ask_inspection(Case& item, Purpose purpose) {
    auto& work = item.work;
    const auto* runbook = runbook_of(item);
    const auto* entry = view_.entry(work.cause_entity);
    const auto step = static_cast<std::size_t>(work.step);
    if (runbook == nullptr || entry == nullptr || step >= runbook->steps.size()) {
        return escalate(item, Hold::kPerson,
                        "the configuration no longer has the runbook or its target", false);
    }
    const auto& planned = runbook->steps[step];
    // A reload may have taken away what the runbook speaks of.
    auto parameters = inspection_parameters(planned, *entry);
    if (!parameters) return escalate(item, Hold::kPerson, parameters.error().message, false);
    work.purpose = purpose;
    ++work.inspections;
    ++work.intents;
    schemas::ActionEvent intent;
    intent.id = {
        stable_id("act-", fmt::format("{}\ninspect\n{}", item.incident.id.value, work.intents))};
    intent.incident = item.incident.id;
    if (purpose != Purpose::kPlan && item.incident.plan) intent.plan = item.incident.plan->id;
    intent.phase = schemas::ActionPhase::kInspect;
    intent.status = schemas::ActionStatus::kIntended;
    intent.action = planned.action;
    intent.target = entry->entity;
    intent.parameters = *std::move(parameters);
    intent.message = fmt::format("Inspect for the runbook {}", runbook->name);
    work.waiting_for = intent.id;
    const auto text = fmt::format("inspecting {} with {}", entry->entity.value, planned.action);
    tell(item, "action", text, intent.id.value);
    audit("inspection asked for", item.incident.id.value,
          fmt::format("{} ({})", text, intent.id.value));
    start_timer(item, kInspectTimer, at(item) + policy_.action_timeout);
    context_.emit(std::move(intent));
    touch(text);
    return {};
}

PlanRequest Turn::plan_request(const Case& item, const schemas::Runbook& runbook,
                               const schemas::InventoryEntry& entry) const {
    PlanRequest request;
    request.runbooks = {runbook};
    request.cause = cause_of(item.work);
    request.entry = entry;
    // Later steps win, as when the plan was made.
    request.facts = merged_facts(item.work, item.work.facts.size());
    request.diffs = item.work.diffs;
    request.incident = item.incident.id;
    return request;
}

Result<GateInput> Turn::gate_input(const Case& item, const Plan& plan, EventTime data_at) {
    const auto& incident = item.incident;
    const auto when = at(item);
    GateInput input;
    VIGIE_TRY_ASSIGN(const auto modes, controls_.modes());
    bool first = true;
    for (const auto& step : plan.steps) {
        auto answer = mode_for(policy_.modes, modes, step.action, step.target);
        if (first || answer.mode < input.mode.mode) input.mode = std::move(answer);
        first = false;
    }
    input.confidence = incident.diagnosis.confidence;
    input.confidence_min = policy_.confidence_min;
    input.risk = plan.risk;
    VIGIE_TRY_ASSIGN(const auto graph, graph_of(item));
    const bool has_alert =
        std::any_of(incident.evidence.begin(), incident.evidence.end(),
                    [](const auto& seen) { return seen.kind == "alert" && remains(seen); });
    input.path_found = true;
    for (const auto& seen : incident.evidence) {
        if (!remains(seen) || (has_alert && seen.kind != "alert")) continue;
        const auto path = causal_path(graph, view_.canonical(seen.entity), item.work.cause_entity);
        if (input.path_found) input.path = path;
        if (!path.empty()) continue;
        input.path_found = false;
        input.path = fmt::format("nothing that {} depends on leads to {}",
                                 clean(seen.entity.value, kNameBytesMax),
                                 clean(item.work.cause_entity.value, kNameBytesMax));
    }
    VIGIE_TRY_ASSIGN(input.actions_last_hour,
                     controls_.actions_since(when - std::chrono::hours{1}));
    input.actions_per_hour_max = policy_.actions_per_hour_max;
    input.actions_planned = static_cast<std::int64_t>(plan.steps.size()) - item.work.step;
    VIGIE_TRY_ASSIGN(input.cooldown,
                     controls_.cooldown(item.work.cause_entity, episode(item, plan), when));
    VIGIE_TRY_ASSIGN(input.silence, silence_of(item.work.cause_entity));
    EventTime newest = data_at;
    for (const auto& seen : incident.evidence) {
        if (seen.ended == schemas::Ended::kSilent) continue;  // Word of no data is no data.
        const auto track = item.work.tracks.find(evidence_name(seen.kind, seen.key));
        if (track != item.work.tracks.end()) newest = std::max(newest, track->second.seen_at);
    }
    input.data_age = when - std::min(newest, when);
    input.data_age_max = policy_.data_age_max;
    const bool absence_is_signal = item.work.cause_mechanism == schemas::Mechanism::kCrash;
    input.data_missing =
        missing_data(item, absence_is_signal ? item.work.cause_entity : EntityId{});
    VIGIE_TRY_ASSIGN(input.kill, controls_.kill());
    input.symptoms_remain = symptoms_remain(incident);
    return input;
}

// The name under which a plan's own steps are known to the cooldown.
std::string Turn::episode(const Case& item, const Plan& plan) {
    return fmt::format("{}#{}#{}", plan.id.value, item.incident.id.value, item.work.reopened);
}

// Writes the checks into the plan and the audit. `data_at`: newest data besides the evidence,
// such as a fresh inspection; the epoch when there is none.
Result<Permission> Turn::gate(Case& item, Plan& plan, EventTime data_at) {
    VIGIE_TRY_ASSIGN(const auto input, gate_input(item, plan, data_at));
    plan.mode = input.mode.mode;
    plan.gate = check_gate(input);
    audit("gate", plan.id.value,
          fmt::format("incident {}: {}", item.incident.id.value, to_line(plan.gate)));
    return permission(plan.mode, plan.gate);
}

// Makes the plan from what the inspections found, and does with it what the gate permits.
Status Turn::propose(Case& item) {
    auto& incident = item.incident;
    auto& work = item.work;
    if (!symptoms_remain(incident)) return tell_unverified(item);
    const auto* runbook = runbook_of(item);
    const auto* entry = view_.entry(work.cause_entity);
    if (runbook == nullptr || entry == nullptr) return ask_inspection(item, Purpose::kPlan);
    work.step = 0;
    auto planning = make_plan(plan_request(item, *runbook, *entry));
    if (!planning.plan) {
        work.tried.insert(attempt_name(cause_of(work), work.runbook));
        const auto why = joined(planning.refusals);
        tell(item, "plan", fmt::format("no plan: {}", why));
        audit("plan refused", incident.id.value, why);
        return pursue(item);
    }
    Plan plan = *std::move(planning.plan);
    plan.created_at = at(item);
    plan.expires_at = at(item) + policy_.approval_expiry;
    VIGIE_TRY_ASSIGN(const auto permitted, gate(item, plan, EventTime{}));
    incident.plan = std::move(plan);
    tell(item, "plan",
         fmt::format("{} ({}), mode {}", incident.plan->title, work.runbook,
                     schemas::to_string(incident.plan->mode)),
         incident.plan->id.value);
    return carry_out(item, permitted);
}

Status Turn::carry_out(Case& item, Permission permitted) {
    auto& incident = item.incident;
    Plan& plan = *incident.plan;
    switch (permitted) {
        case Permission::kRecord:
            mark_steps(plan, "would_run");
            return hold_plan(item, fmt::format("shadow: would have run {}", plan.title));
        case Permission::kShow:
            mark_steps(plan, "suggested");
            notify(item, "update", "suggested", suggestion_text(incident));
            return hold_plan(item, fmt::format("suggested: {}", plan.title));
        case Permission::kBlocked:
            mark_steps(plan, "blocked");
            notify(item, "update", "blocked", blocked_text(incident, blocking(plan.gate)));
            return hold_plan(item,
                             fmt::format("the gate holds {}: {}", plan.title, blocking(plan.gate)));
        case Permission::kAsk:
            audit("approval asked for", plan.id.value,
                  fmt::format("incident {}, expires {}", incident.id.value,
                              to_rfc3339(plan.expires_at)));
            start_timer(item, kApprovalTimer, plan.expires_at);
            notify(item, "approval", plan.id.value, approval_text(incident));
            move(item, IncidentState::kAwaitingApproval,
                 fmt::format("{} needs an approval", plan.title));
            return {};
        case Permission::kAct: break;
    }
    plan.approved_by = "autonomous";
    audit("plan approved", plan.id.value,
          fmt::format("incident {}: every check of the gate passed, nobody is asked",
                      incident.id.value));
    return execute(item);
}

// An escalation that the gate ends, and that mode or switches may reopen.
Status Turn::hold_plan(Case& item, std::string reason) {
    item.work.hold = Hold::kGate;
    move(item, IncidentState::kEscalated, std::move(reason));
    return {};
}

}  // namespace vigie::agent
