#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "schemas/diagnosis.h"
#include "schemas/policy.h"

// The incident as people see it: its whole story in one value. Every transition puts a new
// copy on vigie.incidents, so the last record of a key is the incident.
namespace vigie::schemas {

enum class Severity : std::uint8_t;
enum class Ended : std::uint8_t;

enum class IncidentState : std::uint8_t {
    kOpen,
    kDiagnosing,
    kActing,
    kAwaitingApproval,
    kEscalated,
    kVerifying,
    kResolved,
    kReviewed,
    kSuppressed,
    kReopened,
};

// One observation that belongs to the incident.
struct Evidence {
    EventId event;     // The alert, anomaly or change it comes from.
    std::string kind;  // "alert", "anomaly", "change"
    std::string key;   // The alert's fingerprint, the anomaly's or the change's key.
    EntityId entity;
    EventTime at;                         // Onset.
    std::optional<EventTime> cleared_at;  // Set when the symptom is over.
    std::optional<Ended> ended;           // Set when it ended without that: silent or adapted.
    bool symptom = false;                 // Must clear before the incident resolves.
    double score = 0;
    std::string text;  // One sentence; text from outside, shown and never interpreted.

    bool operator==(const Evidence&) const = default;
};

struct GateCheck {
    std::string name;  // "mode", "confidence", "blast_radius", …
    bool passed = false;
    std::string reason;

    bool operator==(const GateCheck&) const = default;
};

struct PlanStep {
    ActionId action_id;
    std::string action;  // Catalogue name.
    EntityId target;
    Risk risk = Risk::kIrreversible;
    std::map<std::string, std::string> parameters;
    std::vector<std::string> diff;
    std::string inverse;  // How it is undone, in words; "" when it cannot be.
    std::string status;   // "planned", "would_run", "started", "succeeded", …

    bool operator==(const PlanStep&) const = default;
};

struct Plan {
    PlanId id;  // A hash of what would be done: another plan has another id.
    std::string runbook;
    std::string title;
    std::vector<PlanStep> steps;
    Risk risk = Risk::kIrreversible;  // The worst of the steps.
    double cost = 0;
    Mode mode = Mode::kShadow;  // Under which it was gated.
    std::vector<GateCheck> gate;
    EventTime created_at;
    EventTime expires_at;
    std::string approved_by;  // "" until approved; "autonomous" when no person was asked.
    std::chrono::seconds verify_hold{60};
    std::chrono::seconds verify_timeout{600};

    bool operator==(const Plan&) const = default;
};

struct TimelineEntry {
    EventTime at;
    std::string
        kind;  // "opened", "evidence", "diagnosis", "plan", "decision", "action", "state", …
    std::string text;
    std::string ref;  // Id of what it speaks of.

    bool operator==(const TimelineEntry&) const = default;
};

struct Incident {
    IncidentId id;
    DomainId domain;
    IncidentState state = IncidentState::kOpen;
    Severity severity{};
    std::string title;
    std::string owner;  // Who acknowledged it; "" when nobody did.
    EventTime opened_at;
    EventTime updated_at;
    std::optional<EventTime> resolved_at;
    std::vector<EntityId> entities;  // Sorted.
    std::vector<Evidence> evidence;  // At most 200; evidence_dropped counts the rest.
    std::int64_t evidence_dropped = 0;
    Diagnosis diagnosis;
    std::optional<Plan> plan;
    std::vector<TimelineEntry> timeline;  // At most 500, oldest "evidence" dropped first.
    std::string postmortem;               // Markdown, once resolved.

    bool operator==(const Incident&) const = default;
};

// A message that a person must get: at least once.
struct Notice {
    std::string id;    // Deterministic: also the deduplication key at the receiver.
    std::string kind;  // "page", "approval", "update", "resolved"
    std::string text;

    bool operator==(const Notice&) const = default;
};

// One arrow of the incident's life, with the incident as it is after it.
struct IncidentEvent {
    Incident incident;
    IncidentState previous = IncidentState::kOpen;
    std::string reason;
    std::vector<Notice> notices;

    bool operator==(const IncidentEvent&) const = default;
};

std::string_view to_string(IncidentState value);

}  // namespace vigie::schemas
