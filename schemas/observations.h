#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "schemas/telemetry.h"

// What reaches the agent as evidence: alerts, anomalies, forecasts and changes.
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

    bool operator==(const Alert&) const = default;
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

// How a detector stopped claiming an anomaly. Only kCalm is recovery.
enum class Ended : std::uint8_t {
    kCalm,     // The values are usual again.
    kSilent,   // Nothing is left to judge by, such as data. Told anew, calm or firing, once it is.
    kAdapted,  // The values stayed unusual for so long that they are the new normal.
};

// From a detector. A claim that can be checked: every number needed to redo the decision.
struct Anomaly {
    std::string detector;        // "seasonal", "rule:HighLatency", "trace.errors", …
    std::string key;             // Equal for the same anomaly over its life: detector + series.
    bool firing = true;          // False when it is over: once, or again as calm after kSilent.
    std::optional<Ended> ended;  // Absent while it fires, and ignored then. See ended_of().
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

    bool operator==(const Anomaly&) const = default;
};

// How an anomaly ended; only asked when it does not fire. A record without `ended`, from before
// the field or from a foreign detector, counts as calm then.
inline Ended ended_of(const Anomaly& anomaly) {
    return anomaly.ended.value_or(Ended::kCalm);
}

struct Forecast {
    EntityId entity;
    std::string signal;
    EventTime at;  // The time that is forecast.
    double expected = 0;
    double lower = 0;
    double upper = 0;
    std::string unit;

    bool operator==(const Forecast&) const = default;
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

    bool operator==(const Change&) const = default;
};

// "I live": what must be repeated within `every` and `grace`, or its silence becomes an alert.
struct Heartbeat {
    std::string name;
    std::chrono::seconds every{300};
    std::chrono::seconds grace{60};
    EntityId entity;  // Whose heart it is; "" for service:NAME
    Severity severity = Severity::kCritical;
    std::string summary;    // Of the alert; "" for a sentence of ours
    bool declared = false;  // Not a beat: it is expected from now on, if it is not known.
    bool ended = false;     // Expected no longer.

    bool operator==(const Heartbeat&) const = default;
};

// Names as they are in JSON: "critical", "log_pattern", "test_run", …
std::string_view to_string(Severity value);
std::string_view to_string(Symptom value);
std::string_view to_string(Ended value);
std::string_view to_string(ChangeKind value);
std::optional<Severity> parse_severity(std::string_view text);
std::optional<Ended> parse_ended(std::string_view text);
std::optional<ChangeKind> parse_change_kind(std::string_view text);

}  // namespace vigie::schemas
