#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

// What an incident knows: its evidence, and the diagnosis made of it.
namespace vigie::agent {

using schemas::Evidence;
using schemas::IncidentState;

namespace {

bool is_suspect_kind(schemas::ChangeKind kind) {
    return kind == schemas::ChangeKind::kDeployment ||
           kind == schemas::ChangeKind::kConfiguration || kind == schemas::ChangeKind::kScaling;
}

bool has_change(const schemas::Incident& incident, const std::string& key) {
    return std::any_of(
        incident.evidence.begin(), incident.evidence.end(),
        [&key](const Evidence& item) { return item.kind == "change" && item.key == key; });
}

std::string describe(const schemas::Cause& cause) {
    if (cause.mechanism == schemas::Mechanism::kUnknown) return "none of the known causes";
    return fmt::format(
        "{} of {}{}", schemas::to_string(cause.mechanism), clean(cause.entity.value, kNameBytesMax),
        cause.change_key.empty() ? ""
                                 : fmt::format(" ({})", clean(cause.change_key, kNameBytesMax)));
}

bool is_same_cause(const schemas::Cause& a, const schemas::Cause& b) {
    return a.entity == b.entity && a.mechanism == b.mechanism && a.change_key == b.change_key;
}

}  // namespace

Result<bool> Turn::add_evidence(Case& item, const Signal& signal) {
    auto& incident = item.incident;
    VIGIE_TRY(make_room(item));
    if (incident.evidence.size() >= kEvidenceMax) {
        ++item.work.only_counted;
        audit(
            "evidence dropped", meta_.id.value,
            fmt::format("{} has {} pieces of evidence, the most allowed; this one is only counted",
                        incident.id.value, kEvidenceMax));
        return false;
    }
    const bool symptom = signal.severity >= schemas::Severity::kWarning;
    incident.evidence.push_back({meta_.id, signal.kind, signal.key, signal.entity, signal.onset,
                                 std::nullopt, std::nullopt, symptom, signal.score, signal.text});
    const auto name = evidence_name(signal.kind, signal.key);
    item.work.tracks[name] = {signal.channel, signal.seen_at};
    memory_.set_incident_of(name, incident.id);
    memory_.set_labels(name, signal.labels);
    if (symptom) note_presence(item, signal.entity, signal.seen_at);
    return true;
}

// Only symptoms say where an incident is: evidence near it must not make it grow.
void Turn::note_presence(Case& item, const EntityId& entity, EventTime seen_at) {
    if (entity.empty()) return;
    auto& entities = item.incident.entities;
    const auto place = std::lower_bound(entities.begin(), entities.end(), entity);
    const bool known = place != entities.end() && *place == entity;
    if (!known && entities.size() < kEntitiesMax) entities.insert(place, entity);
    if (item.work.overflow) return;
    memory_.set_present(view_.canonical(entity), item.incident.id, seen_at);
}

// Makes room by forgetting the oldest evidence that need not clear any more, if there is any.
Status Turn::make_room(Case& item) {
    auto& evidence = item.incident.evidence;
    if (evidence.size() < kEvidenceMax) return {};
    const auto found = std::find_if(evidence.begin(), evidence.end(), [](const Evidence& old) {
        return old.cleared_at.has_value() || !old.symptom;
    });
    if (found == evidence.end()) return {};
    const auto name = evidence_name(found->kind, found->key);
    VIGIE_TRY_ASSIGN(const auto owner, memory_.incident_of(name));
    if (owner == item.incident.id) memory_.forget_symptom(name);
    item.work.tracks.erase(name);
    evidence.erase(found);
    ++item.incident.evidence_dropped;
    return {};
}

// Takes in what was seen near the incident before it opened: loose evidence and changes.
Status Turn::gather(Case& item) {
    auto& incident = item.incident;
    if (item.work.overflow) return {};
    std::set<EntityId> near = canonical_entities(item);
    for (const auto& entity : canonical_entities(item)) {
        VIGIE_TRY_ASSIGN(const auto around, world_.neighbours(entity));
        near.insert(around.dependencies.begin(), around.dependencies.end());
        near.insert(around.dependents.begin(), around.dependents.end());
    }
    VIGIE_TRY_ASSIGN(auto loose, world_.take_loose(near, now_ - policy_.correlation_window));
    for (auto& found : loose) {
        VIGIE_TRY(make_room(item));
        if (incident.evidence.size() >= kEvidenceMax) {
            ++incident.evidence_dropped;
            continue;
        }
        const auto name = evidence_name(found.evidence.kind, found.evidence.key);
        tell(item, "evidence",
             fmt::format("{} was seen before: {}", clean(name, kNameBytesMax), found.evidence.text),
             found.evidence.event.value);
        item.work.tracks[name] = {found.channel, found.seen_at};
        memory_.set_incident_of(name, incident.id);
        incident.evidence.push_back(std::move(found.evidence));
    }
    VIGIE_TRY_ASSIGN(const auto changes, world_.changes());
    auto attached = static_cast<std::size_t>(
        std::count_if(incident.evidence.begin(), incident.evidence.end(),
                      [](const Evidence& old) { return old.kind == "change"; }));
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
        const auto touched = view_.touched_by(change->entity);
        const bool close = std::any_of(touched.begin(), touched.end(),
                                       [&near](const EntityId& e) { return near.contains(e); });
        if (!close || !is_suspect_kind(change->kind) || has_change(incident, change->key)) continue;
        if (change->latest_at + policy_.change_window < incident.opened_at) continue;
        if (attached >= kIncidentChangesMax || incident.evidence.size() >= kEvidenceMax) break;
        ++attached;
        incident.evidence.push_back(
            {change->event, "change", change->key, change->entity, change->first_at, std::nullopt,
             std::nullopt, false, 0,
             clean(fmt::format("{} {} {} {}", schemas::to_string(change->kind), change->version,
                               change->status, change->summary))});
        memory_.set_suspecting(change->key, incident.id);
    }
    return {};
}

