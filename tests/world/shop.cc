#include "tests/world/shop.h"

#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "schemas/topics.h"
#include "tests/world/telemetry.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;
using std::chrono::seconds;

}  // namespace

app::DetectConfig shop_detect_config() {
    app::DetectConfig config;
    for (const auto& [name, metric, threshold, symptom] :
         {std::tuple{"SlowService", "latency_seconds", 0.5, schemas::Symptom::kLatency},
          std::tuple{"FailingService", "error_ratio", 0.1, schemas::Symptom::kErrors}}) {
        detectors::Rule rule;
        rule.name = name;
        rule.selection.metric = metric;
        rule.threshold = threshold;
        rule.hold = std::chrono::milliseconds{2000};
        rule.symptom = symptom;
        config.rules.rules.push_back(rule);
    }
    config.rules.evaluate_every = std::chrono::milliseconds{1000};
    return config;
}

schemas::Policy shop_policy(schemas::Mode mode) {
    schemas::Policy policy;
    policy.modes = {{"*", "*", mode}};
    policy.diagnose_after = seconds{5};
    policy.inventory = {{{"service:checkout"},
                         {{"kubernetes.namespace", "shop"}, {"kubernetes.deployment", "checkout"}},
                         {}},
                        {{"service:frontend"}, {}, {{"service:checkout"}}}};
    schemas::Runbook runbook;
    runbook.name = "rollback-deployment";
    runbook.title = "Roll back the deployment";
    runbook.mechanisms = {"bad_change"};
    runbook.entity_kinds = {"service"};
    runbook.steps = {{"kubernetes.rollback_deployment",
                      {{"namespace", "{kubernetes.namespace}"},
                       {"deployment", "{kubernetes.deployment}"},
                       {"resource_version", "{fact.resource_version}"}},
                      {"previous_image exists"}}};
    runbook.inverse = "roll back again";
    runbook.verify_hold = seconds{10};
    runbook.verify_timeout = seconds{60};
    policy.runbooks = {runbook};
    return policy;
}

Shop::Shop(std::uint64_t seed, const Hazards& hazards, schemas::Mode mode)
    : world_({seed, hazards, shop_policy(mode), shop_detect_config()}) {
    deployment() = {"1.4.2", "1.4.1", 1, 0};
}

void Shop::deploy(const std::string& version) {
    Deployment& now = deployment();
    now.previous = std::exchange(now.version, version);
    ++now.resource_version;
    world_.feed(deployment_message("checkout", version, world_.now()));
}

void Shop::repair() {
    std::swap(deployment().version, deployment().previous);
    ++deployment().resource_version;
}

void Shop::send_alerts() {
    // Prometheus needs some seconds to notice, repeats a firing alert, and says that it is over.
    sick_for_ = sick() ? sick_for_ + seconds{1} : seconds{0};
    const bool firing = sick_for_ > seconds{4};
    if (age_.count() % 5 != 0 || (!firing && !alerting_)) return;
    if (firing && !alerting_) alerting_since_ = world_.now();
    world_.feed(alert_message("checkout", firing, alerting_since_, world_.now()));
    alerting_ = firing;
}

void Shop::second() {
    if (!silent_) {
        for (const auto* service : {"frontend", "checkout"}) {
            world_.feed(
                metrics_message(service, sick() ? 0.9 : 0.05, sick() ? 0.3 : 0.0, world_.now()));
        }
        world_.feed(span_message("frontend", "checkout", world_.now()));
        if (alerts_) send_alerts();
    }
    world_.advance();
    age_ += seconds{1};
}

void Shop::decide(schemas::DecisionKind kind, const std::string& value) {
    schemas::Decision decision;
    decision.kind = kind;
    decision.actor = "alice";
    decision.value = value;
    if (kind == schemas::DecisionKind::kMode) decision.scope = "*";
    if (kind == schemas::DecisionKind::kApprove || kind == schemas::DecisionKind::kReject) {
        for (const auto& [id, incident] : world_.incidents()) {
            decision.incident = incident.id;
            if (incident.plan) decision.plan = incident.plan->id;
        }
    }
    const auto id = fmt::format("{}/{}/{}/{}", schemas::to_string(kind), value, decision.plan.value,
                                micros_of(world_.now()));
    const schemas::EventMeta meta{stable_event_id("sim-", id), "/sim", world_.now(), {"default"}};
    world_.feed({std::string(topics::kDecisions),
                 "default",
                 schemas::encode({meta, decision}),
                 {},
                 world_.now()});
}

void Shop::approve_what_is_shown() {
    for (const auto& [id, incident] : world_.incidents()) {
        if (incident.state == schemas::IncidentState::kAwaitingApproval && incident.plan &&
            approved_.insert(incident.plan->id.value).second) {
            decide(schemas::DecisionKind::kApprove, "");
            return;
        }
    }
}

}  // namespace vigie::sim
