#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/webhook.h"
#include "schemas/observations.h"
#include "schemas/telemetry.h"

// How JSON of any form becomes alerts or changes: by what the configuration says of its members. A
// field that begins with "/" is a JSON pointer (RFC 6901) into the item, anything else is the text
// itself; one that points nowhere is "".
namespace vigie::ingest {

struct AlertMapping {
    std::string fingerprint;  // "": a hash of the labels, so equal labels are one alert
    std::string name;         // Needed
    std::string summary;
    std::string severity;
    std::map<std::string, schemas::Severity> severities;  // Words beyond those known anyway
    std::string state;
    std::vector<std::string> resolved{"resolved", "ok", "OK", "closed", "inactive", "normal"};
    std::string entity;  // "kind:name", or a name of `entity_kind`; "": what the labels say
    std::string entity_kind = "service";
    std::string at;
    std::string url;
    std::map<std::string, std::string> labels;
};

struct ChangeMapping {
    schemas::ChangeKind kind = schemas::ChangeKind::kDeployment;
    std::string key;  // "": a hash of the item
    std::string status;
    std::string entity;  // Needed
    std::string entity_kind = "service";
    std::string version;
    std::string environment;
    std::string actor;
    std::string summary;
    std::string at;
    std::string url;
};

// Exactly one of the two is there.
struct Mapping {
    std::string each;  // Pointer to a list of items; "": the whole is one item, or a list of them
    std::optional<AlertMapping> alert;
    std::optional<ChangeMapping> change;
};

// kInvalid for a pointer that is none.
Status check_mapping(const Mapping& mapping);

// What becomes of CloudEvents of one type. A `type` that ends with "*" is a prefix; the first that
// matches counts. The mapping is over the whole event: "/data/…", "/source", "/subject", "/time".
struct CloudEventRule {
    std::string type;
    Mapping mapping;
};

// A webhook of /webhooks/generic/NAME.
struct GenericSource {
    std::string name;
    std::string token;
    Mapping mapping;
};

// `source` is the name that the configuration gives it: part of every id and fingerprint. kInvalid
// names the item and what it lacks; nothing of a body is taken then.
Result<NamedEvents> map_events(const Mapping& mapping, std::string_view source,
                               std::string_view json, EventTime now,
                               const schemas::DecodeLimits& limits);

}  // namespace vigie::ingest
