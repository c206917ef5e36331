#include "console/decision.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "schemas/json.h"

namespace vigie::console {

using schemas::Decision;
using schemas::DecisionKind;
using schemas::Json;

namespace {

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kReasonBytesMax = 2000;

// Reads one member after the other and remembers the first thing that is wrong.
class Members {
public:
    explicit Members(const Json& json) : json_(json) {}

    // A name is one line wherever it is shown; only a reason may have several.
    std::string name(const char* member) { return text(member, kNameBytesMax, ""); }
    std::string lines(const char* member) { return text(member, kReasonBytesMax, "\n\t"); }

    Status check_names(std::initializer_list<std::string_view> known) const {
        for (const auto& [name, value] : json_.items()) {
            if (std::find(known.begin(), known.end(), name) == known.end()) {
                return fail(ErrorKind::kInvalid,
                            fmt::format("'{}' is not a member of a decision", one_line(name, 100)));
            }
        }
        return {};
    }

    const Status& status() const { return status_; }

private:
    std::string text(const char* name, std::size_t bytes_max, std::string_view controls) {
        const auto found = json_.find(name);
        if (found == json_.end() || found->is_null()) return {};
        const auto* const text = found->get_ptr<const std::string*>();
        if (text == nullptr) return wrong(name, "is not a string");
        if (text->size() > bytes_max) {
            return wrong(name, fmt::format("is longer than {} bytes", bytes_max));
        }
        const bool clean = std::all_of(text->begin(), text->end(), [&](char c) {
            return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || controls.contains(c);
        });
        return clean ? *text : wrong(name, "has control characters");
    }

    std::string wrong(const char* name, std::string_view what) {
        if (status_) status_ = fail(ErrorKind::kInvalid, fmt::format("'{}' {}", name, what));
        return {};
    }

    const Json& json_;
    Status status_;
};

Status require(bool condition, std::string_view what) {
    return condition ? Status{} : fail(ErrorKind::kInvalid, std::string(what));
}

bool speaks_of_incident(DecisionKind kind) {
    return kind != DecisionKind::kSilence && kind != DecisionKind::kMode &&
           kind != DecisionKind::kKill;
}

Status check_incident(const Decision& decision, const View& view, EventTime now) {
    if (!speaks_of_incident(decision.kind)) {
        return require(decision.incident.empty() && decision.plan.empty(),
                       "this kind takes neither 'incident' nor 'plan'");
    }
    VIGIE_TRY(require(!decision.incident.empty(), "'incident' is missing"));
    const auto incident = view.find(decision.incident.value);
    if (incident == nullptr && view.caught_up) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("there is no incident {}", decision.incident.value));
    }
    const bool plan_needed =
        decision.kind == DecisionKind::kApprove || decision.kind == DecisionKind::kReject;
    const bool over =
        incident != nullptr && (incident->state == schemas::IncidentState::kResolved ||
                                incident->state == schemas::IncidentState::kReviewed);
    const bool wants_open =
        decision.kind == DecisionKind::kAck || decision.kind == DecisionKind::kResolve;
    if (wants_open && over) {
        return fail(ErrorKind::kConflict,
                    fmt::format("incident {} is over", decision.incident.value));
    }
    if (decision.kind == DecisionKind::kVerdict && incident != nullptr &&
        incident->state != schemas::IncidentState::kResolved) {
        return fail(ErrorKind::kConflict,
                    fmt::format("incident {} is {}: a verdict is for one that is resolved",
                                decision.incident.value, schemas::to_string(incident->state)));
    }
    if (!plan_needed) return require(decision.plan.empty(), "this kind takes no 'plan'");
    VIGIE_TRY(require(!decision.plan.empty(), "'plan' is missing: name the one that was shown"));
    if (incident != nullptr && (!incident->plan || incident->plan->id != decision.plan)) {
        return fail(ErrorKind::kConflict,
                    fmt::format("{} is not the plan of {} now: read it again, then decide",
                                decision.plan.value, decision.incident.value));
    }
    if (incident == nullptr) return {};
    if (incident->state != schemas::IncidentState::kAwaitingApproval) {
        return fail(ErrorKind::kConflict,
                    fmt::format("incident {} is {}: it does not wait for an approval",
                                decision.incident.value, schemas::to_string(incident->state)));
    }
    if (incident->plan->expires_at <= now) {
        return fail(ErrorKind::kConflict,
                    fmt::format("the offer of {} expired at {}", decision.plan.value,
                                to_rfc3339(incident->plan->expires_at)));
    }
    return {};
}

