#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "schemas/matchers.h"

// What was decided and done: decisions of people, actions of the executor, the audit of both.
namespace vigie::schemas {

enum class DecisionKind : std::uint8_t {
    kAck,
    kApprove,
    kReject,
    kVerdict,
    kSilence,
    kMode,
    kKill,
    kResolve
};

// What a kSilence decision may say beyond its scope, owner and end.
struct SilenceTerms {
    std::string id;                 // Of the silence that is set, changed or ended; "": a new one.
    std::vector<Matcher> matchers;  // Instead of a scope: all must be met by an alert's labels.
    std::optional<EventTime> starts_at;  // Absent: at once.

    bool operator==(const SilenceTerms&) const = default;
};

// What a person decided.
struct Decision {
    DecisionKind kind = DecisionKind::kAck;
    IncidentId incident;  // Empty for kSilence, kMode, kKill.
    PlanId plan;          // For kApprove and kReject: exactly the plan that was shown.
    std::string actor;    // Who; as authenticated, or as told by the command line.
    std::string reason;   // May be empty.
    std::string value;    // kVerdict "right|wrong"; kMode "shadow|…"; kKill "on|off".
    std::string scope;    // kMode and kSilence: an action class or entity pattern; "*" for all.
    std::optional<EventTime>
        expires_at{};  // kSilence. Not after the event: the silence of `terms` ends.
    std::optional<SilenceTerms> terms{};  // kSilence.

    bool operator==(const Decision&) const = default;
};

// What an action is doing. All events of one action have one ActionId.
enum class ActionPhase : std::uint8_t { kInspect, kExecute };
enum class ActionStatus : std::uint8_t {
    kIntended,  // The agent asks for it.
    kStarted,   // The executor is about to call. Durable before the call.
    kSucceeded,
    kFailed,   // The target answered no, or was not reached: certainly nothing was changed.
    kRefused,  // Kill switch, precondition or permission: certainly nothing was called.
    kInDoubt,  // Its fate is unknown and looking did not settle it: a person must.
};

struct ActionEvent {
    ActionId id;
    IncidentId incident;
    PlanId plan;  // Empty for an inspection before there is a plan.
    ActionPhase phase = ActionPhase::kInspect;
    ActionStatus status = ActionStatus::kIntended;
    std::string action;  // Catalogue name: "kubernetes.rollback_deployment".
    EntityId target;
    std::map<std::string, std::string> parameters;
    std::map<std::string, std::string> facts;  // What was found out: inspection and outcome.
    std::vector<std::string> diff;             // "- image: shop:1.5.0", "+ image: shop:1.4.2"
    std::string message;                       // One sentence.
    std::string instance;                      // The executor that started it.

    bool operator==(const ActionEvent&) const = default;
};

// Every decision, configuration load and mode change, chained by hash (app/audit).
struct Audit {
    std::int64_t sequence = 0;
    std::string previous_hash;  // Lower-case hex SHA-256; 64 zeros for the first.
    std::string actor;          // A person, or "vigie".
    std::string what;           // "plan approved", "configuration loaded", …
    std::string subject;        // An id.
    std::string detail;

    bool operator==(const Audit&) const = default;
};

// Moves time on in a quiet partition. Written by ingest from the wall clock.
struct Tick {
    bool operator==(const Tick&) const = default;
};

// Names as they are in JSON: "approve", "execute", "in_doubt", …
std::string_view to_string(DecisionKind value);
std::string_view to_string(ActionPhase value);
std::string_view to_string(ActionStatus value);
std::optional<DecisionKind> parse_decision_kind(std::string_view text);

}  // namespace vigie::schemas
