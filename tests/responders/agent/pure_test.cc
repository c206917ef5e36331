#include <catch2/catch.hpp>

#include <algorithm>

#include "responders/agent/diagnose.h"
#include "responders/agent/facts.h"
#include "responders/agent/gate.h"
#include "responders/agent/learn.h"
#include "responders/agent/plan.h"
#include "responders/agent/work.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent;
using schemas::Mechanism;
using schemas::Mode;

namespace {

schemas::InventoryEntry checkout() {
    schemas::InventoryEntry entry;
    entry.entity = {"service:checkout"};
    entry.attributes = {{"kubernetes.namespace", "shop"}, {"kubernetes.deployment", "checkout"}};
    return entry;
}

EventTime second(std::int64_t seconds) {
    return EventTime{} + std::chrono::seconds(seconds);
}

Observation seen(const std::string& entity, Channel channel, double score, std::int64_t onset) {
    return {{entity + std::to_string(onset)}, {entity}, channel, score, second(onset)};
}

SuspectChange changed(const std::string& entity, const std::string& key, std::int64_t at) {
    SuspectChange suspect;
    suspect.entity = {entity};
    suspect.change.key = key;
    suspect.change.entity = {entity};
    suspect.change.event = {"event-" + key};
    suspect.change.first_at = second(at);
    suspect.change.latest_at = second(at);
    return suspect;
}

GateInput passing() {
    GateInput input;
    input.mode = {Mode::kAutonomous, "test"};
    input.confidence = {true, 0.9, 50};
    input.confidence_min = 0.85;
    input.path_found = true;
    input.risk = schemas::Risk::kReversible;
    input.actions_per_hour_max = 5;
    input.data_age_max = std::chrono::seconds{120};
    return input;
}

}  // namespace

TEST_CASE("facts: templates take attributes and facts, and say what is missing", "[agent]") {
    const auto entry = checkout();
    const Facts facts{{"to_revision", "6"}, {"tricky", "{kubernetes.namespace}"}, {"bad", "a\nb"}};
    const Bindings bindings{entry, facts};
    CHECK(*resolve("{kubernetes.namespace}/{entity.name}:{fact.to_revision}", bindings) ==
          "shop/checkout:6");
    CHECK(*resolve("{entity}", bindings) == "service:checkout");
    CHECK(*resolve("plain", bindings) == "plain");
    // A value is not a template.
    CHECK(*resolve("{fact.tricky}", bindings) == "{kubernetes.namespace}");
    CHECK(resolve("{fact.none}", bindings).error().kind == ErrorKind::kNotFound);
    CHECK(resolve("{proxmox.node}", bindings).error().kind == ErrorKind::kNotFound);
    CHECK(resolve("{fact.bad}", bindings).error().kind == ErrorKind::kInvalid);
    for (const auto* text : {"{", "}", "{a{b}", "a}b"}) {
        INFO(text);
        CHECK(resolve(text, bindings).error().kind == ErrorKind::kInvalid);
    }
}

TEST_CASE("facts: preconditions hold or say why not", "[agent]") {
    const auto entry = checkout();
    const Facts facts{{"replicas", "3"}, {"max", "5"}, {"lock", ""}, {"status", "not running"}};
    const Bindings bindings{entry, facts};
    for (const auto* text :
         {"replicas == 3", "replicas != 4", "replicas > 2", "replicas < 3.5",
          "replicas < {fact.max}", "replicas exists", "lock == ", "status == not running"}) {
        INFO(text);
        CHECK(holds(text, bindings));
    }
    for (const auto* text : {"replicas == 4", "replicas > 3", "replicas < 3", "status > 1",
                             "none exists", "none != 1", "replicas < {fact.none}"}) {
        INFO(text);
        const auto status = holds(text, bindings);
        REQUIRE_FALSE(status);
        CHECK(status.error().kind == ErrorKind::kRefused);
    }
    for (const auto* text : {"", "replicas", "replicas ~ 3", "replicas >", "replicas exists 3",
                             " == 3", "replicas == {"}) {
        INFO(text);
        const auto status = holds(text, bindings);
        REQUIRE_FALSE(status);
        CHECK(status.error().kind == ErrorKind::kInvalid);
    }
}

