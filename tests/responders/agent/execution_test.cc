#include <catch2/catch.hpp>

#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::DecisionKind;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

namespace {

// Until the rollback was asked for, at 131 s.
void until_executing(Story& story, schemas::Policy policy = shop_policy(Mode::kApprove)) {
    story.tell(std::move(policy));
    bad_deployment(story);
    story.until(130);
    story.approve(story.incident().plan->id.value);
    story.until(131);
    story.answer_inspection();
    REQUIRE(story.state() == "acting");
    REQUIRE(story.count_intents(ActionPhase::kExecute) == 1);
}

}  // namespace

TEST_CASE("agent: an action in doubt is a person's and is never repeated", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kInDoubt);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "in_doubt");
    CHECK(story.notices("page").size() == 2);
    story.mode("autonomous");
    story.alert("Another", "service:checkout");
    story.until(4000);
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
}

TEST_CASE("agent: an action that does not answer is in doubt; its late success is verified",
          "[agent]") {
    Story story;
    until_executing(story);
    story.until(131 + 299);
    CHECK(story.state() == "acting");
    story.until(131 + 300);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "in_doubt");
    story.until(500);
    story.answer(ActionStatus::kSucceeded);
    CHECK(story.state() == "verifying");
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
}

TEST_CASE("agent: what was certainly not applied is tried once more, checked afresh", "[agent]") {
    Story story;
    until_executing(story);
    const auto first = story.recorder.intents.back().id;
    story.answer(ActionStatus::kFailed, {{"applied", "no"}});
    CHECK(story.state() == "acting");
    CHECK(story.recorder.intents.back().phase == ActionPhase::kInspect);
    story.answer_inspection();
    REQUIRE(story.count_intents(ActionPhase::kExecute) == 2);
    CHECK(story.recorder.intents.back().id != first);
    story.answer(ActionStatus::kFailed, {{"applied", "no"}});
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 2);
}

TEST_CASE("agent: the retry is not made when the target changed meanwhile", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kFailed, {{"applied", "no"}});
    story.answer_inspection("shop/checkout:1.6.0");
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
    CHECK(story.audited("plan refused", "what it would do changed"));
}

TEST_CASE("agent: a failure without that certainty is not tried again", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kFailed);
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
}

TEST_CASE("agent: symptoms that cleared while it acted are watched when it is a person's",
          "[agent]") {
    Story failed;
    until_executing(failed);
    recovery(failed);
    failed.answer(ActionStatus::kFailed);
    CHECK(failed.state() == "escalated");
    failed.until(400);
    CHECK(failed.state() == "resolved");

    Story inspected;
    inspected.tell(shop_policy(Mode::kApprove));
    bad_deployment(inspected);
    inspected.approve(inspected.incident().plan->id.value);
    REQUIRE(inspected.state() == "acting");
    recovery(inspected);
    inspected.answer_inspection();
    CHECK(inspected.state() == "escalated");
    CHECK(inspected.count_intents(ActionPhase::kExecute) == 0);
    inspected.until(400);
    CHECK(inspected.state() == "resolved");
}

TEST_CASE("agent: a refused action is a person's", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kRefused);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "refused");
    CHECK(story.notices("page").size() == 2);
}

TEST_CASE("agent: an outcome nobody waits for changes nothing", "[agent]") {
    Story story;
    until_executing(story);
    auto other = story.recorder.intents.back();
    other.id = {"act-000000000000"};
    other.status = ActionStatus::kSucceeded;
    story.tell(other);
    CHECK(story.state() == "acting");
    CHECK(story.audited("outcome ignored", "no incident waits for"));
    story.answer(ActionStatus::kSucceeded);
    story.answer(ActionStatus::kFailed);
    CHECK(story.state() == "verifying");
}

