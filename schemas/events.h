#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/incident.h"
#include "schemas/policy.h"
#include "schemas/telemetry.h"

// The events of the JSON topics. On the wire each is a CloudEvents 1.0 event in structured
// mode (https://github.com/cloudevents/spec) whose `data` has a schema in schemas/TYPE.json.
namespace vigie::schemas {

enum class Severity : std::uint8_t { kInfo, kWarning, kCritical };

// From outside: Alertmanager, Prometheus, webhooks.
struct Alert {
    std::string fingerprint;  // Equal for the same alert over its whole life.
    bool firing = true;
    std::string name;
    Severity severity = Severity::kWarning;
    EntityId entity;
    std::string summary;
    Labels labels;
    Labels annotations;
    EventTime starts_at;
    std::optional<EventTime> ends_at;  // Of a resolved alert, or when it expires unless repeated.
    std::string url;                   // Where it can be looked at; may be empty.
};

// What kind of symptom an anomaly is: it chooses the channel in the diagnosis.
enum class Symptom : std::uint8_t {
    kLatency,
    kErrors,
    kTraffic,
    kSaturation,
    kAbsence,
    kLogPattern,
    kOther
};

// From a detector. A claim that can be checked: every number needed to redo the decision.
struct Anomaly {
    std::string detector;  // "seasonal", "rule:HighLatency", "trace.errors", …
    std::string key;       // Equal for the same anomaly over its life: detector + series.
    bool firing = true;    // False once, when it is over.
    Symptom symptom = Symptom::kOther;
    Severity severity =
        Severity::kInfo;  // kInfo is evidence only; from kWarning it opens an incident.
    EntityId entity;
    std::string signal;  // Series, operation or template, for people.
    double observed = 0;
    double expected = 0;
    double lower = 0;
    double upper = 0;
    double score = 0;  // Multiples of the detector's threshold; >= 1 when firing.
    std::string unit;  // "s", "ratio", "1", …
    EventTime first_seen;
    EventTime last_seen;
    std::string reason;                 // One sentence for the on-call engineer.
    std::vector<std::string> examples;  // At most 5 log lines or trace ids, as received and cut.
};

struct Forecast {
    EntityId entity;
    std::string signal;
    EventTime at;  // The time that is forecast.
    double expected = 0;
    double lower = 0;
    double upper = 0;
    std::string unit;
};

enum class ChangeKind : std::uint8_t {
    kCommit,
    kBuild,
    kTestRun,
    kDeployment,
    kConfiguration,
    kScaling,
    kTopology
};

// Something was changed, by people or by a pipeline. kTopology: an edge was learned, from
// `entity` (the caller, the guest) to `peer` (the callee, the node).
struct Change {
    ChangeKind kind = ChangeKind::kDeployment;
    std::string
        key;  // Equal for the same change over its life: "github:shop/checkout:deployment:17".
    std::string
        status;  // As the source names it: "pending", "success", "failure", …; may be empty.
    EntityId entity;
    EntityId peer;  // Only for kTopology.
    std::string version;
    std::string environment;
    std::string actor;
    std::string summary;
    std::string url;
    EventTime at;
};

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

// What a person decided.
struct Decision {
    DecisionKind kind = DecisionKind::kAck;
    IncidentId incident;  // Empty for kSilence, kMode, kKill.
    PlanId plan;          // For kApprove and kReject: exactly the plan that was shown.
    std::string actor;    // Who; as authenticated, or as told by the command line.
    std::string reason;   // May be empty.
    std::string value;    // kVerdict "right|wrong"; kMode "shadow|…"; kKill "on|off".
    std::string scope;    // kMode and kSilence: an action class or entity pattern; "*" for all.
    std::optional<EventTime> expires_at;  // kSilence.
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
};

// Every decision, configuration load and mode change, chained by hash (app/audit).
struct Audit {
    std::int64_t sequence = 0;
    std::string previous_hash;  // Lower-case hex SHA-256; 64 zeros for the first.
    std::string actor;          // A person, or "vigie".
    std::string what;           // "plan approved", "configuration loaded", …
    std::string subject;        // An id.
    std::string detail;
};

// Moves time on in a quiet partition. Written by ingest from the wall clock.
struct Tick {};

// Every JSON event has these. `id` is deterministic for what the core derives.
struct EventMeta {
    EventId id;
    std::string source;  // "/ingest/alertmanager", "/detectors/seasonal", "/agent"
    EventTime time;      // The event time of the record that carries it.
    DomainId domain{"default"};
};

using EventData = std::variant<Alert, Anomaly, Forecast, Change, Decision, ActionEvent,
                               IncidentEvent, Policy, Audit, Tick>;

struct Event {
    EventMeta meta;
    EventData data;
};

// CloudEvents type of the alternative: "io.vigie.alert.v1", ….
std::string_view type_of(const EventData& data);

// The bytes are equal for equal events.
std::string encode(const Event& event);

// kInvalid, with the place, for text that is not JSON, not a CloudEvent, of an unknown type, or
// whose data does not match its schema. Unknown optional fields are ignored.
Result<Event> decode(std::string_view bytes);

// The JSON Schema of a type ("io.vigie.alert.v1"), as shipped; "" for an unknown type.
std::string_view schema_of(std::string_view type);

// Snapshots of the agent's state use the same codecs.
std::string encode_incident(const Incident& incident);
Result<Incident> decode_incident(std::string_view bytes);
std::string encode_policy(const Policy& policy);
Result<Policy> decode_policy(std::string_view bytes);

// Names as they are in JSON: "critical", "in_doubt", "awaiting_approval", …
std::string_view to_string(Severity value);
std::string_view to_string(Symptom value);
std::string_view to_string(ChangeKind value);
std::string_view to_string(DecisionKind value);
std::string_view to_string(ActionPhase value);
std::string_view to_string(ActionStatus value);
std::optional<Severity> parse_severity(std::string_view text);
std::optional<DecisionKind> parse_decision_kind(std::string_view text);

}  // namespace vigie::schemas