TEST_CASE("plan: the id is a hash of what would be done, guards excepted", "[agent]") {
    PlanRequest request;
    request.runbooks = {test::rollback_runbook()};
    request.cause.entity = {"service:checkout"};
    request.cause.mechanism = Mechanism::kBadChange;
    request.entry = checkout();
    request.facts = {
        {"to_revision", "6"}, {"paused", "false"}, {"replicas", "3"}, {"resource_version", "1"}};
    request.diffs = {{"- a", "+ b"}};
    const auto first = make_plan(request);
    REQUIRE(first.plan);
    CHECK(first.plan->steps[0].parameters.at("resource_version") == "1");
    request.facts["resource_version"] = "2";
    CHECK(make_plan(request).plan->id == first.plan->id);
    request.facts["to_revision"] = "5";
    CHECK(make_plan(request).plan->id != first.plan->id);
    request.facts["to_revision"] = "6";
    request.diffs = {{"- a", "+ c"}};
    CHECK(make_plan(request).plan->id != first.plan->id);
}

TEST_CASE("plan: every runbook that is not taken says why", "[agent]") {
    PlanRequest request;
    auto runbook = test::rollback_runbook();
    request.runbooks = {runbook};
    request.cause.entity = {"service:checkout"};
    request.cause.mechanism = Mechanism::kCrash;
    request.entry = checkout();
    auto planning = make_plan(request);
    CHECK_FALSE(planning.plan);
    REQUIRE(planning.refusals.size() == 1);
    CHECK(planning.refusals[0].reason == "it addresses bad_change, not crash");

    request.cause.mechanism = Mechanism::kUnknown;
    CHECK(make_plan(request).refusals[0].reason == "the cause is not known");

    request.cause.mechanism = Mechanism::kBadChange;
    request.entry.attributes.erase("kubernetes.namespace");
    request.facts = {
        {"to_revision", "6"}, {"paused", "false"}, {"replicas", "3"}, {"resource_version", "1"}};
    planning = make_plan(request);
    REQUIRE(planning.refusals.size() == 1);
    CHECK(planning.refusals[0].reason.find("no attribute kubernetes.namespace") !=
          std::string::npos);
}

TEST_CASE("plan: the cheapest that fits is taken, by name among equals", "[agent]") {
    PlanRequest request;
    auto a = test::rollback_runbook();
    auto b = a;
    auto c = a;
    a.name = "a";
    a.cost = 2;
    b.name = "b";
    c.name = "c";
    b.cost = c.cost = 1;
    request.runbooks = {a, c, b};
    request.cause.entity = {"service:checkout"};
    request.cause.mechanism = Mechanism::kBadChange;
    request.entry = checkout();
    request.facts = {
        {"to_revision", "6"}, {"paused", "false"}, {"replicas", "3"}, {"resource_version", "1"}};
    CHECK(make_plan(request).plan->runbook == "b");
}

TEST_CASE("plan: lint finds what is wrong with a runbook by itself", "[agent]") {
    CHECK(lint(test::rollback_runbook()));
    auto runbook = test::rollback_runbook();
    runbook.mechanisms = {"gremlins"};
    CHECK(lint(runbook).error().message.find("gremlins") != std::string::npos);
    runbook = test::rollback_runbook();
    runbook.steps[0].preconditions = {"replicas is 3"};
    CHECK_FALSE(lint(runbook));
    runbook = test::rollback_runbook();
    runbook.steps[0].preconditions = {"replicas < {fact.max"};
    CHECK_FALSE(lint(runbook));
    runbook = test::rollback_runbook();
    runbook.steps[0].parameters["namespace"] = "{oops";
    CHECK_FALSE(lint(runbook));
    runbook = test::rollback_runbook();
    runbook.steps.clear();
    CHECK_FALSE(lint(runbook));
    runbook = test::rollback_runbook();
    runbook.verify_timeout = runbook.verify_hold;
    CHECK_FALSE(lint(runbook));
}

