#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::DecisionKind;
using schemas::Mode;

namespace {

const schemas::GateCheck& check_named(const schemas::Incident& incident, std::string_view name) {
    REQUIRE(incident.plan);
    for (const auto& check : incident.plan->gate) {
        if (check.name == name) return check;
    }
    FAIL("no such check");
    return incident.plan->gate.front();
}

// Resolves one incident on its own entity and gives it a verdict.
void confirmed_incident(Story& story, int number, bool right) {
    const auto entity = fmt::format("service:past-{}", number);
    story.deployment(entity, fmt::format("0.{}", number));
    story.anomaly(schemas::Symptom::kErrors, entity, 14);
    const auto opened = story.incident().opened_at;
    const auto second = [&](int seconds) {
        return std::chrono::duration_cast<std::chrono::seconds>(opened - story.at(0)).count() +
               seconds;
    };
    story.until(second(20));
    story.anomaly(schemas::Symptom::kErrors, entity, 14, false);
    story.until(second(90));
    REQUIRE(story.state() == "resolved");
    story.decide(DecisionKind::kVerdict, right ? "right" : "wrong");
    REQUIRE(story.state() == "reviewed");
}

}  // namespace

TEST_CASE("agent: in shadow nothing is asked and what would have been done is recorded",
          "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kShadow));
    bad_deployment(story);

    CHECK(story.state() == "escalated");
    const auto& plan = story.incident().plan;
    REQUIRE(plan);
    CHECK(plan->mode == Mode::kShadow);
    CHECK(plan->steps[0].status == "would_run");
    CHECK(plan->steps[0].diff.size() == 2);
    CHECK(story.notices("approval").empty());
    CHECK(story.notices("page").size() == 1);
    CHECK(story.notices().size() == 1);

    story.approve(plan->id.value);
    CHECK(story.audited("approval refused", "does not wait for an approval (mode shadow)"));
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);

    story.until(150);
    recovery(story);
    story.until(210);
    CHECK(story.state() == "resolved");
    CHECK(story.incident().plan->steps[0].status == "would_run");
    CHECK(story.incident().postmortem.find("would_run") != std::string::npos);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
}

TEST_CASE("agent: without a policy everything is shadow and nothing is even inspected", "[agent]") {
    Story story;
    story.anomaly(schemas::Symptom::kAbsence, "service:checkout", 3);
    story.until(3600);
    CHECK(story.state() == "escalated");
    CHECK(story.recorder.intents.empty());
}

TEST_CASE("agent: in suggest the plan is shown and cannot be approved", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kSuggest));
    bad_deployment(story);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "suggested");
    REQUIRE(story.notices("update").size() == 1);
    CHECK(story.notices("update")[0].text.find("+ image: shop/checkout:1.4.2") !=
          std::string::npos);
    CHECK(story.notices("approval").empty());
    story.approve(story.incident().plan->id.value);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    CHECK(story.audited("approval refused", "mode suggest"));
}

TEST_CASE("agent: autonomous asks as long as confidence is uncalibrated", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kAutonomous));
    bad_deployment(story);
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.incident().plan->mode == Mode::kAutonomous);
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    const auto& check = check_named(story.incident(), "confidence");
    CHECK_FALSE(check.passed);
    CHECK(check.reason.find("uncalibrated (n=0)") != std::string::npos);
}

TEST_CASE("agent: autonomous acts once enough verdicts calibrated a high confidence", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kAutonomous);
    policy.outcomes_min = 10;
    story.tell(policy);
    for (int i = 0; i < 10; ++i) confirmed_incident(story, i, true);
    const auto begin =
        std::chrono::duration_cast<std::chrono::seconds>(story.now() - story.at(0)).count();
    story.until(begin + 4000);
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(schemas::Symptom::kErrors, "service:checkout", 14);
    story.until(begin + 4010);
    const auto& confidence = story.incident().diagnosis.confidence;
    CHECK(confidence.calibrated);
    CHECK(confidence.outcomes == 10);
    CHECK(confidence.value == Approx(11.0 / 12));
    story.answer_inspection();
    CHECK(story.state() == "acting");
    CHECK(story.incident().plan->approved_by == "autonomous");
    CHECK(story.count_intents(ActionPhase::kExecute) == 1);
    CHECK(story.notices("approval").empty());
}