Result<Graph> Turn::graph_of(const Case& item) const {
    return world_.graph(canonical_entities(item));
}

// True when the first cause is another one than before.
Result<bool> Turn::rediagnose(Case& item) {
    auto& incident = item.incident;
    DiagnosisInput input;
    input.change_window = policy_.change_window;
    VIGIE_TRY_ASSIGN(input.depends_on, graph_of(item));
    std::set<EntityId> suspects;
    for (const auto& evidence : incident.evidence) {
        if (evidence.kind == "change") continue;
        const auto track = item.work.tracks.find(evidence_name(evidence.kind, evidence.key));
        const auto channel =
            track == item.work.tracks.end() ? Channel::kOther : track->second.channel;
        const auto entity = view_.canonical(evidence.entity);
        input.observations.push_back(
            {evidence.event, entity, channel, evidence.score, evidence.at});
        suspects.insert(entity);
        const auto below = input.depends_on.find(entity);
        if (below != input.depends_on.end()) {
            suspects.insert(below->second.begin(), below->second.end());
        }
    }
    VIGIE_TRY_ASSIGN(const auto changes, world_.changes());
    for (const auto& change : changes) {
        if (!has_change(incident, change.key)) continue;
        for (const auto& entity : view_.touched_by(change.entity)) {
            if (suspects.contains(entity)) input.changes.push_back({change, entity});
        }
    }
    auto diagnosis = diagnose(input);
    VIGIE_TRY_ASSIGN(const auto outcomes, controls_.outcomes());
    diagnosis.confidence =
        confidence_of(outcomes, diagnosis.causes.front().share, policy_.outcomes_min);
    const bool changed =
        incident.diagnosis.causes.empty() ||
        !is_same_cause(incident.diagnosis.causes.front(), diagnosis.causes.front());
    incident.diagnosis = std::move(diagnosis);
    if (!changed) return false;
    const auto& top = incident.diagnosis.causes.front();
    const auto text = fmt::format("most likely {} (share {}, confidence {})", describe(top),
                                  number(top.share), to_string(incident.diagnosis.confidence));
    tell(item, "diagnosis", text);
    audit("diagnosis", incident.id.value, text);
    return true;
}

Status Turn::after_evidence(Case& item) {
    auto& incident = item.incident;
    VIGIE_TRY(gather(item));
    VIGIE_TRY(watch_symptoms(item));
    VIGIE_TRY(tell_unverified(item));
    if (item.work.overflow) return {};
    switch (incident.state) {
        case IncidentState::kDiagnosing:
        case IncidentState::kAwaitingApproval:
        case IncidentState::kEscalated: break;
        case IncidentState::kSuppressed: {
            VIGIE_TRY_ASSIGN(const auto silence, silenced_by(item));
            if (!silence.empty()) return {};
            return unsuppress(item, "a symptom that no silence covers joined");
        }
        default: return {};
    }
    VIGIE_TRY_ASSIGN(const bool changed, rediagnose(item));
    // An inspection that ended when nothing fired any more left the diagnosis idle.
    const bool idle = incident.state == IncidentState::kDiagnosing && item.work.waiting_for.empty();
    if (!changed && !idle) return {};
    if (item.work.acted || item.work.hold == Hold::kPerson) return {};
    if (incident.state == IncidentState::kAwaitingApproval) {
        withdraw_plan(item, "withdrawn");
        context_.cancel_timer(timer_name(kApprovalTimer, incident.id.value));
    }
    return begin_diagnosis(item, "the diagnosis changed");
}

}  // namespace vigie::agent
