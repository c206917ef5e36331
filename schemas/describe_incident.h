#pragma once

#include "schemas/codec.h"

// The fields of incident.h in JSON; schemas/incident.v1.json says the same.
namespace vigie::schemas {

template <class Io>
void describe(Io& io, detail::Of<Evidence> auto& value) {
    io.field("event", value.event);
    io.field("kind", value.kind);
    io.field("key", value.key);
    io.field("entity", value.entity);
    io.field("at", value.at);
    io.field("cleared_at", value.cleared_at);
    io.field("ended", value.ended);
    io.field("symptom", value.symptom);
    io.field("score", value.score);
    io.field("text", value.text);
}

template <class Io>
void describe(Io& io, detail::Of<Cause> auto& value) {
    io.field("entity", value.entity);
    io.field("mechanism", value.mechanism);
    io.field("change_key", value.change_key);
    io.field("share", value.share);
    io.field("onset", value.onset);
    io.field("evidence", value.evidence);
    io.field("reasons", value.reasons);
}

template <class Io>
void describe(Io& io, detail::Of<CauseEdge> auto& value) {
    io.field("cause", value.cause);
    io.field("effect", value.effect);
    io.field("explained_ratio", value.explained_ratio);
}

template <class Io>
void describe(Io& io, detail::Of<Confidence> auto& value) {
    io.field("calibrated", value.calibrated);
    io.field("value", value.value);
    io.field("outcomes", value.outcomes);
}

template <class Io>
void describe(Io& io, detail::Of<Diagnosis> auto& value) {
    io.field("causes", value.causes);
    io.field("edges", value.edges);
    io.field("confidence", value.confidence);
}

template <class Io>
void describe(Io& io, detail::Of<GateCheck> auto& value) {
    io.field("name", value.name);
    io.field("passed", value.passed);
    io.field("reason", value.reason);
}

template <class Io>
void describe(Io& io, detail::Of<PlanStep> auto& value) {
    io.field("action_id", value.action_id);
    io.field("action", value.action);
    io.field("target", value.target);
    io.field("risk", value.risk);
    io.field("parameters", value.parameters);
    io.field("diff", value.diff);
    io.field("inverse", value.inverse);
    io.field("status", value.status);
}

template <class Io>
void describe(Io& io, detail::Of<Plan> auto& value) {
    io.field("id", value.id);
    io.field("runbook", value.runbook);
    io.field("title", value.title);
    io.field("steps", value.steps);
    io.field("risk", value.risk);
    io.field("cost", value.cost);
    io.field("mode", value.mode);
    io.field("gate", value.gate);
    io.field("created_at", value.created_at);
    io.field("expires_at", value.expires_at);
    io.field("approved_by", value.approved_by);
    io.field("verify_hold_seconds", value.verify_hold);
    io.field("verify_timeout_seconds", value.verify_timeout);
}

template <class Io>
void describe(Io& io, detail::Of<TimelineEntry> auto& value) {
    io.field("at", value.at);
    io.field("kind", value.kind);
    io.field("text", value.text);
    io.field("ref", value.ref);
}

template <class Io>
void describe(Io& io, detail::Of<Incident> auto& value) {
    io.field("id", value.id);
    io.field("domain", value.domain);
    io.field("state", value.state);
    io.field("severity", value.severity);
    io.field("title", value.title);
    io.field("owner", value.owner);
    io.field("opened_at", value.opened_at);
    io.field("updated_at", value.updated_at);
    io.field("resolved_at", value.resolved_at);
    io.field("entities", value.entities);
    io.field("evidence", value.evidence);
    io.field("evidence_dropped", value.evidence_dropped);
    io.field("diagnosis", value.diagnosis);
    io.field("plan", value.plan);
    io.field("timeline", value.timeline);
    io.field("postmortem", value.postmortem);
}

template <class Io>
void describe(Io& io, detail::Of<Notice> auto& value) {
    io.field("id", value.id);
    io.field("kind", value.kind);
    io.field("text", value.text);
}

template <class Io>
void describe(Io& io, detail::Of<IncidentEvent> auto& value) {
    io.field("incident", value.incident);
    io.field("previous", value.previous);
    io.field("reason", value.reason);
    io.field("notices", value.notices);
}

}  // namespace vigie::schemas
