#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/notices.h"
#include "responders/agent/postmortem.h"
#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// The arrows of an incident's life that are not about making or running a plan.
namespace vigie::agent {

using schemas::IncidentState;

namespace {

std::string unverified_reason(const Case& item) {
    const auto missing = missing_data(item, {});
    if (!missing.empty()) return fmt::format("whether it is over cannot be seen: {}", missing);
    const auto& evidence = item.incident.evidence;
    const auto adapted = std::find_if(evidence.begin(), evidence.end(), [](const auto& seen) {
        return seen.symptom && seen.ended == schemas::Ended::kAdapted;
    });
    VIGIE_ASSERT(adapted != evidence.end());
    return fmt::format(
        "{} {} stayed changed and is taken as the new normal: resolve the incident "
        "if that is meant",
        adapted->kind, clean(adapted->key, kNameBytesMax));
}

}  // namespace

void Turn::withdraw_plan(Case& item, std::string_view status) {
    if (!item.incident.plan) return;
    for (auto& step : item.incident.plan->steps) {
        if (step.status == "planned") step.status = status;
    }
}

// `page`: things are no longer as the people were told, so they are called again; otherwise a
// note under the first page says who has it now.
Status Turn::escalate(Case& item, Hold hold, std::string reason, bool page) {
    const auto before = item.work.hold;
    item.work.hold = hold;
    const bool news = item.incident.state != IncidentState::kEscalated || page || before != hold;
    if (news) {
        notify(item, page ? "page" : "update", "escalated", escalation_text(item.incident, reason));
    }
    audit("escalated", item.incident.id.value, reason);
    move(item, IncidentState::kEscalated, std::move(reason));
    // Nothing is watched while an action runs: the symptoms may have cleared in it.
    return watch_symptoms(item);
}

Status Turn::begin_verifying(Case& item) {
    auto& work = item.work;
    const auto& plan = *item.incident.plan;
    work.verify_until = at(item) + plan.verify_timeout;
    work.clear_until.reset();
    start_timer(item, kVerifyTimer, *work.verify_until);
    move(item, IncidentState::kVerifying,
         fmt::format("every symptom must clear within {} and stay clear for {}",
                     age_text(plan.verify_timeout), age_text(plan.verify_hold)));
    return watch_symptoms(item);
}

// When nothing fires any more and yet nobody can say that it recovered, no timer may ever end it:
// people are told, once for each reason, and it stays open until data or a person settles it.
Status Turn::tell_unverified(Case& item) {
    auto& incident = item.incident;
    auto& work = item.work;
    const auto state = incident.state;
    const bool missing = !missing_data(item, {}).empty();
    if (symptoms_fire(incident) || (has_recovered(incident) && !missing)) return {};
    // These have a timer that ends in words to people, and a silence asks again when it ends.
    if (state == IncidentState::kActing || state == IncidentState::kVerifying ||
        state == IncidentState::kSuppressed) {
        return {};
    }
    const auto ended = missing ? schemas::Ended::kSilent : schemas::Ended::kAdapted;
    const auto reason = unverified_reason(item);
    if (work.told_ended != ended) {
        work.told_ended = ended;
        notify(item, "update", "unverified", escalation_text(incident, reason));
        tell(item, "state", reason);
    }
    if (symptoms_remain(incident)) return {};
    // Nothing is left to act on.
    if (work.hold != Hold::kPerson) work.hold = Hold::kNoPlan;
    if (state == IncidentState::kEscalated) return {};
    withdraw_plan(item, "withdrawn");
    context_.cancel_timer(timer_name(kApprovalTimer, incident.id.value));
    audit("escalated", incident.id.value, reason);
    move(item, IncidentState::kEscalated, "nothing fires, and whether it is over is not known");
    return {};
}

// Whoever was told that nothing fires any more hears that something does.
void Turn::tell_firing(Case& item, std::string_view kind) {
    if (!item.work.told_ended || is_closed(item.incident.state)) return;
    item.work.told_ended.reset();
    notify(item, kind, "returned", page_text(item.incident));
}

// Starts the hold when every symptom has cleared and no data is missing, ends it otherwise.
Status Turn::watch_symptoms(Case& item) {
    auto& work = item.work;
    const auto state = item.incident.state;
    if (is_closed(state) || state == IncidentState::kActing) return {};
    const auto missing = missing_data(item, {});
    const bool quiet = has_recovered(item.incident) && missing.empty();
    if (quiet == work.clear_until.has_value()) return {};
    if (quiet) {
        start_hold(item, "every symptom is clear");
        return {};
    }
    work.clear_until.reset();
    context_.cancel_timer(timer_name(kHoldTimer, item.incident.id.value));
    const auto why = missing.empty() ? std::string("a symptom is back")
                                     : fmt::format("data is missing: {}", missing);
    tell(item, "state", fmt::format("not clear any more: {}", why));
    touch(why);
    if (work.verify_until && at(item) >= *work.verify_until) return fail_verification(item);
    return {};
}

void Turn::start_hold(Case& item, std::string because, std::chrono::seconds at_least) {
    const bool after_action =
        item.incident.state == IncidentState::kVerifying && item.incident.plan;
    const auto wanted = after_action ? item.incident.plan->verify_hold : kSelfClearHold;
    const auto hold = std::max<EventClock::duration>(wanted, at_least);
    item.work.clear_until = at(item) + hold;
    start_timer(item, kHoldTimer, *item.work.clear_until);
    tell(item, "state", fmt::format("{}, and must stay so for {}", because, age_text(hold)));
    touch(std::move(because));
}

Status Turn::fail_verification(Case& item) {
    const auto& plan = *item.incident.plan;
    item.work.verify_until.reset();
    const auto inverse = plan.steps.empty() || plan.steps.front().inverse.empty()
                             ? std::string("it cannot be undone")
                             : fmt::format("to undo it: {}", plan.steps.front().inverse);
    const auto missing = missing_data(item, {});
    const auto limit = age_text(plan.verify_timeout);
    return escalate(item, Hold::kPerson,
                    missing.empty()
                        ? fmt::format("{} did not help within {}; {}", plan.title, limit, inverse)
                        : fmt::format("whether {} helped could not be seen within {}, as {}; {}",
                                      plan.title, limit, missing, inverse),
                    true);
}

Status Turn::resolve(Case& item, std::string reason) {
    auto& incident = item.incident;
    auto& work = item.work;
    const bool silent = incident.state == IncidentState::kSuppressed;
    cancel_timers(item);
    for (const auto& entity : canonical_entities(item)) {
        memory_.clear_present(entity, incident.id);
    }
    for (const auto& evidence : incident.evidence) {
        if (evidence.kind == "change") memory_.clear_suspecting(evidence.key, incident.id);
    }
    if (work.overflow) memory_.clear_overflow();
    withdraw_plan(item, "not_run");
    work.purpose = Purpose::kNone;
    work.waiting_for = {};
    work.clear_until.reset();
    work.verify_until.reset();
    incident.resolved_at = at(item);
    VIGIE_TRY(memory_.close(incident, *incident.resolved_at));
    start_timer(item, kSettleTimer, *incident.resolved_at + policy_.correlation_window);
    const auto held_before = work.notices;
    if (!silent) notify(item, "resolved", "resolved", resolved_text(incident, reason));
    work.told_resolved = silent || work.notices > held_before;
    tell(item, "resolved", reason);
    incident.postmortem = write_postmortem(incident);
    move(item, IncidentState::kResolved, std::move(reason));
    return {};
}

Status Turn::reopen(Case& item, std::string reason) {
    auto& incident = item.incident;
    auto& work = item.work;
    VIGIE_TRY(memory_.reopen(incident.id, incident.resolved_at.value_or(EventTime{})));
    context_.cancel_timer(timer_name(kSettleTimer, incident.id.value));
    incident.resolved_at.reset();
    incident.plan.reset();
    incident.postmortem.clear();
    ++work.reopened;
    work.step = 0;
    work.inspections = 0;
    work.retried = false;
    work.acted = false;
    work.hold = work.overflow ? Hold::kPerson : Hold::kNone;
    for (const auto& evidence : incident.evidence) {
        if (evidence.symptom) note_presence(item, evidence.entity, at(item));
    }
    if (work.overflow) memory_.set_overflow(incident.id);
    audit("incident reopened", meta_.id.value,
          fmt::format("{} for the {}. time: {}", incident.id.value, work.reopened, reason));
    notify(item, "page", "reopened", page_text(incident));
    work.told_resolved = false;
    work.told_ended.reset();
    move(item, IncidentState::kReopened, std::move(reason));
    if (!work.overflow) start_timer(item, kDiagnoseTimer, at(item) + policy_.diagnose_after);
    return {};
}

Status Turn::suppress(Case& item, std::string reason) {
    for (const auto name : {kDiagnoseTimer, kInspectTimer, kApprovalTimer}) {
        context_.cancel_timer(timer_name(name, item.incident.id.value));
    }
    withdraw_plan(item, "withdrawn");
    item.work.purpose = Purpose::kNone;
    item.work.waiting_for = {};
    move(item, IncidentState::kSuppressed, std::move(reason));
    return {};
}

Status Turn::unsuppress(Case& item, std::string reason) {
    if (has_recovered(item.incident)) return {};
    start_timer(item, kDiagnoseTimer, at(item) + policy_.diagnose_after);
    notify(item, "page", "opened", page_text(item.incident));
    move(item, IncidentState::kOpen, std::move(reason));
    return tell_unverified(item);
}

}  // namespace vigie::agent
