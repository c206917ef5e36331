#include "ingest/pagerduty.h"
#include "schemas/json_fields.h"

#include <utility>

#include <fmt/format.h>

#include "ingest/alert.h"

namespace vigie::ingest {

using schemas::fields::first_link;
using schemas::fields::first_text;
using schemas::fields::first_time;
using schemas::fields::required_text;
using schemas::fields::text_at;

using schemas::Json;

namespace {

// What says anew how an incident stands.
bool tells_state(std::string_view type) {
    return type == "incident.triggered" || type == "incident.acknowledged" ||
           type == "incident.unacknowledged" || type == "incident.escalated" ||
           type == "incident.reassigned" || type == "incident.reopened" ||
           type == "incident.resolved" || type == "incident.priority_updated";
}

// responders/notify/pagerduty.cc gives the incident's id as the key.
bool is_ours(std::string_view incident_key) {
    return incident_key.starts_with("inc-") && incident_key.size() == 16;
}

}  // namespace

Result<NamedEvents> parse_pagerduty(std::string_view body, EventTime now) {
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(body));
    VIGIE_TRY_ASSIGN(const auto type, required_text(json, "/event/event_type"));
    VIGIE_TRY_ASSIGN(const auto event_id, required_text(json, "/event/id"));
    if (!tells_state(type) || is_ours(text_at(json, "/event/data/incident_key"))) {
        return NamedEvents{};
    }
    VIGIE_TRY_ASSIGN(const auto incident, required_text(json, "/event/data/id"));
    VIGIE_TRY_ASSIGN(const auto status, required_text(json, "/event/data/status"));
    schemas::Alert alert;
    alert.firing = status != "resolved";
    alert.name = first_text(json, {"/event/data/title", "/event/data/summary"});
    if (alert.name.empty()) alert.name = "PagerDuty incident " + incident;
    alert.summary = alert.name;
    const auto urgency = text_at(json, "/event/data/urgency");
    alert.severity = urgency == "low" ? schemas::Severity::kWarning : schemas::Severity::kCritical;
    const auto service = text_at(json, "/event/data/service/summary");
    if (!service.empty()) alert.entity = make_entity("service", service);
    const std::pair<const char*, std::string> labels[] = {
        {"alertname", "PagerDutyIncident"},
        {"incident", incident},
        {"priority", text_at(json, "/event/data/priority/summary")},
        {"service", service},
        {"urgency", urgency}};
    for (const auto& [name, value] : labels) {
        if (!value.empty()) alert.labels.emplace_back(name, value);
    }
    alert.fingerprint = "pagerduty-" + incident;
    alert.starts_at = first_time(json, {"/event/data/created_at", "/event/occurred_at"}, now);
    if (!alert.firing) alert.ends_at = first_time(json, {"/event/occurred_at"}, now);
    alert.url = first_link(json, {"/event/data/html_url", "/event/data/self"});
    NamedEvents events;
    events.emplace_back(EventId{"pagerduty-" + event_id}, std::move(alert));
    return events;
}

}  // namespace vigie::ingest
