#include "schemas/schema_files.h"

#include <array>
#include <map>
#include <string>

namespace vigie::schemas::detail {

namespace {

constexpr std::array<std::string_view, 12> kFiles{
    "event.v1.json",  "alert.v1.json",    "anomaly.v1.json", "forecast.v1.json",
    "change.v1.json", "decision.v1.json", "action.v1.json",  "incident.v1.json",
    "policy.v1.json", "audit.v1.json",    "tick.v1.json",    "heartbeat.v1.json"};

using Schemas = std::map<std::string, Json, std::less<>>;

Schemas parse_all() {
    Schemas schemas;
    for (const auto name : kFiles) {
        auto schema = parse_json(embedded(name));
        VIGIE_ASSERT(schema.has_value());
        schemas.emplace(name, *std::move(schema));
    }
    // A snapshot holds an incident without its transition.
    const Json& transition = schemas.at("incident.v1.json");
    Json incident = transition["$defs"]["incident"];
    incident["$defs"] = transition["$defs"];
    schemas.emplace("incident.v1.json#incident", std::move(incident));
    return schemas;
}

}  // namespace

const Json& schema_named(std::string_view name) {
    static const Schemas kSchemas = parse_all();  // Immutable, and the same in every thread.
    const auto found = kSchemas.find(name);
    VIGIE_ASSERT(found != kSchemas.end());
    return found->second;
}

}  // namespace vigie::schemas::detail
