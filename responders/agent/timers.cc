#include <algorithm>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/notices.h"
#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// What a turn does when time reaches a deadline. A timer that no longer means anything is
// ignored: the state decides, never the timer.
namespace vigie::agent {

using schemas::IncidentState;

namespace {

bool has_alert(const schemas::Incident& incident) {
    return std::any_of(incident.evidence.begin(), incident.evidence.end(),
                       [](const auto& item) { return item.symptom && item.kind == "alert"; });
}

}  // namespace

Status Turn::on_timer(std::string_view name, std::string_view id) {
    if (name == kSilenceTimer) return end_silence(id, "its time is over");
    if (name == kSilenceStartTimer) return on_silence_start(id);
    VIGIE_TRY_ASSIGN(auto item, memory_.load({std::string(id)}));
    if (!item) return {};
    if (name == kDiagnoseTimer) VIGIE_TRY(on_gathered(*item));
    if (name == kInspectTimer || name == kActionTimer) {
        VIGIE_TRY(on_no_answer(*item, name == kInspectTimer));
    }
    if (name == kApprovalTimer) VIGIE_TRY(on_approval_expired(*item));
    if (name == kHoldTimer) VIGIE_TRY(on_held(*item));
    if (name == kVerifyTimer) VIGIE_TRY(on_verify_over(*item));
    if (name == kSettleTimer) VIGIE_TRY(on_settled(*item));
    if (name == kUpdateTimer) touch(item->work.held_update);
    finish(*item);
    return {};
}

Status Turn::on_gathered(Case& item) {
    const auto state = item.incident.state;
    if (state != IncidentState::kOpen && state != IncidentState::kReopened) return {};
    if (item.work.overflow) return {};
    return begin_diagnosis(
        item, fmt::format("evidence gathered for {}", age_text(policy_.diagnose_after)));
}

Status Turn::on_no_answer(Case& item, bool inspecting) {
    auto& work = item.work;
    if (work.waiting_for.empty() || inspecting != (work.purpose != Purpose::kNone)) return {};
    VIGIE_TRY_ASSIGN(const bool seen, watched(item, inspecting ? kInspectTimer : kActionTimer));
    if (!seen) return {};
    const auto limit = age_text(policy_.action_timeout);
    if (inspecting) {
        const bool for_plan = work.purpose == Purpose::kPlan;
        work.waiting_for = {};
        work.purpose = Purpose::kNone;
        return escalate(item, for_plan ? Hold::kNoPlan : Hold::kPerson,
                        fmt::format("the inspection did not answer within {}", limit), work.acted);
    }
    // The outcome is still awaited: when it comes it is recorded and, if good, verified.
    const auto step = static_cast<std::size_t>(work.step);
    if (item.incident.plan) item.incident.plan->steps[step].status = "in_doubt";
    return escalate(item, Hold::kPerson,
                    fmt::format("the action did not answer within {}: whether it was applied is "
                                "not known, it is never repeated",
                                limit),
                    true);
}

Status Turn::on_approval_expired(Case& item) {
    if (item.incident.state != IncidentState::kAwaitingApproval || !item.incident.plan) return {};
    if (at(item) < item.incident.plan->expires_at) return {};
    for (auto& step : item.incident.plan->steps) step.status = "expired";
    audit("approval expired", item.incident.plan->id.value,
          fmt::format("incident {}: nobody approved it until {}", item.incident.id.value,
                      to_rfc3339(item.incident.plan->expires_at)));
    return escalate(item, Hold::kPerson, "nobody approved the plan in time", false);
}

Status Turn::on_held(Case& item) {
    auto& work = item.work;
    const auto state = item.incident.state;
    if (is_closed(state) || state == IncidentState::kActing || !work.clear_until) return {};
    if (at(item) < *work.clear_until) return {};
    VIGIE_TRY_ASSIGN(const bool seen, watched(item, kHoldTimer));
    if (!seen) return {};
    // Every change of the evidence keeps clear_until true; this is the last line of rule 7.
    if (!has_recovered(item.incident) || !missing_data(item, {}).empty()) return {};
    return resolve(item, state == IncidentState::kVerifying
                             ? "every symptom cleared after the action and stayed clear"
                             : "every symptom cleared by itself and stayed clear");
}

Status Turn::on_verify_over(Case& item) {
    auto& work = item.work;
    if (item.incident.state != IncidentState::kVerifying || !work.verify_until) return {};
    // Clear, but not for long enough yet: the hold decides, and a symptom that returns in it
    // finds the time over.
    if (at(item) < *work.verify_until || work.clear_until) return {};
    VIGIE_TRY_ASSIGN(const bool seen, watched(item, kVerifyTimer));
    if (!seen) return {};
    return fail_verification(item);
}

// Whether Vigie was there for the time that ends with this timer. If not, the timer fires again
// when it is known whether an event came soon enough; if none did, on_gap() gives the time again.
Result<bool> Turn::watched(const Case& item, std::string_view timer) {
    VIGIE_TRY_ASSIGN(const auto last, memory_.watched_until());
    if (!last) return false;
    if (now_ <= *last + kTickLate) return true;
    const EventTime again = *last + kUnwatchedMin;
    if (now_ < again) start_timer(item, timer, again);
    return false;
}

Status Turn::on_gap(std::optional<EventTime> last) {
    const auto gap =
        last ? fmt::format("Vigie did not watch from {} to {}", to_rfc3339(*last), to_rfc3339(now_))
             : fmt::format("Vigie did not watch before {}", to_rfc3339(now_));
    VIGIE_TRY_ASSIGN(const auto open, memory_.open_incidents());
    for (const auto& id : open) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item) continue;
        auto& work = item->work;
        const bool judged = item->incident.state == IncidentState::kVerifying &&
                            work.verify_until && (!last || *work.verify_until > *last);
        if (judged) {
            const auto lost = last ? now_ - *last : item->incident.plan->verify_timeout;
            work.verify_until = *work.verify_until + lost;
            start_timer(*item, kVerifyTimer, *work.verify_until);
        }
        if (judged && !work.clear_until) {
            tell(*item, "state",
                 fmt::format("{}: the symptoms have until {} to clear", gap,
                             to_rfc3339(*work.verify_until)));
            touch(gap);
        }
        if (work.clear_until) {
            const auto repeat = has_alert(item->incident) ? kAlertRepeat : std::chrono::seconds{0};
            start_hold(*item, gap + ": every symptom was clear before", repeat);
        }
        if (!work.waiting_for.empty()) {
            const bool inspecting = work.purpose != Purpose::kNone;
            start_timer(*item, inspecting ? kInspectTimer : kActionTimer,
                        at(*item) + policy_.action_timeout);
        }
        finish(*item);
    }
    return {};
}

// The same symptom can no longer reopen the incident: the next one is a new incident.
Status Turn::on_settled(Case& item) {
    if (!is_closed(item.incident.state) || !item.incident.resolved_at) return {};
    if (at(item) < *item.incident.resolved_at + policy_.correlation_window) return {};
    VIGIE_TRY(memory_.release_symptoms(item));
    if (item.work.told_resolved) return {};
    item.work.told_resolved = true;
    notify(item, "resolved", "settled",
           resolved_text(item.incident, "no symptom was seen again within the correlation window"));
    return {};
}

}  // namespace vigie::agent
