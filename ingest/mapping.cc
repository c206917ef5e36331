#include "ingest/mapping.h"
#include "schemas/json_fields.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "ingest/alert.h"

namespace vigie::ingest {

using schemas::fields::first_link;
using schemas::fields::parse_any_time;
using schemas::fields::text_at;

using schemas::Json;

namespace {

bool is_pointer(std::string_view field) {
    return field.starts_with('/');
}

std::string value_of(const Json& item, const std::string& field) {
    return is_pointer(field) ? text_at(item, field) : field;
}

EntityId entity_named(const std::string& name, const std::string& kind) {
    if (name.empty()) return {};
    return name.find(':') == std::string::npos ? make_entity(kind, name) : EntityId{name};
}

EventTime time_of(const Json& item, const std::string& field, EventTime now) {
    const auto at = parse_any_time(value_of(item, field));
    return at ? std::min(*at, now) : now;
}

std::string link_of(const Json& item, const std::string& field) {
    return is_pointer(field) ? first_link(item, {field}) : link_or_nothing(field);
}

Result<std::pair<EventId, schemas::EventData>> map_alert(const AlertMapping& mapping,
                                                         std::string_view source, const Json& item,
                                                         EventTime now) {
    schemas::Alert alert;
    alert.name = value_of(item, mapping.name);
    if (alert.name.empty()) return fail(ErrorKind::kInvalid, mapping.name + " is missing");
    for (const auto& [label, field] : mapping.labels) {
        if (auto value = value_of(item, field); !value.empty()) {
            alert.labels.emplace_back(label, std::move(value));
        }
    }
    if (schemas::label(alert.labels, "alertname").empty()) {
        alert.labels.emplace_back("alertname", alert.name);
        std::ranges::sort(alert.labels);
    }
    alert.entity = entity_named(value_of(item, mapping.entity), mapping.entity_kind);
    if (alert.entity.empty()) alert.entity = schemas::entity_of(alert.labels);
    alert.summary = value_of(item, mapping.summary);
    const auto severity = value_of(item, mapping.severity);
    const auto word = mapping.severities.find(severity);
    alert.severity = word == mapping.severities.end() ? severity_of(severity) : word->second;
    alert.firing = std::ranges::find(mapping.resolved, value_of(item, mapping.state)) ==
                   mapping.resolved.end();
    alert.starts_at = time_of(item, mapping.at, now);
    if (!alert.firing) alert.ends_at = alert.starts_at;
    alert.url = link_of(item, mapping.url);
    const auto key = value_of(item, mapping.fingerprint);
    alert.fingerprint =
        fmt::format("{}-{}", source,
                    key.empty() ? alert_fingerprint(alert.labels) + "-" + alert.entity.value : key);
    EventId id = alert_event_id(alert);
    return std::pair(std::move(id), schemas::EventData(std::move(alert)));
}

Result<std::pair<EventId, schemas::EventData>> map_change(const ChangeMapping& mapping,
                                                          std::string_view source, const Json& item,
                                                          EventTime now) {
    schemas::Change change;
    change.kind = mapping.kind;
    change.entity = entity_named(value_of(item, mapping.entity), mapping.entity_kind);
    if (change.entity.empty()) return fail(ErrorKind::kInvalid, mapping.entity + " is missing");
    const std::string content = schemas::dump_json(item);
    const auto key = value_of(item, mapping.key);
    change.key = fmt::format("{}:{}", source, key.empty() ? event_id("item", content).value : key);
    change.status = value_of(item, mapping.status);
    change.version = value_of(item, mapping.version);
    change.environment = value_of(item, mapping.environment);
    change.actor = value_of(item, mapping.actor);
    change.summary = value_of(item, mapping.summary);
    change.at = time_of(item, mapping.at, now);
    change.url = link_of(item, mapping.url);
    EventId id = event_id(source, content);
    return std::pair(std::move(id), schemas::EventData(std::move(change)));
}

Status check_field(std::string_view name, const std::string& field) {
    if (!is_pointer(field)) return {};
    for (std::size_t i = 0; i < field.size(); ++i) {
        const bool escape = field[i] == '~';
        if (escape && (i + 1 == field.size() || (field[i + 1] != '0' && field[i + 1] != '1'))) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("{}: '{}' is not a JSON pointer: after ~ comes 0 or 1", name,
                                    one_line(field, 100)));
        }
    }
    return {};
}

}  // namespace

Status check_mapping(const Mapping& mapping) {
    if (!mapping.each.empty() && !is_pointer(mapping.each)) {
        return fail(ErrorKind::kInvalid, "each: must be a JSON pointer, such as /alerts");
    }
    VIGIE_TRY(check_field("each", mapping.each));
    if (mapping.alert) {
        const auto& alert = *mapping.alert;
        if (alert.name.empty()) return fail(ErrorKind::kInvalid, "name: is missing");
        for (const auto& [name, field] : {std::pair{"fingerprint", alert.fingerprint},
                                          {"name", alert.name},
                                          {"summary", alert.summary},
                                          {"severity", alert.severity},
                                          {"state", alert.state},
                                          {"entity", alert.entity},
                                          {"at", alert.at},
                                          {"url", alert.url}}) {
            VIGIE_TRY(check_field(name, field));
        }
        for (const auto& [label, field] : alert.labels) VIGIE_TRY(check_field(label, field));
    }
    if (!mapping.change) return {};
    const auto& change = *mapping.change;
    if (change.entity.empty()) return fail(ErrorKind::kInvalid, "entity: is missing");
    for (const auto& [name, field] : {std::pair{"key", change.key},
                                      {"status", change.status},
                                      {"entity", change.entity},
                                      {"version", change.version},
                                      {"environment", change.environment},
                                      {"actor", change.actor},
                                      {"summary", change.summary},
                                      {"at", change.at},
                                      {"url", change.url}}) {
        VIGIE_TRY(check_field(name, field));
    }
    return {};
}

Result<NamedEvents> map_events(const Mapping& mapping, std::string_view source,
                               std::string_view json, EventTime now,
                               const schemas::DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(json));
    const Json* const found = schemas::find(body, mapping.each);
    if (found == nullptr) return fail(ErrorKind::kInvalid, mapping.each + " is missing");
    const bool list = found->is_array();
    if (!list && !mapping.each.empty()) {
        return fail(ErrorKind::kInvalid, mapping.each + " is not a list");
    }
    const std::size_t count = list ? found->size() : 1;
    if (count > limits.items_max) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("the list has more than {} items", limits.items_max));
    }
    NamedEvents events;
    for (std::size_t i = 0; i < count; ++i) {
        const Json& item = list ? (*found)[i] : *found;
        auto event = mapping.alert ? map_alert(*mapping.alert, source, item, now)
                                   : map_change(*mapping.change, source, item, now);
        if (!event) return fail(std::move(event).error().in(fmt::format("item {}", i)));
        events.push_back(*std::move(event));
    }
    return events;
}

}  // namespace vigie::ingest
