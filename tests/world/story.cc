#include "tests/world/story.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "app/replay.h"
#include "schemas/topics.h"
#include "tests/world/telemetry.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;
using std::chrono::seconds;

constexpr int kDeployAt = 20;
constexpr int kLastSecond = 120;

app::DetectConfig detect_config() {
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

schemas::Policy policy() {
    schemas::Policy policy;
    policy.modes = {{"*", "*", schemas::Mode::kApprove}};
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

// The outside world and the person on call, second by second.
class Story {
public:
    explicit Story(World& world) : world_(world) {
        world_.cluster().deployment("checkout") = {"1.4.2", "1.4.1", 1, 0};
    }

    void second(int t) {
        if (t == kDeployAt) {
            world_.cluster().deployment("checkout") = {"1.5.0", "1.4.2", 2, 0};
            world_.feed(deployment_message("checkout", "1.5.0", world_.now()));
        }
        send_telemetry(t);
        approve_what_is_shown();
        world_.advance();
    }

private:
    bool sick() { return world_.cluster().deployment("checkout").version == "1.5.0"; }

    void send_telemetry(int t) {
        const double latency = sick() ? 0.9 : 0.05;
        const double errors = sick() ? 0.3 : 0.0;
        for (const auto* service : {"frontend", "checkout"}) {
            world_.feed(metrics_message(service, latency, errors, world_.now()));
        }
        world_.feed(span_message("frontend", "checkout", world_.now()));
        // Prometheus repeats a firing alert, and says for a while that it is over.
        if (t > kDeployAt + 4 && t % 5 == 0 && (sick() || alerting_)) {
            if (sick() && !alerting_) since_ = world_.now();
            world_.feed(alert_message("checkout", sick(), since_, world_.now()));
            alerting_ = sick();
        }
    }

    void approve_what_is_shown() {
        for (const auto& [id, incident] : world_.incidents()) {
            if (incident.state != schemas::IncidentState::kAwaitingApproval || !incident.plan ||
                !approved_.insert(incident.plan->id.value).second) {
                continue;
            }
            schemas::Decision decision;
            decision.kind = schemas::DecisionKind::kApprove;
            decision.incident = incident.id;
            decision.plan = incident.plan->id;
            decision.actor = "alice";
            const schemas::EventMeta meta{stable_event_id("sim-", "approve/" + decision.plan.value),
                                          "/sim",
                                          world_.now(),
                                          {"default"}};
            world_.feed({std::string(topics::kDecisions),
                         "default",
                         schemas::encode({meta, decision}),
                         {},
                         world_.now()});
        }
    }

    World& world_;
    bool alerting_ = false;
    EventTime since_;
    std::set<std::string> approved_;
};

void check_incident(const World& world, Outcome& outcome) {
    const auto& incidents = world.incidents();
    if (incidents.size() != 1) {
        outcome.broken.push_back(fmt::format("{} incidents instead of one", incidents.size()));
        return;
    }
    const schemas::Incident& incident = incidents.begin()->second;
    const auto state = schemas::to_string(incident.state);
    if (outcome.rollbacks > 1) {
        outcome.broken.push_back(fmt::format("rolled back {} times", outcome.rollbacks));
    }
    const bool done = incident.state == schemas::IncidentState::kResolved && outcome.rollbacks == 1;
    outcome.handed_over = incident.state == schemas::IncidentState::kEscalated;
    if (!done && !outcome.handed_over) {
        outcome.broken.push_back(
            fmt::format("ended {} after {} rollbacks", state, outcome.rollbacks));
    }
    const auto& causes = incident.diagnosis.causes;
    if (causes.empty() || causes.front().entity.value != "service:checkout" ||
        causes.front().mechanism != schemas::Mechanism::kBadChange) {
        outcome.broken.emplace_back("the deployment of checkout is not the first cause");
    }
    if (done && !world.postmortems().contains(incident.id.value)) {
        outcome.broken.emplace_back("resolved without a post-mortem");
    }
}

void check_pages(const World& world, Outcome& outcome) {
    for (const auto& event : world.transitions()) {
        for (const auto& notice : event.notices) {
            if (!world.pages().contains(notice.id)) {
                outcome.broken.push_back(fmt::format("notice {} never sent", notice.id));
            }
        }
    }
}

void check_log(const World& world, Outcome& outcome) {
    for (const auto& record : world.bus().records(topics::kDeadLetter)) {
        outcome.broken.push_back("dead letter: " + record.message.value.substr(0, 200));
    }
    std::set<std::string> ids;
    for (const auto& record : world.bus().records(topics::kSignals)) {
        const auto event = schemas::decode(record.message.value);
        if (!event || std::holds_alternative<schemas::Tick>(event->data)) continue;
        if (!ids.insert(event->meta.id.value).second) {
            outcome.broken.push_back("signal twice: " + event->meta.id.value);
        }
    }
    for (const auto* topic : {&topics::kAlerts, &topics::kAnomalies, &topics::kDecisions}) {
        for (const auto& record : world.bus().records(*topic)) {
            const auto event = schemas::decode(record.message.value);
            if (!event || std::holds_alternative<schemas::Tick>(event->data)) continue;
            if (!ids.contains(event->meta.id.value)) {
                outcome.broken.push_back("signal lost: " + event->meta.id.value);
            }
        }
    }
}

// What the agent said through all crashes is what it says when nothing goes wrong.
void check_replay(const World& world, Outcome& outcome) {
    const auto replay = app::replay_signals(world.bus(), EventTime::max());
    if (!replay) {
        outcome.broken.push_back("replay: " + replay.error().message);
    } else if (replay->same != replay->recorded || replay->incidents.size() != replay->recorded) {
        outcome.broken.push_back(
            fmt::format("replay repeats {} of {} transitions", replay->same, replay->recorded));
    }
}

}  // namespace

Hazards all_hazards() {
    Hazards hazards;
    hazards.crash = 5;
    hazards.bus = 15;
    hazards.call = 300;
    hazards.page = 200;
    hazards.shuffle = true;
    return hazards;
}

Outcome run_story(std::uint64_t seed, const Hazards& hazards) {
    World world({seed, hazards, policy(), detect_config()});
    Story story(world);
    for (int t = 0; t <= kLastSecond; ++t) story.second(t);
    world.settle();

    Outcome outcome;
    outcome.crashes = world.crashes();
    outcome.rollbacks = world.cluster().deployment("checkout").changes;
    check_incident(world, outcome);
    check_pages(world, outcome);
    check_log(world, outcome);
    check_replay(world, outcome);
    for (const auto& event : world.transitions()) {
        outcome.trace += fmt::format("{} {} <- {}: {}\n", to_rfc3339(event.incident.updated_at),
                                     schemas::to_string(event.incident.state),
                                     schemas::to_string(event.previous), event.reason);
    }
    return outcome;
}

}  // namespace vigie::sim
