#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/agent/agent.h"
#include "responders/agent/case_cache.h"

namespace vigie::agent {

// Where an incident touches an entity, and when it last did.
struct Presence {
    IncidentId incident;
    EventTime last_at;
};

// Incidents and their indexes, in the agent's state. Errors are those of the state, and
// kCorrupt for a row that cannot be read.
class Memory {
public:
    // `state` and `cache` must outlive this.
    Memory(AgentContext& state, CaseCache& cache) : state_(state), cache_(cache) {}

    // The newest event, to the second; nullopt before the first.
    Result<std::optional<EventTime>> watched_until() const;
    void set_watched_until(EventTime at);

    Result<std::optional<Case>> load(const IncidentId& id) const;
    // Writes what differs from the state.
    void save(const Case& item);

    // Open: not resolved. Opening and closing keep the counts.
    Result<std::vector<IncidentId>> open_incidents() const;
    Result<std::int64_t> open_count() const;
    Status add_open(const IncidentId& id);
    // Keeps the incident for a verdict; forgets the oldest closed one beyond kClosedMax.
    Status close(const schemas::Incident& incident, EventTime at);
    Status reopen(const IncidentId& id, EventTime closed_at);
    // Those closed at `since` or later, oldest first, with where they were.
    struct Closed {
        IncidentId id;
        std::vector<EntityId> entities;  // None: only the incident itself says.
    };
    Result<std::vector<Closed>> closed_since(EventTime since) const;

    // Which incident a symptom belongs to, by evidence_name.
    Result<std::optional<IncidentId>> incident_of(std::string_view name) const;
    void set_incident_of(std::string_view name, const IncidentId& id);
    void forget_symptom(std::string_view name);
    // The labels of an alert, for the matchers of silences: kept as long as its symptom. None of
    // more than kLabelBytesMax together.
    void set_labels(std::string_view name, const schemas::Labels& labels);
    Result<schemas::Labels> labels_of(std::string_view name) const;
    // Forgets all that still point to this incident: it cannot be reopened any more.
    Status release_symptoms(const Case& item);

    // Where open incidents are, by canonical entity.
    Result<std::vector<Presence>> present_at(const EntityId& entity) const;
    void set_present(const EntityId& entity, const IncidentId& id, EventTime at);
    void clear_present(const EntityId& entity, const IncidentId& id);

    // Which open incidents suspect a change.
    Result<std::vector<IncidentId>> suspecting(std::string_view change_key) const;
    void set_suspecting(std::string_view change_key, const IncidentId& id);
    void clear_suspecting(std::string_view change_key, const IncidentId& id);

    Result<std::optional<IncidentId>> overflow() const;
    void set_overflow(const IncidentId& id);
    void clear_overflow();

private:
    Result<std::int64_t> count(std::string_view key) const;
    Status add(std::string_view key, std::int64_t change);
    Result<std::vector<IncidentId>> ids_after(const std::string& prefix) const;

    AgentContext& state_;
    CaseCache& cache_;
};

}  // namespace vigie::agent
