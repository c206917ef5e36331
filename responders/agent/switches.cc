#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/recovery.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// Silences, modes, the kill switch and the policy: what people set for more than one incident.
namespace vigie::agent {

using schemas::Decision;
using schemas::IncidentState;

namespace {

bool may_be_suppressed(IncidentState state) {
    return state == IncidentState::kOpen || state == IncidentState::kDiagnosing ||
           state == IncidentState::kEscalated || state == IncidentState::kAwaitingApproval ||
           state == IncidentState::kReopened;
}

std::string because(const Silence& silence) {
    return fmt::format("{} silenced {} until {}{}{}", silence.owner,
                       clean(schemas::subject_of(silence)), to_rfc3339(silence.until),
                       silence.reason.empty() ? "" : ": ", silence.reason);
}

// "", or why a decision of this kind sets no silence.
std::string problem_of(const Silence& silence, EventTime now) {
    if (silence.owner.empty()) return "a silence needs an owner";
    if (silence.scope.empty() == silence.matchers.empty()) {
        return "a silence needs an entity pattern, or matchers";
    }
    if (clean(silence.scope, kNameBytesMax) != silence.scope) {
        return "a silence needs an entity pattern of at most 120 characters";
    }
    if (const auto set = schemas::MatcherSet::compile(silence.matchers); !set) {
        return set.error().message;
    }
    if (silence.until <= now || silence.until <= silence.starts_at) {
        return "a silence needs an end in the future";
    }
    return {};
}

// A silence that is in force, ready to be asked.
struct InForce {
    Silence silence;
    schemas::MatcherSet matchers;
};

bool covers(const InForce& in_force, const schemas::Labels& labels, const EntityId& entity,
            const EntityId& canonical) {
    const auto& scope = in_force.silence.scope;
    if (!scope.empty()) return matches(scope, entity.value) || matches(scope, canonical.value);
    return in_force.matchers.matches(labels, entity.value) ||
           in_force.matchers.matches(labels, canonical.value);
}

Result<std::vector<InForce>> in_force_at(EventTime now, const Controls& controls) {
    VIGIE_TRY_ASSIGN(auto silences, controls.silences(now));
    std::vector<InForce> out;
    for (auto& silence : silences) {
        if (silence.starts_at > now) continue;
        VIGIE_TRY_ASSIGN(auto set, schemas::MatcherSet::compile(silence.matchers));
        out.push_back({std::move(silence), std::move(set)});
    }
    return out;
}

}  // namespace

// Of an entity that is about to be acted on: what speaks of labels alone does not name it.
Result<std::string> Turn::silence_of(const EntityId& entity) const {
    VIGIE_TRY_ASSIGN(const auto silences, in_force_at(now_, controls_));
    for (const auto& each : silences) {
        if (covers(each, {}, entity, view_.canonical(entity))) return because(each.silence);
    }
    return std::string{};
}

// Why the incident is silenced: every symptom that still fires is covered. "": it is not.
Result<std::string> Turn::silenced_by(const Case& item) const {
    VIGIE_TRY_ASSIGN(const auto silences, in_force_at(now_, controls_));
    std::string why;
    if (silences.empty()) return why;
    for (const auto& evidence : item.incident.evidence) {
        if (!remains(evidence)) continue;
        VIGIE_TRY_ASSIGN(const auto labels,
                         memory_.labels_of(evidence_name(evidence.kind, evidence.key)));
        const auto canonical = view_.canonical(evidence.entity);
        const auto found = std::ranges::find_if(silences, [&](const InForce& each) {
            return covers(each, labels, evidence.entity, canonical);
        });
        if (found == silences.end()) return std::string{};
        why = because(found->silence);
    }
    return why;
}

Status Turn::on_silence(const Decision& decision) {
    Silence silence = schemas::silence_of(meta_, decision);
    silence.owner = clean(decision.actor, kNameBytesMax);
    silence.reason = clean(decision.reason);
    silence.id = clean(silence.id, kNameBytesMax);
    const auto refuse = [&](std::string_view why) {
        audit("silence refused", meta_.id.value, std::string(why), silence.owner);
        return Status{};
    };
    VIGIE_TRY_ASSIGN(const auto known, controls_.silences(now_));
    const bool there =
        std::ranges::any_of(known, [&](const auto& other) { return other.id == silence.id; });
    const bool ends = decision.expires_at && *decision.expires_at <= now_;
    if (there && ends) return end_silence(silence.id, "ended by " + silence.owner, silence.owner);
    if (const auto problem = problem_of(silence, now_); !problem.empty()) return refuse(problem);
    if (const auto added = controls_.add_silence(silence, now_); !added) {
        if (added.error().kind != ErrorKind::kOverloaded) return added;
        return refuse(added.error().message);
    }
    context_.set_timer(timer_name(kSilenceTimer, silence.id), silence.until);
    audit("silence set", silence.id, because(silence), silence.owner);
    const auto start = timer_name(kSilenceStartTimer, silence.id);
    if (silence.starts_at > now_) {
        context_.set_timer(start, silence.starts_at);
    } else {
        context_.cancel_timer(start);
    }
    // One that was changed may cover less than before.
    return apply_silences("the silence was changed and a symptom still fires");
}

Status Turn::on_silence_start(std::string_view id) {
    audit("silence begins", id, "its time has come");
    return apply_silences("a symptom still fires");
}

Status Turn::end_silence(std::string_view id, std::string because_text, std::string_view actor) {
    controls_.end_silence(id);
    context_.cancel_timer(timer_name(kSilenceTimer, id));
    context_.cancel_timer(timer_name(kSilenceStartTimer, id));
    audit("silence ended", id, std::move(because_text), actor);
    return apply_silences("the silence ended and a symptom still fires");
}

// Every open incident is suppressed when silences cover it, and woken when they no longer do.
Status Turn::apply_silences(const std::string& woken_because) {
    VIGIE_TRY_ASSIGN(const auto open, memory_.open_incidents());
    for (const auto& id : open) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item) continue;
        const bool suppressed = item->incident.state == IncidentState::kSuppressed;
        if (!suppressed && !may_be_suppressed(item->incident.state)) continue;
        VIGIE_TRY_ASSIGN(auto why, silenced_by(*item));
        if (suppressed != why.empty()) continue;
        if (suppressed) {
            VIGIE_TRY(unsuppress(*item, woken_because));
        } else {
            VIGIE_TRY(suppress(*item, std::move(why)));
        }
        finish(*item);
    }
    return {};
}

