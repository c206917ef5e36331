#include "tests/schemas/samples.h"

#include <catch2/catch.hpp>

namespace vigie::schemas::samples {

namespace {

using namespace std::chrono_literals;

Alert alert() {
    return {.fingerprint = "4f2a9c",
            .firing = false,
            .name = "HighLatency",
            .severity = Severity::kCritical,
            .entity = {"service:checkout"},
            .summary = "p99 of checkout is 2.1 s\non \"web-1\" — déjà vu",
            .labels = {{"alertname", "HighLatency"}, {"job", "checkout"}, {"zone", ""}},
            .annotations = {{"runbook", "https://wiki.example/latency"}},
            .starts_at = at("2026-11-21T10:28:00Z"),
            .ends_at = at("2026-11-21T10:31:00.250000Z"),
            .url = "http://prometheus.example/graph?g0.expr=x"};
}

Anomaly anomaly() {
    return {.detector = "seasonal",
            .key = "seasonal:http_seconds{service=\"checkout\"}",
            .firing = false,
            .ended = Ended::kSilent,
            .symptom = Symptom::kLatency,
            .severity = Severity::kWarning,
            .entity = {"service:checkout"},
            .signal = "http_seconds",
            .observed = 2.1,
            .expected = 0.1,
            .lower = -0.0,
            .upper = 1e300,
            .score = 1.0 / 3.0,
            .unit = "s",
            .first_seen = at("2026-11-21T10:27:00Z"),
            .last_seen = at("2026-11-21T10:28:00.000001Z"),
            .reason = "Latency is 21 times what is usual at this hour.",
            .examples = {"5b480af2eb26eae921a2d123816ed097", "GET /cart 500"}};
}

Change change() {
    return {.kind = ChangeKind::kDeployment,
            .key = "github:shop/checkout:deployment:17",
            .status = "success",
            .entity = {"service:checkout"},
            .peer = {"host:web-1"},
            .version = "1.5.0",
            .environment = "prod",
            .actor = "ada",
            .summary = "Deploy 1.5.0",
            .url = "https://github.example/shop/checkout/deployments/17",
            .at = at("2026-11-21T10:25:00Z")};
}

Decision decision() {
    return {.kind = DecisionKind::kApprove,
            .incident = {"inc-0123456789ab"},
            .plan = {"plan-0123456789ab"},
            .actor = "ada",
            .reason = "looks right",
            .value = "right",
            .scope = "kubernetes.*",
            .expires_at = at("2026-11-21T11:00:00Z"),
            .terms = SilenceTerms{.id = "silence-1",
                                  .matchers = {{"team", "shop|cart", true, false}},
                                  .starts_at = at("2026-11-21T10:00:00Z")}};
}

ActionEvent action() {
    return {.id = {"act-0123456789ab"},
            .incident = {"inc-0123456789ab"},
            .plan = {"plan-0123456789ab"},
            .phase = ActionPhase::kExecute,
            .status = ActionStatus::kInDoubt,
            .action = "kubernetes.rollback_deployment",
            .target = {"deployment:shop/checkout"},
            .parameters = {{"revision", "3"}},
            .facts = {{"image", "shop:1.4.2"}, {"resource_version", "4711"}},
            .diff = {"- image: shop:1.5.0", "+ image: shop:1.4.2"},
            .message = "The API server closed the connection before it answered.",
            .instance = "vigie-0"};
}

Plan plan() {
    return {.id = {"plan-0123456789ab"},
            .runbook = "roll-back-deployment",
            .title = "Roll back checkout to 1.4.2",
            .steps = {{.action_id = {"act-0123456789ab"},
                       .action = "kubernetes.rollback_deployment",
                       .target = {"deployment:shop/checkout"},
                       .risk = Risk::kReversible,
                       .parameters = {{"revision", "3"}},
                       .diff = {"- image: shop:1.5.0", "+ image: shop:1.4.2"},
                       .inverse = "Roll forward to revision 4.",
                       .status = "planned"}},
            .risk = Risk::kReversible,
            .cost = 2.5,
            .mode = Mode::kApprove,
            .gate = {{.name = "mode", .passed = true, .reason = "approve"},
                     {.name = "confidence", .passed = false, .reason = "uncalibrated (n=7)"}},
            .created_at = at("2026-11-21T10:28:10Z"),
            .expires_at = at("2026-11-21T10:58:10Z"),
            .approved_by = "ada",
            .verify_hold = 90s,
            .verify_timeout = 700s};
}

IncidentEvent incident() {
    Incident incident{
        .id = {"inc-0123456789ab"},
        .domain = {"site-a"},
        .state = IncidentState::kAwaitingApproval,
        .severity = Severity::kCritical,
        .title = "checkout is slow",
        .owner = "ada",
        .opened_at = at("2026-11-21T10:28:00Z"),
        .updated_at = at("2026-11-21T10:28:10Z"),
        .resolved_at = at("2026-11-21T10:40:00Z"),
        .entities = {{"host:web-1"}, {"service:checkout"}},
        .evidence = {{.event = {"evt-1"},
                      .kind = "anomaly",
                      .key = "seasonal:http_seconds",
                      .entity = {"service:checkout"},
                      .at = at("2026-11-21T10:27:00Z"),
                      .cleared_at = at("2026-11-21T10:35:00Z"),
                      .ended = std::nullopt,
                      .symptom = true,
                      .score = 4.25,
                      .text = "Latency is 21 times what is usual."},
                     {.event = {"evt-2"},
                      .kind = "anomaly",
                      .key = "rule:FailingService|service:checkout",
                      .entity = {"service:checkout"},
                      .at = at("2026-11-21T10:27:30Z"),
                      .cleared_at = std::nullopt,
                      .ended = Ended::kAdapted,
                      .symptom = true,
                      .score = 2,
                      .text = "A third of all requests fails."}},
        .evidence_dropped = 3,
        .diagnosis = {.causes = {{.entity = {"service:checkout"},
                                  .mechanism = Mechanism::kBadChange,
                                  .change_key = "github:shop/checkout:deployment:17",
                                  .share = 0.75,
                                  .onset = at("2026-11-21T10:25:00Z"),
                                  .evidence = {{"evt-1"}, {"evt-2"}},
                                  .reasons = {"Deployed two minutes before."}},
                                 {.entity = {},
                                  .mechanism = Mechanism::kUnknown,
                                  .change_key = "",
                                  .share = 0.25,
                                  .onset = at("2026-11-21T10:27:00Z"),
                                  .evidence = {},
                                  .reasons = {}}},
                      .edges = {{.cause = {"service:checkout"},
                                 .effect = {"service:front"},
                                 .explained_ratio = 0.9}},
                      .confidence = {.calibrated = true, .value = 0.5, .outcomes = 40}},
        .plan = plan(),
        .timeline = {{.at = at("2026-11-21T10:28:00Z"),
                      .kind = "opened",
                      .text = "Opened by an anomaly.",
                      .ref = "evt-1"}},
        .postmortem = "# checkout is slow\n"};
    return {
        .incident = std::move(incident),
        .previous = IncidentState::kDiagnosing,
        .reason = "A plan needs an approval.",
        .notices = {{.id = "inc-0123456789ab/page/1", .kind = "page", .text = "Please approve."}}};
}

Policy policy() {
    return {.modes = {{.action = "kubernetes.*", .target = "*", .mode = Mode::kApprove},
                      {.action = "*", .target = "host:*", .mode = Mode::kAutonomous}},
            .confidence_min = 0.9,
            .outcomes_min = 31,
            .actions_per_hour_max = 6,
            .correlation_window = 601s,
            .change_window = 3601s,
            .diagnose_after = 11s,
            .approval_expiry = 1801s,
            .action_timeout = 301s,
            .data_age_max = 121s,
            .open_incidents_max = 1001,
            .runbooks = {{.name = "roll-back-deployment",
                          .title = "Roll back a deployment",
                          .mechanisms = {"bad_change"},
                          .entity_kinds = {"service", "deployment"},
                          .steps = {{.action = "kubernetes.rollback_deployment",
                                     .parameters = {{"name", "{deployment}"}},
                                     .preconditions = {"revisions > 1"}}},
                          .risk = Risk::kCompensable,
                          .inverse = "Roll forward.",
                          .cost = 2,
                          .verify_hold = 61s,
                          .verify_timeout = 602s,
                          .cooldown = 603s}},
            .inventory = {{.entity = {"service:checkout"},
                           .attributes = {{"kubernetes.namespace", "shop"}},
                           .depends_on = {{"service:payment"}}}}};
}

Event event(EventData data) {
    return {.meta = {.id = {"evt-0123456789ab"},
                     .source = "/tests",
                     .time = at("2026-11-21T10:28:00.500000Z"),
                     .domain = {"site-a"}},
            .data = std::move(data)};
}

}  // namespace

EventTime at(std::string_view rfc3339) {
    const auto time = parse_rfc3339(rfc3339);
    REQUIRE(time);
    return *time;
}

std::vector<std::pair<std::string, Event>> full_events() {
    const Forecast forecast{.entity = {"host:web-1"},
                            .signal = "disk_used_ratio",
                            .at = at("2026-11-28T10:28:00Z"),
                            .expected = 0.95,
                            .lower = 0.9,
                            .upper = 1,
                            .unit = "ratio"};
    const Audit audit{.sequence = 9'007'199'254'740'993,
                      .previous_hash = std::string(64, '0'),
                      .actor = "vigie",
                      .what = "plan approved",
                      .subject = "plan-0123456789ab",
                      .detail = "by ada"};
    const Heartbeat heartbeat{.name = "backup",
                              .every = std::chrono::seconds{86400},
                              .grace = std::chrono::seconds{3600},
                              .entity = {"host:nas"},
                              .severity = Severity::kWarning,
                              .summary = "no backup since yesterday",
                              .declared = true,
                              .ended = false};
    return {{"alert.json", event(alert())},       {"anomaly.json", event(anomaly())},
            {"forecast.json", event(forecast)},   {"change.json", event(change())},
            {"decision.json", event(decision())}, {"action.json", event(action())},
            {"incident.json", event(incident())}, {"policy.json", event(policy())},
            {"audit.json", event(audit)},         {"tick.json", event(Tick{})},
            {"heartbeat.json", event(heartbeat)}};
}

std::vector<Event> sparse_events() {
    Alert alert;
    alert.fingerprint = "f";
    Anomaly anomaly;
    anomaly.detector = "d";
    anomaly.key = "k";
    Forecast forecast;
    forecast.signal = "s";
    Change change;
    change.key = "k";
    Decision decision;
    decision.actor = "a";
    ActionEvent action;
    action.id = {"act-1"};
    action.action = "a";
    IncidentEvent incident;
    incident.incident.id = {"inc-1"};
    Audit audit;
    audit.actor = "a";
    audit.what = "w";
    Decision silence;
    silence.actor = "a";
    silence.kind = DecisionKind::kSilence;
    silence.terms = SilenceTerms{"id", {{"a", "b.*", true, false}}, at("2026-11-21T10:00:00Z")};
    Heartbeat heartbeat;
    heartbeat.name = "h";
    return {event(silence),  event(heartbeat), event(alert),    event(anomaly),
            event(forecast), event(change),    event(decision), event(action),
            event(incident), event(Policy{}),  event(audit),    event(Tick{})};
}

}  // namespace vigie::schemas::samples
