#include <catch2/catch.hpp>

#include "golden.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::DecisionKind;
using schemas::IncidentState;
using schemas::Mode;

namespace {

void approve_plan(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.until(130);
    story.approve(story.incident().plan->id.value);
}

}  // namespace

TEST_CASE("agent: a bad deployment is one incident with its cause named", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);

    REQUIRE(story.incident_count() == 1);
    const auto& incident = story.incident();
    REQUIRE(incident.diagnosis.causes.size() >= 2);
    const auto& cause = incident.diagnosis.causes.front();
    CHECK(cause.entity.value == "service:checkout");
    CHECK(cause.mechanism == schemas::Mechanism::kBadChange);
    CHECK(cause.change_key == "github:shop/checkout:deployment:1.5.0");
    CHECK(cause.share > 0.8);
    CHECK_FALSE(incident.diagnosis.confidence.calibrated);
    CHECK(incident.diagnosis.confidence.outcomes == 0);
    REQUIRE(incident.diagnosis.edges.size() == 1);
    CHECK(incident.diagnosis.edges[0].cause.value == "service:checkout");
    CHECK(incident.diagnosis.edges[0].effect.value == "service:frontend");
    CHECK(incident.diagnosis.edges[0].explained_ratio == 1);
    CHECK(story.notices("page").size() == 1);
}

TEST_CASE("agent: in mode approve the plan is shown and nothing is done until it is approved",
          "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);

    CHECK(story.state() == "awaiting_approval");
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    const auto& plan = story.incident().plan;
    REQUIRE(plan);
    CHECK(plan->mode == Mode::kApprove);
    CHECK(plan->expires_at == story.at(112) + std::chrono::seconds{1800});
    REQUIRE(plan->steps.size() == 1);
    CHECK(plan->steps[0].parameters.at("namespace") == "shop");
    CHECK(plan->steps[0].parameters.at("to_revision") == "6");
    CHECK(plan->steps[0].diff.size() == 2);
    CHECK(plan->gate.size() == 10);
    const auto asked = story.notices("approval");
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].text.find(plan->id.value) != std::string::npos);
    CHECK(asked[0].text.find("+ image: shop/checkout:1.4.2") != std::string::npos);
    CHECK(asked[0].text.find("uncalibrated (n=0)") != std::string::npos);
}

TEST_CASE("agent: an approval is checked against the target afresh, then run once", "[agent]") {
    Story story;
    approve_plan(story);
    CHECK(story.state() == "acting");
    REQUIRE(story.recorder.intents.size() == 2);
    CHECK(story.recorder.intents[1].phase == ActionPhase::kInspect);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);

    story.until(131);
    story.answer_inspection();
    REQUIRE(story.recorder.intents.size() == 3);
    const auto& intent = story.recorder.intents[2];
    CHECK(intent.phase == ActionPhase::kExecute);
    CHECK(intent.status == ActionStatus::kIntended);
    CHECK(intent.action == "kubernetes.rollback_deployment");
    CHECK(intent.target.value == "service:checkout");
    CHECK(intent.plan == story.incident().plan->id);
    // The guard is of the fresh inspection, not of the one the plan was made from.
    CHECK(intent.parameters.at("resource_version") == "1002");
    CHECK(intent.facts.at("resource_version") == "1002");
}

TEST_CASE("agent: recovery is verified, resolved and written up", "[agent][golden]") {
    Story story;
    approve_plan(story);
    story.until(131);
    story.answer_inspection();
    story.until(133);
    story.answer(ActionStatus::kSucceeded);
    CHECK(story.state() == "verifying");
    story.until(150);
    recovery(story);
    CHECK(story.state() == "verifying");
    story.until(209);
    CHECK(story.state() == "verifying");
    story.until(210);
    CHECK(story.state() == "resolved");
    CHECK(story.incident().resolved_at == story.at(210));
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
    CHECK(story.notices("page").size() == 1);
    CHECK(story.notices("approval").size() == 1);
    CHECK(story.notices("update").size() == 1);
    CHECK(story.notices("resolved").size() == 1);
    check_golden("postmortem_bad_deployment.md", story.incident().postmortem);

    story.until(300);
    story.decide(DecisionKind::kVerdict, "right");
    CHECK(story.state() == "reviewed");
    CHECK(story.incident().postmortem.find("the diagnosis was right") != std::string::npos);
    story.decide(DecisionKind::kVerdict, "wrong");
    CHECK(story.audited("verdict refused", "has a verdict already"));
}