Status Turn::on_mode(const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    const auto refuse = [&](std::string_view why) {
        audit("mode refused", meta_.id.value, std::string(why), actor);
        return Status{};
    };
    const std::string scope = decision.scope.empty() ? "*" : decision.scope;
    if (actor.empty()) return refuse("a mode change needs a name");
    if (clean(scope, kNameBytesMax) != scope) return refuse("this scope is not a pattern");
    const auto mode = schemas::parse_mode(decision.value);
    if (!mode && decision.value != "policy") {
        return refuse(fmt::format("'{}' is not shadow, suggest, approve, autonomous or policy",
                                  clean(decision.value, kNameBytesMax)));
    }
    const auto done =
        mode ? controls_.set_mode({scope, *mode, actor, 0}) : controls_.clear_mode(scope);
    if (!done) {
        if (done.error().kind == ErrorKind::kOverloaded ||
            done.error().kind == ErrorKind::kNotFound) {
            return refuse(done.error().message);
        }
        return done;
    }
    const auto what = fmt::format("mode of {} is now {}", scope, decision.value);
    audit("mode changed", meta_.id.value,
          fmt::format("{}{}{}", what, decision.reason.empty() ? "" : ": ", clean(decision.reason)),
          actor);
    return reconsider(what, false);
}

Status Turn::on_kill(const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    if (decision.value != "on" && decision.value != "off") {
        audit("kill switch refused", meta_.id.value, "it can be switched 'on' or 'off'", actor);
        return {};
    }
    const auto text = fmt::format("switched {} by {} at {}{}{}", decision.value,
                                  actor.empty() ? "somebody" : actor, to_rfc3339(now_),
                                  decision.reason.empty() ? "" : ": ", clean(decision.reason));
    audit("kill switch", meta_.id.value, text, actor);
    if (decision.value == "on") {
        controls_.set_kill(text);
        return {};
    }
    controls_.clear_kill();
    return reconsider("the kill switch is off", false);
}

Status Turn::on_new_policy(bool changed, std::string_view id) {
    std::string wrong;
    for (const auto& runbook : policy_.runbooks) {
        if (const auto status = lint(runbook); !status) wrong += "; " + status.error().message;
    }
    audit("configuration loaded", id,
          fmt::format("{}, {} runbooks, {} inventory entries, {} mode rules{}",
                      changed ? "new" : "unchanged", policy_.runbooks.size(),
                      policy_.inventory.size(), policy_.modes.size(), clean(wrong, 2000)));
    return changed ? reconsider("the configuration changed", true) : Status{};
}

// Incidents that were held for want of permission, or of a runbook, are looked at again.
Status Turn::reconsider(const std::string& reason, bool no_plan_too) {
    VIGIE_TRY_ASSIGN(const auto open, memory_.open_incidents());
    for (const auto& id : open) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item || item->incident.state != IncidentState::kEscalated || item->work.acted) {
            continue;
        }
        const auto hold = item->work.hold;
        if (hold != Hold::kGate && !(no_plan_too && hold == Hold::kNoPlan)) continue;
        if (!symptoms_remain(item->incident)) continue;
        if (no_plan_too) item->work.tried.clear();
        VIGIE_TRY(begin_diagnosis(*item, reason));
        finish(*item);
    }
    return {};
}

}  // namespace vigie::agent
