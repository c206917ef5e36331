#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/decisions.h"
#include "schemas/incident.h"
#include "schemas/observations.h"
#include "schemas/policy.h"

// The events of the JSON topics. On the wire each is a CloudEvents 1.0 event in structured
// mode (https://github.com/cloudevents/spec) whose `data` has a schema in schemas/TYPE.json.
namespace vigie::schemas {

// Every JSON event has these. `id` is deterministic for what the core derives.
struct EventMeta {
    EventId id;
    std::string source;  // "/ingest/alertmanager", "/detectors/seasonal", "/agent"
    EventTime time;      // The event time of the record that carries it.
    DomainId domain{"default"};

    bool operator==(const EventMeta&) const = default;
};

using EventData = std::variant<Alert, Anomaly, Forecast, Change, Decision, ActionEvent,
                               IncidentEvent, Policy, Audit, Tick, Heartbeat>;

struct Event {
    EventMeta meta;
    EventData data;

    bool operator==(const Event&) const = default;
};

// CloudEvents type of the alternative: "io.vigie.alert.v1", ….
std::string_view type_of(const EventData& data);

// The bytes are equal for equal events, and decode gives the same event back, but for what JSON
// or the limits of RFC 3339 cannot say: a number that is not finite is null and comes back as
// NaN, invalid UTF-8 comes back as U+FFFD, a time outside the years 1 to 9999 is clamped.
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

}  // namespace vigie::schemas
