#include "story.h"

#include <algorithm>

#include <fmt/format.h>
#include <catch2/catch.hpp>

namespace vigie::agent::test {

using namespace std::chrono_literals;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::Severity;
using schemas::Symptom;

namespace {

std::string encoded(schemas::EventData data) {
    return schemas::encode({{{"e"}, "/agent", EventTime{}, {"default"}}, std::move(data)});
}

constexpr std::int64_t kBeginMicros = 1'795'255'200'000'000;

}  // namespace

Result<std::optional<std::string>> Recorder::get(std::string_view key) const {
    const auto found = rows.find(key);
    if (found == rows.end()) return std::nullopt;
    return found->second;
}

void Recorder::put(std::string_view key, std::string value) {
    rows.insert_or_assign(std::string(key), std::move(value));
}

void Recorder::erase(std::string_view key) {
    const auto found = rows.find(key);
    if (found != rows.end()) rows.erase(found);
}

Status Recorder::scan(std::string_view prefix, const Visitor& visit) const {
    for (auto row = rows.lower_bound(prefix); row != rows.end(); ++row) {
        if (!row->first.starts_with(prefix) || !visit(row->first, row->second)) break;
    }
    return {};
}

void Recorder::emit(schemas::IncidentEvent event) {
    bytes.push_back(encoded(event));
    incidents.push_back(std::move(event));
}

void Recorder::emit(schemas::ActionEvent event) {
    bytes.push_back(encoded(event));
    intents.push_back(std::move(event));
}

void Recorder::emit(schemas::Audit entry) {
    // As app/ does: the schema wants a hash.
    entry.previous_hash = std::string(64, '0');
    bytes.push_back(encoded(entry));
    audits.push_back(std::move(entry));
}

void Recorder::set_timer(std::string_view name, EventTime at) {
    timers.insert_or_assign(std::string(name), at);
}

void Recorder::cancel_timer(std::string_view name) {
    const auto found = timers.find(name);
    if (found != timers.end()) timers.erase(found);
}

template <class Step>
void Story::step(Step run) {
    if (restarting_) {
        agent_ = std::make_unique<Agent>();
        const auto copy = recorder.rows;
        recorder.rows = copy;
    }
    const Status status = run(*agent_);
    INFO((status ? std::string() : status.error().message));
    REQUIRE(status.has_value());
    remember();
    // Everything said must be readable by those who follow.
    for (; seen_ < recorder.bytes.size(); ++seen_) {
        const auto decoded = schemas::decode(recorder.bytes[seen_]);
        INFO((decoded ? std::string() : decoded.error().message));
        REQUIRE(decoded.has_value());
    }
}

void Story::remember() {
    for (; remembered_ < recorder.incidents.size(); ++remembered_) {
        const auto& event = recorder.incidents[remembered_];
        if (!last_.contains(event.incident.id)) order_.push_back(event.incident.id);
        last_[event.incident.id] = event.incident;
    }
}

EventTime Story::at(std::int64_t seconds) const {
    return event_time_from_micros(kBeginMicros) + std::chrono::seconds(seconds);
}

void Story::until(std::int64_t seconds) {
    // The slowest that a configuration may ask for, and late.
    constexpr std::chrono::milliseconds kTick{2003};
    const auto target = at(seconds);
    for (auto next = now_ + kTick; now_ < target; next += kTick) {
        fire_until(std::min<EventTime>(next, target));
        on_event("tick", now_, schemas::Tick{});
    }
    fire_until(target);
}

void Story::down_until(std::int64_t seconds) {
    now_ = at(seconds);
}

void Story::fire_until(EventTime target) {
    while (true) {
        const auto due = std::min_element(
            recorder.timers.begin(), recorder.timers.end(), [](const auto& a, const auto& b) {
                return std::pair(a.second, a.first) < std::pair(b.second, b.first);
            });
        if (due == recorder.timers.end() || due->second > target) break;
        const auto [name, when] = *due;
        recorder.timers.erase(due);
        step([&](Agent& agent) { return agent.on_timer(name, when, recorder); });
    }
    now_ = std::max(now_, target);
}

void Story::on_event(const std::string& id, EventTime time, schemas::EventData data) {
    // Timers that are due fire before the record, as in the runtime.
    fire_until(now_);
    const schemas::Event event{{{id}, "/test", time, {"default"}}, std::move(data)};
    step([&](Agent& agent) { return agent.on_event(event, now_, recorder); });
}

void Story::tell(schemas::EventData data) {
    tell_as(fmt::format("evt-{}", ++sequence_), std::move(data));
}

void Story::tell_as(const std::string& event_id, schemas::EventData data) {
    on_event(event_id, now_, std::move(data));
}

void Story::tell_late(std::int64_t seconds, schemas::EventData data) {
    on_event(fmt::format("evt-{}", ++sequence_), at(seconds), std::move(data));
}

void Story::alert(const std::string& name, const std::string& entity, bool firing,
                  Severity severity) {
    schemas::Alert alert;
    alert.fingerprint = fmt::format("{}-{}", name, entity);
    alert.firing = firing;
    alert.name = name;
    alert.severity = severity;
    alert.entity = {entity};
    alert.summary = fmt::format("{} on {}", name, entity);
    alert.starts_at = now_;
    if (!firing) alert.ends_at = now_;
    tell(alert);
}

schemas::Anomaly Story::anomaly_of(Symptom symptom, const std::string& entity, double score) {
    schemas::Anomaly anomaly;
    anomaly.detector = "seasonal";
    anomaly.key = fmt::format("seasonal/{}/{}", schemas::to_string(symptom), entity);
    anomaly.symptom = symptom;
    anomaly.entity = {entity};
    anomaly.signal = fmt::format("{} of {}", schemas::to_string(symptom), entity);
    anomaly.observed = 10 * score;
    anomaly.expected = 10;
    anomaly.upper = 10;
    anomaly.score = score;
    anomaly.unit = "1";
    anomaly.first_seen = now_;
    anomaly.last_seen = now_;
    anomaly.reason = fmt::format("{} of {} is {:.1f} times what is expected",
                                 schemas::to_string(symptom), entity, score);
    return anomaly;
}

void Story::anomaly(Symptom symptom, const std::string& entity, double score, bool firing,
                    Severity severity) {
    auto anomaly = anomaly_of(symptom, entity, score);
    anomaly.firing = firing;
    anomaly.severity = severity;
    tell(anomaly);
}

void Story::end(Symptom symptom, const std::string& entity, schemas::Ended ended,
                Severity severity) {
    auto anomaly = anomaly_of(symptom, entity, 1);
    anomaly.firing = false;
    anomaly.ended = ended;
    anomaly.severity = severity;
    tell(anomaly);
}

void Story::edge(const std::string& from, const std::string& to) {
    schemas::Change change;
    change.kind = schemas::ChangeKind::kTopology;
    change.key = from + ">" + to;
    change.entity = {from};
    change.peer = {to};
    change.at = now_;
    tell(change);
}

void Story::deployment(const std::string& entity, const std::string& version,
                       const std::string& status) {
    schemas::Change change;
    change.kind = schemas::ChangeKind::kDeployment;
    change.key = fmt::format("github:shop/checkout:deployment:{}", version);
    change.status = status;
    change.entity = {entity};
    change.version = version;
    change.actor = "bob";
    change.summary = "Faster totals";
    change.at = now_;
    tell(change);
}

void Story::decide(schemas::DecisionKind kind, const std::string& value, const std::string& actor) {
    schemas::Decision decision;
    decision.kind = kind;
    decision.incident = incident().id;
    if (incident().plan) decision.plan = incident().plan->id;
    decision.actor = actor;
    decision.value = value;
    tell(decision);
}

void Story::approve(const std::string& plan, const std::string& actor) {
    schemas::Decision decision;
    decision.kind = schemas::DecisionKind::kApprove;
    decision.incident = incident().id;
    decision.plan = {plan};
    decision.actor = actor;
    tell(decision);
}

void Story::mode(const std::string& value, const std::string& scope) {
    schemas::Decision decision;
    decision.kind = schemas::DecisionKind::kMode;
    decision.actor = "ann";
    decision.value = value;
    decision.scope = scope;
    tell(decision);
}

void Story::answer(ActionStatus status, std::map<std::string, std::string> facts,
                   std::vector<std::string> diff) {
    REQUIRE_FALSE(recorder.intents.empty());
    schemas::ActionEvent outcome = recorder.intents.back();
    outcome.status = status;
    outcome.facts = std::move(facts);
    outcome.diff = std::move(diff);
    outcome.message = status == ActionStatus::kSucceeded ? "done" : "not done";
    outcome.instance = "vigie-1";
    tell(outcome);
}

void Story::answer_inspection(const std::string& image) {
    REQUIRE(recorder.intents.back().phase == ActionPhase::kInspect);
    answer(ActionStatus::kSucceeded,
           {{"to_revision", "6"},
            {"revision", "7"},
            {"image", image},
            {"to_image", "shop/checkout:1.4.2"},
            {"replicas", "3"},
            {"paused", "false"},
            {"resource_version", std::to_string(1000 + recorder.intents.size())}},
           {"- image: " + image, "+ image: shop/checkout:1.4.2"});
}

const schemas::Incident& Story::incident() const {
    REQUIRE_FALSE(order_.empty());
    return last_.at(order_.back());
}

const schemas::Incident& Story::incident(std::size_t index) const {
    return last_.at(order_.at(index));
}

std::size_t Story::incident_count() const {
    return order_.size();
}

std::string Story::state() const {
    return std::string(schemas::to_string(incident().state));
}

std::size_t Story::count_intents(ActionPhase phase) const {
    return static_cast<std::size_t>(
        std::count_if(recorder.intents.begin(), recorder.intents.end(),
                      [phase](const auto& intent) { return intent.phase == phase; }));
}

std::vector<schemas::Notice> Story::notices(std::string_view kind) const {
    std::vector<schemas::Notice> out;
    for (const auto& event : recorder.incidents) {
        for (const auto& notice : event.notices) {
            if (kind.empty() || notice.kind == kind) out.push_back(notice);
        }
    }
    return out;
}

std::vector<schemas::Audit> Story::audits(std::string_view what) const {
    std::vector<schemas::Audit> out;
    for (const auto& entry : recorder.audits) {
        if (entry.what == what) out.push_back(entry);
    }
    return out;
}

bool Story::audited(std::string_view what, std::string_view part_of_detail) const {
    const auto found = audits(what);
    return std::any_of(found.begin(), found.end(), [&](const auto& entry) {
        return entry.detail.find(part_of_detail) != std::string::npos;
    });
}

schemas::Runbook rollback_runbook() {
    schemas::Runbook runbook;
    runbook.name = "rollback-deployment";
    runbook.title = "Roll the deployment back";
    runbook.mechanisms = {"bad_change"};
    runbook.entity_kinds = {"service", "deployment"};
    schemas::RunbookStep step;
    step.action = "kubernetes.rollback_deployment";
    step.parameters = {{"namespace", "{kubernetes.namespace}"},
                       {"deployment", "{kubernetes.deployment}"},
                       {"to_revision", "{fact.to_revision}"},
                       {"resource_version", "{fact.resource_version}"}};
    step.preconditions = {"to_revision exists", "paused == false", "replicas > 0"};
    runbook.steps = {step};
    runbook.risk = schemas::Risk::kReversible;
    runbook.inverse = "roll forward to the revision before";
    runbook.cost = 2;
    runbook.verify_hold = 60s;
    runbook.verify_timeout = 300s;
    runbook.cooldown = 600s;
    return runbook;
}

schemas::Policy shop_policy(schemas::Mode mode) {
    schemas::Policy policy;
    policy.modes = {{"kubernetes.*", "*", mode}};
    policy.runbooks = {rollback_runbook()};
    schemas::InventoryEntry checkout;
    checkout.entity = {"service:checkout"};
    checkout.attributes = {{"kubernetes.namespace", "shop"},
                           {"kubernetes.deployment", "checkout"},
                           {"repository", "shop/checkout"}};
    policy.inventory = {checkout};
    return policy;
}

void bad_deployment(Story& story) {
    story.edge("service:frontend", "service:checkout");
    story.until(60);
    story.deployment("service:checkout", "1.5.0");
    story.until(90);
    story.anomaly(Symptom::kLogPattern, "service:checkout", 2, true, Severity::kInfo);
    story.until(100);
    story.anomaly(Symptom::kLatency, "service:checkout", 8);
    story.until(102);
    story.anomaly(Symptom::kLatency, "service:frontend", 6);
    story.until(105);
    story.alert("HighErrorRatio", "service:checkout");
    story.until(106);
    story.alert("SlowPages", "service:frontend", true, Severity::kWarning);
    story.until(112);
    REQUIRE(story.recorder.intents.size() == 1);
    story.answer_inspection();
}

void recovery(Story& story) {
    story.anomaly(Symptom::kLatency, "service:checkout", 8, false);
    story.anomaly(Symptom::kLatency, "service:frontend", 6, false);
    story.alert("HighErrorRatio", "service:checkout", false);
    story.alert("SlowPages", "service:frontend", false);
}

}  // namespace vigie::agent::test
