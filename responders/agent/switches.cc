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

bool covers(const Silence& silence, const EntityId& entity, const EntityId& canonical) {
    return matches(silence.scope, entity.value) || matches(silence.scope, canonical.value);
}

std::string because(const Silence& silence) {
    return fmt::format("{} silenced {} until {}{}{}", silence.owner, silence.scope,
                       to_rfc3339(silence.until), silence.reason.empty() ? "" : ": ",
                       silence.reason);
}

}  // namespace

Result<std::string> Turn::silence_of(const EntityId& entity) const {
    VIGIE_TRY_ASSIGN(const auto silences, controls_.silences(now_));
    for (const auto& silence : silences) {
        if (covers(silence, entity, view_.canonical(entity))) return because(silence);
    }
    return std::string{};
}

// Why the incident is silenced: every symptom that still fires is covered. "": it is not.
Result<std::string> Turn::silenced_by(const Case& item) const {
    std::string why;
    for (const auto& evidence : item.incident.evidence) {
        if (!remains(evidence)) continue;
        VIGIE_TRY_ASSIGN(why, silence_of(evidence.entity));
        if (why.empty()) return why;
    }
    return why;
}

Status Turn::on_silence(const Decision& decision) {
    const auto actor = clean(decision.actor, kNameBytesMax);
    const auto refuse = [&](std::string_view why) {
        audit("silence refused", meta_.id.value, std::string(why), actor);
        return Status{};
    };
    if (actor.empty()) return refuse("a silence needs an owner");
    if (decision.scope.empty() || clean(decision.scope, kNameBytesMax) != decision.scope) {
        return refuse("a silence needs an entity pattern of at most 120 characters");
    }
    if (!decision.expires_at || *decision.expires_at <= now_) {
        return refuse("a silence needs an end in the future");
    }
    const Silence silence{stable_id("sil-", meta_.id.value), decision.scope, actor,
                          clean(decision.reason), *decision.expires_at};
    if (const auto added = controls_.add_silence(silence, now_); !added) {
        if (added.error().kind != ErrorKind::kOverloaded) return added;
        return refuse(added.error().message);
    }
    context_.set_timer(timer_name(kSilenceTimer, silence.id), silence.until);
    audit("silence set", silence.id, because(silence), actor);
    VIGIE_TRY_ASSIGN(const auto open, memory_.open_incidents());
    for (const auto& id : open) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(id));
        if (!item || !may_be_suppressed(item->incident.state)) continue;
        VIGIE_TRY_ASSIGN(auto why, silenced_by(*item));
        if (why.empty()) continue;
        VIGIE_TRY(suppress(*item, std::move(why)));
        finish(*item);
    }
    return {};
}

Status Turn::on_silence_end(std::string_view id) {
    controls_.end_silence(id);
    audit("silence ended", id, "its time is over");
    VIGIE_TRY_ASSIGN(const auto open, memory_.open_incidents());
    for (const auto& incident : open) {
        VIGIE_TRY_ASSIGN(auto item, memory_.load(incident));
        if (!item || item->incident.state != IncidentState::kSuppressed) continue;
        VIGIE_TRY_ASSIGN(const auto why, silenced_by(*item));
        if (!why.empty()) continue;
        VIGIE_TRY(unsuppress(*item, "the silence ended and a symptom still fires"));
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