TEST_CASE("agent: an approval of another plan is refused", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.approve("plan-000000000000");
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.recorder.intents.size() == 1);
    CHECK(story.audited("approval refused", "the plan that waits is"));
}

TEST_CASE("agent: an approval without a name is refused", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.approve(story.incident().plan->id.value, "");
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.audited("approve refused", "needs a name"));
}

TEST_CASE("agent: an approval for an incident that does not exist is refused", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    schemas::Decision decision;
    decision.kind = DecisionKind::kApprove;
    decision.incident = {"inc-../../policy"};
    decision.plan = {"plan-1"};
    decision.actor = "ann";
    story.tell(decision);
    CHECK(story.audited("approve refused", "there is no such incident"));
    CHECK(story.incident_count() == 0);
}

TEST_CASE("agent: a plan that nobody approves expires", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    const auto plan = story.incident().plan->id.value;
    story.until(112 + 1799);
    CHECK(story.state() == "awaiting_approval");
    story.until(112 + 1800);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "expired");
    story.approve(plan);
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    CHECK(story.audited("approval refused", "does not wait for an approval"));
}

TEST_CASE("agent: a second approval of the same plan does nothing", "[agent]") {
    Story story;
    approve_plan(story);
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    story.approve(story.incident().plan->id.value);
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
    CHECK(story.recorder.intents.size() == 3);
    CHECK(story.audits("approval refused").size() == 2);
}

TEST_CASE("agent: a rejected plan is a person's", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.decide(DecisionKind::kReject);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "rejected");
    story.mode("autonomous");
    story.until(2000);
    CHECK(story.state() == "escalated");
    CHECK(story.recorder.intents.size() == 1);
}

TEST_CASE("agent: a target that changed after the approval needs a new one", "[agent]") {
    Story story;
    approve_plan(story);
    const auto old = story.incident().plan->id;
    story.answer_inspection("shop/checkout:1.6.0");
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.incident().plan->id != old);
    CHECK(story.incident().plan->approved_by.empty());
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    CHECK(story.audited("approval not used", "the target changed since"));
}

TEST_CASE("agent: preconditions that no longer hold after the approval stop it", "[agent]") {
    Story story;
    approve_plan(story);
    story.answer(ActionStatus::kSucceeded, {{"replicas", "3"}, {"paused", "false"}});
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    CHECK(story.audited("plan refused", "the fact to_revision is not known"));
}

TEST_CASE("agent: a kill switch holds an approval until it is off", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    const auto plan = story.incident().plan->id.value;
    schemas::Decision kill;
    kill.kind = DecisionKind::kKill;
    kill.actor = "ann";
    kill.value = "on";
    story.tell(kill);
    story.approve(plan);
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.recorder.intents.size() == 1);
    CHECK(story.audited("approval refused", "kill_switch"));

    kill.value = "off";
    story.tell(kill);
    story.approve(plan);
    CHECK(story.state() == "acting");
}

TEST_CASE("agent: a kill switch between approval and execution stops it", "[agent]") {
    Story story;
    approve_plan(story);
    schemas::Decision kill;
    kill.kind = DecisionKind::kKill;
    kill.actor = "ann";
    kill.value = "on";
    story.tell(kill);
    story.answer_inspection();
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
}

TEST_CASE("agent: a reload that takes away what the runbook needs gives the plan to a person",
          "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    REQUIRE(story.state() == "awaiting_approval");
    auto policy = shop_policy(Mode::kApprove);
    for (auto& entry : policy.inventory) entry.attributes.clear();
    story.tell(policy);
    story.until(130);
    story.approve(story.incident().plan->id.value);
    CHECK(story.state() == "escalated");
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
}