TEST_CASE("gate: autonomous needs every check; a person replaces only judgement", "[agent]") {
    CHECK(permission(Mode::kAutonomous, check_gate(passing())) == Permission::kAct);
    CHECK(permission(Mode::kApprove, check_gate(passing())) == Permission::kAsk);
    CHECK(permission(Mode::kSuggest, check_gate(passing())) == Permission::kShow);
    CHECK(permission(Mode::kShadow, check_gate(passing())) == Permission::kRecord);

    const auto with = [](auto change) {
        auto input = passing();
        change(input);
        return permission(Mode::kAutonomous, check_gate(input));
    };
    CHECK(with([](auto& in) { in.confidence.calibrated = false; }) == Permission::kAsk);
    CHECK(with([](auto& in) { in.confidence.value = 0.8499; }) == Permission::kAsk);
    CHECK(with([](auto& in) { in.confidence.value = 0.85; }) == Permission::kAct);
    CHECK(with([](auto& in) { in.path_found = false; }) == Permission::kAsk);
    CHECK(with([](auto& in) { in.risk = schemas::Risk::kIrreversible; }) == Permission::kAsk);
    CHECK(with([](auto& in) { in.risk = schemas::Risk::kCompensable; }) == Permission::kAct);
    CHECK(with([](auto& in) { in.actions_last_hour = 4; }) == Permission::kAct);
    CHECK(with([](auto& in) { in.actions_last_hour = 5; }) == Permission::kBlocked);
    CHECK(with([](auto& in) { in.cooldown = "rests"; }) == Permission::kBlocked);
    CHECK(with([](auto& in) { in.silence = "ann"; }) == Permission::kBlocked);
    CHECK(with([](auto& in) { in.data_age = std::chrono::seconds{120}; }) == Permission::kAct);
    CHECK(with([](auto& in) { in.data_age = std::chrono::milliseconds{120'001}; }) ==
          Permission::kBlocked);
    CHECK(with([](auto& in) { in.data_missing = "gone"; }) == Permission::kBlocked);
    CHECK(with([](auto& in) { in.kill = "on"; }) == Permission::kBlocked);
    CHECK(with([](auto& in) { in.symptoms_remain = false; }) == Permission::kBlocked);
    for (const auto& check : check_gate(GateInput{})) {
        INFO(check.name);
        if (check.name != "causal_path") CHECK_FALSE(check.reason.empty());
    }
}

TEST_CASE("gate: the latest run-time mode wins, then the first rule, then shadow", "[agent]") {
    const std::vector<schemas::ModeRule> rules{{"kubernetes.*", "service:checkout", Mode::kApprove},
                                               {"*", "*", Mode::kSuggest}};
    const auto mode = [&](const std::vector<ModeDecision>& decisions, const char* action,
                          const char* target) {
        return mode_for(rules, decisions, action, {target}).mode;
    };
    CHECK(mode({}, "kubernetes.scale_deployment", "service:checkout") == Mode::kApprove);
    CHECK(mode({}, "proxmox.start_guest", "service:checkout") == Mode::kSuggest);
    CHECK(mode_for({}, {}, "x", {"y"}).mode == Mode::kShadow);
    const ModeDecision all{"*", Mode::kAutonomous, "ann", 1};
    const ModeDecision one{"service:checkout", Mode::kShadow, "ann", 2};
    CHECK(mode({one, all}, "kubernetes.scale_deployment", "service:checkout") == Mode::kShadow);
    CHECK(mode({one, all}, "kubernetes.scale_deployment", "service:cart") == Mode::kAutonomous);
    CHECK_FALSE(matches("service:check", "service:checkout"));
    CHECK(matches("service:check*", "service:checkout"));
}

TEST_CASE("learn: confidence is calibrated by its own bin, and only with enough outcomes",
          "[agent]") {
    Outcomes outcomes;
    for (int i = 0; i < 29; ++i) count_verdict(outcomes, 0.95, true);
    auto confidence = confidence_of(outcomes, 0.95, 30);
    CHECK_FALSE(confidence.calibrated);
    CHECK(confidence.outcomes == 29);
    CHECK(to_string(confidence) == "uncalibrated (n=29)");
    count_verdict(outcomes, 1.0, false);
    confidence = confidence_of(outcomes, 0.81, 30);
    CHECK(confidence.calibrated);
    CHECK(confidence.value == Approx(30.0 / 32));
    CHECK_FALSE(confidence_of(outcomes, 0.5, 30).calibrated);
    CHECK(confidence_of(outcomes, 0.5, 30).outcomes == 30);
    CHECK_FALSE(confidence_of({}, 0.5, 0).calibrated);
    CHECK(*decode_outcomes(encode_outcomes(outcomes)) == outcomes);
    for (const auto* text : {"", "1 2 3", "1 2 3 4 5 6 7 8 9 x ", "1 2 3 4 5 6 7 8 9 -1 "}) {
        CHECK(decode_outcomes(text).error().kind == ErrorKind::kCorrupt);
    }
}

TEST_CASE("diagnose: a callee explains its caller, and the change of the callee is the cause",
          "[agent]") {
    DiagnosisInput input;
    input.observations = {seen("service:frontend", Channel::kLatency, 6, 10),
                          seen("service:checkout", Channel::kLatency, 8, 12)};
    input.changes = {changed("service:checkout", "c1", 0), changed("service:frontend", "c2", 0)};
    input.depends_on = {{{"service:frontend"}, {{"service:checkout"}}}};
    const auto diagnosis = diagnose(input);
    CHECK(diagnosis.causes[0].entity.value == "service:checkout");
    CHECK(diagnosis.causes[0].change_key == "c1");
    double sum = 0;
    bool unknown = false;
    for (const auto& cause : diagnosis.causes) {
        sum += cause.share;
        unknown = unknown || cause.mechanism == Mechanism::kUnknown;
        CHECK_FALSE(cause.reasons.empty());
    }
    CHECK(sum == Approx(1));
    CHECK(unknown);
}

TEST_CASE("diagnose: the order of the input does not matter", "[agent]") {
    DiagnosisInput input;
    for (int i = 0; i < 8; ++i) {
        const auto entity = "service:s" + std::to_string(i % 4);
        input.observations.push_back(seen(entity, static_cast<Channel>(i), 1 + i, 100 - i));
        input.changes.push_back(changed(entity, "c" + std::to_string(i), 50));
    }
    input.depends_on = {{{"service:s0"}, {{"service:s1"}, {"service:s2"}}},
                        {{"service:s1"}, {{"service:s3"}}}};
    const auto first = diagnose(input);
    std::reverse(input.observations.begin(), input.observations.end());
    std::reverse(input.changes.begin(), input.changes.end());
    CHECK(diagnose(input) == first);
    CHECK(first.causes.size() == 10);
}

TEST_CASE("diagnose: symptoms alone name no known cause", "[agent]") {
    DiagnosisInput input;
    input.observations = {seen("service:checkout", Channel::kLatency, 1e9, 10),
                          seen("service:checkout", Channel::kOther, 2, 10)};
    CHECK(diagnose(input).causes[0].mechanism == Mechanism::kUnknown);
}

TEST_CASE("diagnose: a change is a prior and never a proof", "[agent]") {
    DiagnosisInput input;
    input.observations = {seen("service:checkout", Channel::kLatency, 8, 1000)};
    SECTION("without symptoms of its own it does not win") {
        input.changes = {changed("service:other", "c", 990)};
        CHECK(diagnose(input).causes[0].mechanism == Mechanism::kUnknown);
    }
    SECTION("after the onset it is no candidate") {
        input.changes = {changed("service:checkout", "c", 1016)};
        CHECK(diagnose(input).causes.size() == 1);
    }
    SECTION("clocks may differ a little") {
        input.changes = {changed("service:checkout", "c", 1015)};
        CHECK(diagnose(input).causes[0].mechanism == Mechanism::kBadChange);
    }
    SECTION("a deployment that was replaced before the onset is none") {
        input.changes = {changed("service:checkout", "old", 900),
                         changed("service:checkout", "new", 950)};
        const auto causes = diagnose(input).causes;
        REQUIRE(causes.size() == 2);
        CHECK(causes[0].change_key == "new");
    }
    SECTION("one that was replaced after the onset, or in vain, still is") {
        input.changes = {changed("service:checkout", "old", 900),
                         changed("service:checkout", "new", 1005)};
        CHECK(diagnose(input).causes.size() == 3);
        input.changes[1] = changed("service:checkout", "new", 950);
        input.changes[1].change.status = "failure";
        CHECK(diagnose(input).causes.size() == 3);
    }
    SECTION("a change after the onset is not said to be before it") {
        input.changes = {changed("service:checkout", "c", 1003)};
        const auto reasons = diagnose(input).causes[0].reasons;
        const bool told = std::any_of(reasons.begin(), reasons.end(), [](const auto& reason) {
            return reason.find("came 3s after its first symptom") != std::string::npos;
        });
        CHECK(told);
    }
    SECTION("long before it does not win") {
        input.observations = {seen("service:checkout", Channel::kLatency, 8, 4000)};
        input.changes = {changed("service:checkout", "c", 900)};
        CHECK(diagnose(input).causes[0].mechanism == Mechanism::kUnknown);
    }
    SECTION("before the window it is no candidate") {
        input.observations = {seen("service:checkout", Channel::kLatency, 8, 4601)};
        input.changes = {changed("service:checkout", "c", 1000)};
        CHECK(diagnose(input).causes.size() == 1);
    }
}

TEST_CASE("diagnose: each mechanism is named by its own kind of symptom", "[agent]") {
    const auto top = [](Channel channel) {
        DiagnosisInput input;
        input.observations = {seen("vm:pve1/101", channel, 4, 10)};
        return diagnose(input).causes[0].mechanism;
    };
    CHECK(top(Channel::kSaturation) == Mechanism::kResourceExhaustion);
    CHECK(top(Channel::kAbsence) == Mechanism::kCrash);
    CHECK(top(Channel::kTrafficUp) == Mechanism::kOverload);
    CHECK(top(Channel::kTrafficDown) == Mechanism::kUnknown);
}

TEST_CASE("diagnose: in a circle of calls the first stays unexplained", "[agent]") {
    DiagnosisInput input;
    input.observations = {seen("a:1", Channel::kAbsence, 4, 10),
                          seen("b:1", Channel::kLatency, 4, 20),
                          seen("c:1", Channel::kLatency, 4, 30)};
    input.depends_on = {{{"a:1"}, {{"b:1"}}}, {{"b:1"}, {{"c:1"}}}, {{"c:1"}, {{"a:1"}}}};
    const auto diagnosis = diagnose(input);
    CHECK(diagnosis.causes[0].entity.value == "a:1");
    CHECK(diagnosis.edges.size() == 2);
}

TEST_CASE("diagnose: a causal path follows what depends on what, a few calls deep", "[agent]") {
    Graph graph;
    for (int i = 0; i < 10; ++i) {
        graph[{"s:" + std::to_string(i)}] = {{"s:" + std::to_string(i + 1)}};
    }
    CHECK(causal_path(graph, {"s:0"}, {"s:2"}) == "s:0 -> s:1 -> s:2");
    CHECK(causal_path(graph, {"s:0"}, {"s:0"}) == "s:0");
    CHECK(causal_path(graph, {"s:0"}, {"s:6"}).ends_with("s:6"));
    CHECK(causal_path(graph, {"s:0"}, {"s:7"}).empty());
    CHECK(causal_path(graph, {"s:2"}, {"s:0"}).empty());
}

TEST_CASE("work: what is stored is what is read", "[agent]") {
    Work work;
    work.tracks["alert/x"] = {Channel::kTrafficUp, second(5)};
    work.tried = {"a|b"};
    work.overflow = true;
    work.cause_entity = {"service:checkout"};
    work.cause_mechanism = Mechanism::kOverload;
    work.cause_change = "c";
    work.runbook = "r";
    work.facts = {{{"a", "1"}}, {}};
    work.facts_at = second(6);
    work.diffs = {{"- a"}, {}};
    work.purpose = Purpose::kRetry;
    work.waiting_for = {"act-1"};
    work.step = 1;
    work.inspections = 2;
    work.intents = 3;
    work.retried = true;
    work.acted = true;
    work.hold = Hold::kPerson;
    work.clear_until = second(7);
    work.verify_until = second(8);
    work.notices = 4;
    work.reopened = 5;
    work.told_resolved = true;
    work.told_ended = schemas::Ended::kSilent;
    work.told_at = second(9);
    work.held_update = "more evidence";
    CHECK(*decode_work(encode_work(work)) == work);
    CHECK(*decode_work(encode_work({})) == Work{});
    CHECK(decode_work("{").error().kind == ErrorKind::kCorrupt);
    CHECK(decode_work("[]").error().kind == ErrorKind::kCorrupt);
}
