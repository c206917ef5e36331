#pragma once

#include <string>

#include "core/id.h"
#include "responders/agent/memory.h"
#include "schemas/incident.h"

// What stands between an incident and its end. Only a symptom that cleared, because its values are
// usual again, counts as recovery: not one whose data stopped, not one whose level is the new
// normal.
namespace vigie::agent {

bool is_closed(schemas::IncidentState state);

// A symptom that its source claims now.
bool fires(const schemas::Evidence& evidence);
// A symptom that is there as far as anyone can tell: it fires, or fell silent while it did.
bool remains(const schemas::Evidence& evidence);

bool symptoms_fire(const schemas::Incident& incident);
bool symptoms_remain(const schemas::Incident& incident);
// Every symptom cleared.
bool has_recovered(const schemas::Incident& incident);

// Which telemetry is missing, in words: an entity that is absent, a symptom that fell silent. ""
// when none is. `expected_absent`: the entity whose absence is the signal, or "".
std::string missing_data(const Case& item, const EntityId& expected_absent);

}  // namespace vigie::agent