TEST_CASE("agent: without data nothing resolves", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    for (int second = 140; second < 400; second += 10) {
        story.until(second);
        story.tell(schemas::Tick{});
    }
    CHECK(story.state() == "verifying");
    story.until(131 + 300);
    CHECK(story.state() == "escalated");
    const auto pages = story.notices("page");
    REQUIRE(pages.size() == 2);
    CHECK(pages[1].text.find("to undo it: roll forward to the revision before") !=
          std::string::npos);
    story.until(100'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("agent: telemetry that stops while symptoms look clear does not resolve", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    story.until(150);
    recovery(story);
    story.until(160);
    story.anomaly(Symptom::kAbsence, "service:checkout", 1, true, Severity::kInfo);
    story.until(400);
    CHECK(story.state() == "verifying");
    story.anomaly(Symptom::kAbsence, "service:checkout", 1, false, Severity::kInfo);
    story.until(459);
    CHECK(story.state() == "verifying");
    story.until(460);
    CHECK(story.state() == "resolved");
}

TEST_CASE("agent: one symptom that stays is enough to fail the verification", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    story.until(150);
    story.anomaly(Symptom::kLatency, "service:checkout", 8, false);
    story.anomaly(Symptom::kLatency, "service:frontend", 6, false);
    story.alert("HighErrorRatio", "service:checkout", false);
    story.until(430);
    CHECK(story.state() == "verifying");
    story.until(431);
    CHECK(story.state() == "escalated");
}

TEST_CASE("agent: a symptom that returns in the hold begins it again", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    story.until(150);
    recovery(story);
    story.until(200);
    story.alert("HighErrorRatio", "service:checkout");
    story.until(220);
    CHECK(story.state() == "verifying");
    story.until(230);
    story.alert("HighErrorRatio", "service:checkout", false);
    story.until(289);
    CHECK(story.state() == "verifying");
    story.until(290);
    CHECK(story.state() == "resolved");
}

TEST_CASE("agent: a hold under way at the verification's end decides", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    story.until(420);
    recovery(story);
    story.until(479);
    CHECK(story.state() == "verifying");
    SECTION("it stays clear") {
        story.until(480);
        CHECK(story.state() == "resolved");
    }
    SECTION("it returns") {
        story.alert("HighErrorRatio", "service:checkout");
        CHECK(story.state() == "escalated");
        CHECK(story.notices("page").size() == 2);
    }
}

TEST_CASE("agent: a failed verification resolves when the symptoms clear after all", "[agent]") {
    Story story;
    until_executing(story);
    story.answer(ActionStatus::kSucceeded);
    story.until(500);
    REQUIRE(story.state() == "escalated");
    recovery(story);
    story.until(560);
    CHECK(story.state() == "resolved");
}

TEST_CASE("agent: an inspection that fails or does not answer is a person's", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(Symptom::kErrors, "service:checkout", 14);
    story.until(10);
    REQUIRE(story.recorder.intents.size() == 1);
    SECTION("fails") {
        story.answer(ActionStatus::kFailed);
    }
    SECTION("does not answer") {
        story.until(310);
    }
    CHECK(story.state() == "escalated");
    CHECK_FALSE(story.incident().plan);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
}

TEST_CASE("agent: steps run one after the other, each checked before", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    auto second = policy.runbooks[0].steps[0];
    second.action = "kubernetes.scale_deployment";
    second.parameters = {{"namespace", "{kubernetes.namespace}"}, {"add", "1"}};
    second.preconditions = {"replicas > 0"};
    policy.runbooks[0].steps.push_back(second);
    story.tell(policy);
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(Symptom::kErrors, "service:checkout", 14);
    story.until(10);
    story.answer_inspection();
    REQUIRE(story.recorder.intents.back().action == "kubernetes.scale_deployment");
    story.answer(ActionStatus::kSucceeded, {{"replicas", "3"}}, {"- replicas: 3", "+ replicas: 4"});
    REQUIRE(story.state() == "awaiting_approval");
    CHECK(story.incident().plan->steps.size() == 2);
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    REQUIRE(story.count_intents(ActionPhase::kExecute) == 1);
    story.answer(ActionStatus::kSucceeded);
    REQUIRE(story.recorder.intents.back().phase == ActionPhase::kInspect);
    REQUIRE(story.recorder.intents.back().action == "kubernetes.scale_deployment");
    SECTION("as planned") {
        story.answer(ActionStatus::kSucceeded, {{"replicas", "3"}},
                     {"- replicas: 3", "+ replicas: 4"});
        CHECK(story.count_intents(ActionPhase::kExecute) == 2);
        story.answer(ActionStatus::kSucceeded);
        CHECK(story.state() == "verifying");
    }
    SECTION("no longer") {
        story.answer(ActionStatus::kSucceeded, {{"replicas", "0"}},
                     {"- replicas: 0", "+ replicas: 1"});
        CHECK(story.count_intents(ActionPhase::kExecute) == 1);
        CHECK(story.state() == "escalated");
    }
}

TEST_CASE("agent: a next runbook is tried when the cheapest does not fit", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    auto cheap = policy.runbooks[0];
    cheap.name = "cheap";
    cheap.cost = 1;
    cheap.steps[0].preconditions = {"cheap == true"};
    policy.runbooks.push_back(cheap);
    story.tell(policy);
    bad_deployment(story);
    REQUIRE(story.recorder.intents.size() == 2);
    CHECK(story.audited("plan refused", "the fact cheap is not known"));
    story.answer_inspection();
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.incident().plan->runbook == "rollback-deployment");
}

TEST_CASE("agent: a diagnosis that changes while a plan waits withdraws it", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    schemas::InventoryEntry payment;
    payment.entity = {"service:payment"};
    payment.attributes = {{"kubernetes.namespace", "shop"}, {"kubernetes.deployment", "payment"}};
    policy.inventory.push_back(payment);
    story.tell(policy);
    bad_deployment(story);
    REQUIRE(story.state() == "awaiting_approval");
    const auto old = story.incident().plan->id.value;
    // What checkout calls turns out to be worse, and to have been changed as well.
    story.edge("service:checkout", "service:payment");
    story.deployment("service:payment", "9.0");
    story.anomaly(Symptom::kErrors, "service:payment", 100);
    CHECK(story.incident_count() == 1);
    CHECK(story.incident().diagnosis.causes[0].entity.value == "service:payment");
    CHECK(story.state() == "diagnosing");
    story.approve(old);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
}
