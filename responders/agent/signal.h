#pragma once

#include <string>

#include "core/id.h"
#include "core/time.h"
#include "responders/agent/diagnose.h"
#include "schemas/events.h"

namespace vigie::agent {

// An alert or an anomaly, brought to one form and bounded.
struct Signal {
    std::string kind;  // "alert", "anomaly"
    std::string key;
    std::string name;  // For a title
    std::string text;  // One sentence
    EntityId entity;   // As its source named it; "" when that cannot be an id
    bool firing = true;
    schemas::Ended ended{};  // When it does not fire
    schemas::Severity severity{};
    Channel channel = Channel::kOther;
    double score = 0;
    EventTime onset;
    EventTime seen_at;
    schemas::Labels labels;  // Of an alert
};

// An alert's score is 1, or 2 when critical: its text is not weighed. An alert or anomaly
// without fingerprint or key is known by its name and entity.
Signal to_signal(const schemas::Alert& alert, const schemas::EventMeta& meta);
Signal to_signal(const schemas::Anomaly& anomaly, const schemas::EventMeta& meta);

// `entity` when it can be one: at most 200 bytes, nothing hidden in it; otherwise "".
EntityId usable_entity(const EntityId& entity);

}  // namespace vigie::agent