// An entity is KIND:NAME; a pattern is one, or the beginning of one and "*".
bool may_name_entity(std::string_view scope) {
    const std::size_t colon = scope.find(':');
    if (colon == 0) return false;
    return scope.ends_with('*') || (colon != std::string_view::npos && colon + 1 < scope.size());
}

Status check_value(const Decision& decision, EventTime now) {
    const std::string& value = decision.value;
    switch (decision.kind) {
        case DecisionKind::kVerdict:
            return require(
                value == "right" || value == "wrong" || value == "false" || value == "known",
                "'value' is right, wrong, false or known");
        case DecisionKind::kKill:
            return require(value == "on" || value == "off", "'value' is on or off");
        case DecisionKind::kMode:
            return require(value == "policy" || schemas::parse_mode(value).has_value(),
                           "'value' is shadow, suggest, approve, autonomous, or policy");
        case DecisionKind::kSilence:
            VIGIE_TRY(require(!decision.scope.empty(), "'scope' is missing: an entity pattern"));
            VIGIE_TRY(require(decision.expires_at && *decision.expires_at > now,
                              "'expires_at' is missing or past: a silence always ends"));
            return require(may_name_entity(decision.scope),
                           "'scope' matches no entity: write KIND:NAME, such as "
                           "service:checkout, or a beginning of it and *");
        case DecisionKind::kAck:
        case DecisionKind::kApprove:
        case DecisionKind::kReject:
        case DecisionKind::kResolve: return require(value.empty(), "this kind takes no 'value'");
    }
    return {};
}

}  // namespace

Result<Decision> parse_decision(std::string_view text, const View& view, EventTime now) {
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(text));
    VIGIE_TRY(require(json.is_object(), "a decision is a JSON object"));
    Members members(json);
    VIGIE_TRY(members.check_names(
        {"kind", "incident", "plan", "reason", "value", "scope", "actor", "expires_at"}));
    const std::string kind = members.name("kind");
    Decision decision;
    decision.incident.value = members.name("incident");
    decision.plan.value = members.name("plan");
    decision.actor = members.name("actor");
    decision.reason = members.lines("reason");
    decision.value = members.name("value");
    decision.scope = members.name("scope");
    const std::string expires_at = members.name("expires_at");
    VIGIE_TRY(members.status());
    const auto known = schemas::parse_decision_kind(kind);
    VIGIE_TRY(require(known.has_value(),
                      "'kind' is ack, approve, reject, verdict, silence, mode, kill or resolve"));
    decision.kind = *known;
    VIGIE_TRY(require(decision.actor.find_first_not_of(' ') != std::string::npos,
                      "'actor' is missing: who decides"));
    if (!expires_at.empty()) {
        VIGIE_TRY(
            require(decision.kind == DecisionKind::kSilence, "only a silence takes 'expires_at'"));
        const auto at = parse_rfc3339(expires_at);
        VIGIE_TRY(require(at.has_value(), "'expires_at' is not an RFC 3339 time"));
        decision.expires_at = *at;
    }
    if (decision.kind == DecisionKind::kMode && decision.scope.empty())
        decision.scope.assign(1, '*');
    VIGIE_TRY(check_value(decision, now));
    VIGIE_TRY(check_incident(decision, view, now));
    return decision;
}

}  // namespace vigie::console
