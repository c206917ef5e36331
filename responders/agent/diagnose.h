#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "schemas/events.h"
#include "schemas/incident.h"

namespace vigie::agent {

// In which channel an observation speaks. Chosen from the detector's symptom, never from text.
enum class Channel : std::uint8_t {
    kLatency,
    kErrors,
    kTrafficUp,
    kTrafficDown,
    kSaturation,
    kAbsence,
    kLogPattern,
    kOther,  // Alerts from outside too: their names and texts are not interpreted.
};
std::string_view to_string(Channel channel);
Channel parse_channel(std::string_view text);  // kOther for what it does not know
Channel channel_of(const schemas::Anomaly& anomaly);

// A recent change, its status updates folded into one.
struct RecentChange {
    std::string key;
    schemas::ChangeKind kind = schemas::ChangeKind::kDeployment;
    EntityId entity;  // As its source named it
    std::string status;
    std::string version;
    std::string actor;
    std::string summary;
    EventId event;        // The first that told of it
    EventTime first_at;   // Started
    EventTime latest_at;  // Its last status
};

struct Observation {
    EventId event;
    EntityId entity;  // Canonical: as the inventory names it
    Channel channel = Channel::kOther;
    double score = 0;
    EventTime onset;
};

struct SuspectChange {
    RecentChange change;
    EntityId entity;  // Canonical
};

// callee or host of …: what each entity depends on. std::map for one order everywhere.
using Graph = std::map<EntityId, std::vector<EntityId>>;

struct DiagnosisInput {
    std::vector<Observation> observations;
    std::vector<SuspectChange> changes;
    Graph depends_on;
    std::chrono::seconds change_window{3600};
};

// Candidates are entity × mechanism, one for each recent change, and kUnknown for "none of
// these"; each gets a sum of bounded channels, and softmax turns the sums into shares. Pure and
// independent of the order of its input. Confidence is left to learn.h.
schemas::Diagnosis diagnose(const DiagnosisInput& input);

// One line for each hop from `symptom` along what it depends on to `cause`:
// "service:frontend -> service:checkout"; "" when there is no path of at most kPathMax hops.
std::string causal_path(const Graph& depends_on, const EntityId& symptom, const EntityId& cause);

}  // namespace vigie::agent
