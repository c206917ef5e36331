#include "console/render.h"

#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "schemas/json.h"

namespace vigie::console {

using schemas::dump_json;
using schemas::Incident;
using schemas::IncidentState;
using schemas::Json;

namespace {

constexpr std::size_t kExplanationEntriesMax = 1000;

constexpr std::array kStates{IncidentState::kOpen,       IncidentState::kDiagnosing,
                             IncidentState::kActing,     IncidentState::kAwaitingApproval,
                             IncidentState::kEscalated,  IncidentState::kVerifying,
                             IncidentState::kResolved,   IncidentState::kReviewed,
                             IncidentState::kSuppressed, IncidentState::kReopened};

constexpr std::string_view kActive = "active";

bool is_active(IncidentState state) {
    return state != IncidentState::kResolved && state != IncidentState::kReviewed &&
           state != IncidentState::kSuppressed;
}

bool passes(const Incident& incident, std::string_view filter) {
    if (filter.empty()) return true;
    if (filter == kActive) return is_active(incident.state);
    return schemas::to_string(incident.state) == filter;
}

// The best cause in one phrase: what and how, never a number.
std::string cause_phrase(const Incident& incident) {
    if (incident.diagnosis.causes.empty()) return {};
    const auto& cause = incident.diagnosis.causes.front();
    if (cause.mechanism == schemas::Mechanism::kUnknown) return "none of the known causes";
    std::string mechanism(schemas::to_string(cause.mechanism));
    for (char& c : mechanism) c = c == '_' ? ' ' : c;
    return fmt::format("{} of {}", mechanism, cause.entity.value);
}

Json summary(const Incident& incident) {
    Json entities = Json::array();
    for (const auto& entity : incident.entities) entities.push_back(entity.value);
    Json json{{"id", incident.id.value},
              {"domain", incident.domain.value},
              {"state", schemas::to_string(incident.state)},
              {"active", is_active(incident.state)},
              {"severity", schemas::to_string(incident.severity)},
              {"title", incident.title},
              {"owner", incident.owner},
              {"opened_at", to_rfc3339(incident.opened_at)},
              {"updated_at", to_rfc3339(incident.updated_at)},
              {"entities", std::move(entities)},
              {"cause", cause_phrase(incident)},
              {"confidence", schemas::to_string(incident.diagnosis.confidence)},
              {"awaiting_approval", incident.state == IncidentState::kAwaitingApproval},
              {"postmortem", !incident.postmortem.empty()}};
    if (incident.resolved_at) json["resolved_at"] = to_rfc3339(*incident.resolved_at);
    if (incident.plan) json["plan"] = incident.plan->id.value;
    return json;
}

// Everything that belongs to the incident and may be the subject of an audit entry.
std::set<std::string, std::less<>> ids_of(const Incident& incident) {
    std::set<std::string, std::less<>> ids{incident.id.value};
    if (incident.plan) {
        ids.insert(incident.plan->id.value);
        for (const auto& step : incident.plan->steps) ids.insert(step.action_id.value);
    }
    for (const auto& evidence : incident.evidence) {
        ids.insert(evidence.event.value);
        ids.insert(evidence.key);
    }
    for (const auto& entry : incident.timeline) ids.insert(entry.ref);
    ids.erase("");
    return ids;
}

bool continues_id(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

// As a whole: "inc-1" is not mentioned by "inc-12".
bool mentions(std::string_view text, std::string_view id) {
    for (auto place = text.find(id); place != std::string_view::npos;
         place = text.find(id, place + 1)) {
        const auto end = place + id.size();
        const bool starts = place == 0 || !continues_id(text[place - 1]);
        if (starts && (end == text.size() || !continues_id(text[end]))) return true;
    }
    return false;
}

bool is_about(const schemas::Audit& audit, std::string_view id) {
    return audit.subject == id || mentions(audit.detail, id);
}

Json audit_entry(const AuditEntry& entry, bool direct) {
    return {{"sequence", entry.audit.sequence},
            {"time", to_rfc3339(entry.meta.time)},
            {"actor", entry.audit.actor},
            {"what", entry.audit.what},
            {"subject", entry.audit.subject},
            {"detail", entry.audit.detail},
            {"relation", direct ? "direct" : "related"}};
}

}  // namespace

std::string render_error(std::string_view reason) {
    return dump_json(Json{{"error", std::string(reason)}});
}

std::string render_summary(const Incident& incident) {
    return dump_json(summary(incident));
}

bool is_state_filter(std::string_view state) {
    if (state.empty() || state == kActive) return true;
    for (const auto known : kStates) {
        if (schemas::to_string(known) == state) return true;
    }
    return false;
}

std::string render_incidents(const View& view, std::string_view state, std::size_t limit) {
    Json list = Json::array();
    std::size_t matching = 0;
    for (const auto& incident : view.newest_first()) {
        if (!passes(*incident, state)) continue;
        if (++matching <= limit) list.push_back(summary(*incident));
    }
    return dump_json(Json{
        {"incidents", std::move(list)}, {"matching", matching}, {"caught_up", view.caught_up}});
}

std::string render_incident(const Incident& incident) {
    // The stored form is the base, so that a new field shows here without being named twice.
    Json json = schemas::parse_json(schemas::encode_incident(incident)).value_or(Json::object());
    const Json extra = summary(incident);
    for (const char* name : {"active", "cause", "awaiting_approval"}) json[name] = extra[name];
    json["diagnosis"]["confidence"]["text"] = extra["confidence"];
    return dump_json(json);
}

std::optional<std::string> render_explanation(const View& view, std::string_view id) {
    if (id.empty()) return std::nullopt;
    Json incidents = Json::array();
    Json timeline = Json::array();
    std::set<std::string, std::less<>> related;
    for (const auto& [key, incident] : view.incidents) {
        const auto ids = ids_of(*incident);
        if (!ids.contains(id)) continue;
        incidents.push_back(summary(*incident));
        related.insert(incident->id.value);
        if (incident->plan) related.insert(incident->plan->id.value);
        // About an incident everything in it is told, about a part of it only that part.
        if (key == id) related.insert(ids.begin(), ids.end());
        for (const auto& entry : incident->timeline) {
            if (entry.ref != id && key != id) continue;
            timeline.push_back({{"time", to_rfc3339(entry.at)},
                                {"incident", key},
                                {"kind", entry.kind},
                                {"text", entry.text},
                                {"ref", entry.ref}});
        }
    }
    Json entries = Json::array();
    std::size_t matching = 0;
    for (const auto& entry : view.audit) {
        const bool direct = is_about(entry->audit, id);
        if (!direct && !related.contains(entry->audit.subject)) continue;
        if (++matching <= kExplanationEntriesMax) entries.push_back(audit_entry(*entry, direct));
    }
    if (matching == 0 && incidents.empty()) return std::nullopt;
    return dump_json(Json{{"id", std::string(id)},
                          {"incidents", std::move(incidents)},
                          {"timeline", std::move(timeline)},
                          {"entries", std::move(entries)},
                          {"matching", matching}});
}

std::string render_hello(const View& view) {
    return dump_json(
        Json{{"hello", {{"incidents", view.incidents.size()}, {"caught_up", view.caught_up}}}});
}

std::string render_change(const Incident& incident) {
    return dump_json(Json{{"incident", summary(incident)}});
}

}  // namespace vigie::console
