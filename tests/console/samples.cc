#include "tests/console/samples.h"

#include <fmt/format.h>

#include "core/result.h"
#include "schemas/topics.h"

namespace vigie::console::samples {

namespace topics = schemas::topics;
using schemas::Incident;
using schemas::IncidentState;

namespace {

schemas::Plan rollback_plan() {
    schemas::Plan plan;
    plan.id = {"plan-0a1b2c3d4e5f"};
    plan.runbook = "rollback-deployment";
    plan.title = "Roll checkout back to 1.4.2";
    plan.risk = schemas::Risk::kReversible;
    plan.mode = schemas::Mode::kApprove;
    plan.cost = 1;
    plan.created_at = at("2026-11-21T10:31:05Z");
    plan.expires_at = at("2026-11-21T11:01:05Z");
    schemas::PlanStep step;
    step.action_id = {"act-00112233445566"};
    step.action = "kubernetes.rollback_deployment";
    step.target = {"deployment:shop/checkout"};
    step.risk = schemas::Risk::kReversible;
    step.parameters = {{"namespace", "shop"}, {"name", "checkout"}, {"revision", "7"}};
    step.diff = {"  spec.template.spec.containers[0]", "- image: registry.example/checkout:1.5.0",
                 "+ image: registry.example/checkout:1.4.2"};
    step.inverse = "roll forward to revision 8";
    step.status = "planned";
    plan.steps = {step};
    plan.gate = {{"mode", true, "approve for kubernetes.rollback_deployment on deployment:shop/*"},
                 {"confidence", false, "uncalibrated (n=7): autonomous needs 30 outcomes"},
                 {"blast_radius", true, "0 of 5 actions in the last hour"},
                 {"freshness", true, "newest data is 3 s old"}};
    return plan;
}

schemas::Diagnosis diagnosis() {
    schemas::Diagnosis diagnosis;
    schemas::Cause deployment;
    deployment.entity = {"service:checkout"};
    deployment.mechanism = schemas::Mechanism::kBadChange;
    deployment.change_key = "github:shop/checkout:deployment:17";
    deployment.share = 0.78;
    deployment.onset = at("2026-11-21T10:29:40Z");
    deployment.evidence = {{"alert-1"}, {"anomaly-1"}};
    deployment.reasons = {"Version 1.5.0 was deployed 48 s before the first symptom.",
                          "Its own latency explains 0.92 of the callers' deviation."};
    schemas::Cause overload;
    overload.entity = {"service:cart"};
    overload.mechanism = schemas::Mechanism::kOverload;
    overload.share = 0.14;
    overload.onset = at("2026-11-21T10:30:10Z");
    overload.reasons = {"Traffic is within the expected band."};
    schemas::Cause none;
    none.mechanism = schemas::Mechanism::kUnknown;
    none.share = 0.08;
    none.onset = overload.onset;
    diagnosis.causes = {deployment, overload, none};
    diagnosis.edges = {{{"service:checkout"}, {"service:frontend"}, 0.92}};
    diagnosis.confidence = {false, 0, 7};
    return diagnosis;
}

schemas::Evidence evidence(std::string event, std::string kind, std::string entity,
                           std::string_view since, std::string text, bool symptom) {
    schemas::Evidence item;
    item.event = {event};
    item.kind = std::move(kind);
    item.key = "key-of-" + event;
    item.entity = {std::move(entity)};
    item.at = at(since);
    item.symptom = symptom;
    item.score = 3.2;
    item.text = std::move(text);
    return item;
}

}  // namespace

EventTime at(std::string_view rfc3339) {
    const auto time = parse_rfc3339(rfc3339);
    VIGIE_ASSERT(time.has_value());
    return *time;
}

Incident awaiting_approval(std::string id) {
    Incident incident;
    incident.id = {std::move(id)};
    incident.domain = {"default"};
    incident.state = IncidentState::kAwaitingApproval;
    incident.severity = schemas::Severity::kCritical;
    incident.title = "checkout answers slowly and with errors";
    incident.opened_at = at("2026-11-21T10:30:28Z");
    incident.updated_at = at("2026-11-21T10:31:05Z");
    incident.entities = {{"service:checkout"}, {"service:frontend"}};
    incident.evidence = {
        evidence("change-17", "change", "service:checkout", "2026-11-21T10:29:40Z",
                 "deployment of checkout 1.5.0 to production", false),
        evidence("anomaly-1", "anomaly", "service:checkout", "2026-11-21T10:30:28Z",
                 "p95 latency 1.84 s, expected 0.11 to 0.24 s", true),
        evidence("alert-1", "alert", "service:checkout", "2026-11-21T10:30:45Z",
                 "Error ratio 31% on checkout-7f9c", true)};
    incident.diagnosis = diagnosis();
    incident.plan = rollback_plan();
    incident.timeline = {
        {at("2026-11-21T10:29:40Z"), "evidence", "checkout 1.5.0 was deployed by ada", "change-17"},
        {at("2026-11-21T10:30:28Z"), "opened", "p95 latency of checkout left its band",
         "anomaly-1"},
        {at("2026-11-21T10:30:45Z"), "evidence", "alert CheckoutErrorRateHigh fires", "alert-1"},
        {at("2026-11-21T10:30:55Z"), "diagnosis",
         "bad change of service:checkout, uncalibrated (n=7)", ""},
        {at("2026-11-21T10:31:05Z"), "plan", "Roll checkout back to 1.4.2, awaiting approval",
         "plan-0a1b2c3d4e5f"}};
    return incident;
}

Incident resolved(std::string id) {
    Incident incident = awaiting_approval(std::move(id));
    incident.state = IncidentState::kResolved;
    incident.owner = "grace";
    incident.updated_at = at("2026-11-21T10:34:00Z");
    incident.resolved_at = incident.updated_at;
    incident.plan->approved_by = "grace";
    incident.plan->steps[0].status = "succeeded";
    for (auto& item : incident.evidence) {
        if (item.symptom) item.cleared_at = at("2026-11-21T10:32:50Z");
    }
    incident.timeline.push_back(
        {incident.updated_at, "state", "symptoms stayed clear for 60 s", "act-00112233445566"});
    incident.postmortem = fmt::format(
        "# {}\n\nIncident {} was resolved by rolling back.\n\n<script>alert(1)</script>\n",
        incident.title, incident.id.value);
    return incident;
}

Incident hostile(std::string id) {
    const std::string markup =
        "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";
    Incident incident = awaiting_approval(std::move(id));
    incident.state = IncidentState::kEscalated;
    incident.severity = schemas::Severity::kWarning;
    incident.opened_at = at("2026-11-21T09:10:00Z");
    incident.title = markup + " in a title";
    incident.owner = markup;
    incident.entities = {{"service:" + markup}};
    incident.evidence[0].text = markup;
    incident.diagnosis.causes[0].entity = {"service:" + markup};
    incident.diagnosis.causes[0].reasons = {markup};
    incident.plan->title = markup;
    incident.plan->steps[0].diff = {"+ " + markup};
    incident.plan->gate[0].reason = markup;
    incident.timeline[0].text = markup;
    return incident;
}

streams::Message incident_message(const Incident& incident) {
    schemas::IncidentEvent event;
    event.incident = incident;
    event.reason = "test";
    const schemas::EventMeta meta{
        {fmt::format("incident-{}-{}", incident.id.value, micros_of(incident.updated_at))},
        "/agent",
        incident.updated_at,
        incident.domain};
    return {.topic = std::string(topics::kIncidents),
            .key = incident.id.value,
            .value = schemas::encode({meta, std::move(event)}),
            .headers = {},
            .event_time = incident.updated_at};
}

streams::Message audit_message(std::int64_t sequence, std::string what, std::string subject,
                               std::string detail) {
    const EventTime time = at("2026-11-21T10:31:05Z");
    schemas::Audit audit;
    audit.sequence = sequence;
    audit.previous_hash = std::string(64, '0');
    audit.actor = "vigie";
    audit.what = std::move(what);
    audit.subject = std::move(subject);
    audit.detail = std::move(detail);
    return {
        .topic = std::string(topics::kAudit),
        .key = "default",
        .value = schemas::encode(
            {{{fmt::format("audit-{}", sequence)}, "/agent", time, {"default"}}, std::move(audit)}),
        .headers = {},
        .event_time = time};
}

}  // namespace vigie::console::samples