TEST_CASE("agent: autonomous asks when the verdicts say that it is often wrong", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kAutonomous);
    policy.outcomes_min = 10;
    story.tell(policy);
    for (int i = 0; i < 10; ++i) confirmed_incident(story, i, i % 2 == 0);
    const auto begin =
        std::chrono::duration_cast<std::chrono::seconds>(story.now() - story.at(0)).count();
    story.until(begin + 4000);
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(schemas::Symptom::kErrors, "service:checkout", 14);
    story.until(begin + 4010);
    story.answer_inspection();
    CHECK(story.state() == "awaiting_approval");
    CHECK(check_named(story.incident(), "confidence").reason.find("below the minimum") !=
          std::string::npos);
}

TEST_CASE(
    "agent: a mode that a person sets at run time decides, and the incident is looked at "
    "again",
    "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kShadow));
    bad_deployment(story);
    CHECK(story.state() == "escalated");
    story.mode("approve", "kubernetes.rollback_deployment");
    CHECK(story.state() == "diagnosing");
    story.answer_inspection();
    CHECK(story.state() == "awaiting_approval");
    CHECK(check_named(story.incident(), "mode").reason ==
          "approve: ann set it for kubernetes.rollback_deployment");
}

TEST_CASE("agent: a mode lowered while a plan waits holds its approval", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.mode("shadow");
    story.approve(story.incident().plan->id.value);
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.count_intents(ActionPhase::kInspect) == 1);
    CHECK(story.audited("approval refused", "mode (shadow"));
}

TEST_CASE("agent: a mode that does not exist is refused", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kShadow));
    bad_deployment(story);
    story.mode("yolo");
    CHECK(story.state() == "escalated");
    CHECK(story.audited("mode refused", "yolo"));
    story.mode("policy");
    CHECK(story.audited("mode refused", "no mode was set"));
}

TEST_CASE("agent: more actions than the hourly budget are held", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    policy.actions_per_hour_max = 0;
    story.tell(policy);
    bad_deployment(story);
    CHECK(story.state() == "escalated");
    CHECK(story.incident().plan->steps[0].status == "blocked");
    CHECK_FALSE(check_named(story.incident(), "blast_radius").passed);
    CHECK(story.notices("approval").empty());
}

TEST_CASE("agent: a target that was acted on rests", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    policy.correlation_window = std::chrono::seconds{120};
    story.tell(policy);
    bad_deployment(story);
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    story.answer(ActionStatus::kSucceeded);
    recovery(story);
    story.until(400);
    REQUIRE(story.state() == "resolved");
    // Past the correlation window, before the cooldown of 600 s is over: a new incident.
    story.deployment("service:checkout", "1.5.1");
    story.anomaly(schemas::Symptom::kErrors, "service:checkout", 8);
    REQUIRE(story.incident_count() == 2);
    story.until(411);
    story.answer_inspection("shop/checkout:1.5.1");
    CHECK(story.state() == "escalated");
    CHECK_FALSE(check_named(story.incident(), "cooldown").passed);
}

TEST_CASE("agent: old evidence is not acted on", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    policy.diagnose_after = std::chrono::seconds{121};
    story.tell(policy);
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(schemas::Symptom::kErrors, "service:checkout", 8);
    story.until(121);
    story.answer_inspection();
    CHECK(story.state() == "escalated");
    CHECK_FALSE(check_named(story.incident(), "data_fresh").passed);
}

TEST_CASE("agent: missing telemetry is not acted on unless its absence is the cause", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment("service:checkout", "1.5.0");
    story.anomaly(schemas::Symptom::kErrors, "service:checkout", 14);
    story.anomaly(schemas::Symptom::kAbsence, "service:checkout", 1, true,
                  schemas::Severity::kInfo);
    story.until(10);
    REQUIRE(story.incident().diagnosis.causes[0].mechanism == schemas::Mechanism::kBadChange);
    story.answer_inspection();
    CHECK(story.state() == "escalated");
    CHECK(check_named(story.incident(), "data_fresh").reason.find("stopped sending") !=
          std::string::npos);
}
