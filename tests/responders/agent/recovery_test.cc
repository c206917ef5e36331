// Only values that are usual again are recovery: not data that stopped, not a level that stayed
// until it was the new normal.
#include "responders/agent/recovery.h"

#include <catch2/catch.hpp>

#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::DecisionKind;
using schemas::Ended;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

namespace {

const std::string kCheckout = "service:checkout";

// One anomaly, no runbook for it: escalated at 10 s.
void until_escalated(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    story.anomaly(Symptom::kLatency, kCheckout, 8);
    story.until(10);
    REQUIRE(story.state() == "escalated");
}

// An approved rollback succeeded at 130 s; all symptoms are anomalies.
void until_verifying(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    story.deployment(kCheckout, "1.5.0");
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.until(10);
    story.answer_inspection();
    REQUIRE(story.state() == "awaiting_approval");
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    story.until(130);
    story.answer(ActionStatus::kSucceeded);
    REQUIRE(story.state() == "verifying");
}

schemas::Anomaly anomaly_named(const std::string& key, const EntityId& entity) {
    schemas::Anomaly anomaly;
    anomaly.detector = "seasonal";
    anomaly.key = key;
    anomaly.firing = false;
    anomaly.severity = Severity::kWarning;
    anomaly.entity = entity;
    return anomaly;
}

std::size_t notices_with(const Story& story, std::string_view kind, std::string_view part) {
    std::size_t count = 0;
    for (const auto& notice : story.notices(kind)) {
        if (notice.text.find(part) != std::string::npos) ++count;
    }
    return count;
}

bool timeline_has(const Story& story, std::string_view part) {
    for (const auto& entry : story.incident().timeline) {
        if (entry.text.find(part) != std::string::npos) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("recovery: an anomaly whose data stopped keeps its incident open, told once", "[agent]") {
    Story story;
    until_escalated(story);
    const auto pages = story.notices("page").size();
    story.until(310);
    story.end(Symptom::kLatency, kCheckout, Ended::kSilent);
    CHECK(timeline_has(story, "data stopped, not recovery"));
    CHECK(story.incident().evidence[0].ended == Ended::kSilent);
    CHECK(notices_with(story, "update", "whether it is over cannot be seen") == 1);
    story.end(Symptom::kLatency, kCheckout, Ended::kSilent);
    CHECK(story.audited("signal dropped", "ended already"));
    story.until(100'000);
    CHECK(story.state() == "escalated");
    CHECK_FALSE(story.incident().evidence[0].cleared_at);
    CHECK(notices_with(story, "update", "whether it is over cannot be seen") == 1);
    CHECK(story.notices("page").size() == pages);

    SECTION("until its data is back and calm") {
        story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
        CHECK(story.incident().evidence[0].cleared_at == story.now());
        CHECK_FALSE(story.incident().evidence[0].ended);
        story.until(100'059);
        CHECK(story.state() == "escalated");
        story.until(100'060);
        CHECK(story.state() == "resolved");
    }
    SECTION("until a person resolves it") {
        story.decide(DecisionKind::kResolve);
        CHECK(story.state() == "resolved");
        CHECK(story.incident().postmortem.find("its data stopped") != std::string::npos);
        story.anomaly(Symptom::kLatency, kCheckout, 8);
        REQUIRE(story.state() == "reopened");
        CHECK(story.notices("page").size() == pages + 1);
        story.end(Symptom::kLatency, kCheckout, Ended::kSilent);
        CHECK(notices_with(story, "update", "whether it is over cannot be seen") == 2);
    }
    SECTION("and it is told again when it fires and falls silent again") {
        story.anomaly(Symptom::kLatency, kCheckout, 8);
        CHECK_FALSE(story.incident().evidence[0].ended);
        CHECK(story.notices("page").size() == pages);
        story.end(Symptom::kLatency, kCheckout, Ended::kSilent);
        CHECK(notices_with(story, "update", "whether it is over cannot be seen") == 2);
    }
    SECTION("and a new symptom there wakes somebody") {
        story.anomaly(Symptom::kErrors, kCheckout, 8);
        CHECK(story.incident_count() == 1);
        REQUIRE(story.notices("page").size() == pages + 1);
        CHECK(story.notices("page").back().text.find("errors") != std::string::npos);
    }
}

TEST_CASE("recovery: a record that does not say how it ended is taken as calm", "[agent]") {
    Story story;
    until_escalated(story);
    story.anomaly(Symptom::kLatency, kCheckout, 8, false);
    story.until(70);
    CHECK(story.state() == "resolved");
}

TEST_CASE("recovery: one silent symptom among calm ones is enough to stay open", "[agent]") {
    Story story;
    until_escalated(story);
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.end(Symptom::kErrors, kCheckout, Ended::kSilent);
    CHECK(notices_with(story, "update", "cannot be seen") == 0);  // The other one fires.
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
    CHECK(notices_with(story, "update", "cannot be seen") == 1);
    story.until(10'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("recovery: one adapted symptom among calm ones is enough to stay open", "[agent]") {
    Story story;
    until_escalated(story);
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.end(Symptom::kErrors, kCheckout, Ended::kAdapted);
    CHECK(notices_with(story, "update", "new normal") == 0);  // The other one fires.
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
    CHECK(notices_with(story, "update", "new normal") == 1);
    CHECK_FALSE(timeline_has(story, "every symptom is clear"));
    story.until(10'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("recovery: an entity that stops sending before it is over is told of", "[agent]") {
    Story story;
    until_escalated(story);
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
    story.until(40);
    story.anomaly(Symptom::kAbsence, kCheckout, 1, true, Severity::kInfo);
    CHECK(notices_with(story, "update", "service:checkout stopped sending") == 1);
    story.until(10'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("recovery: evidence that is no symptom may fall silent", "[agent]") {
    Story story;
    until_escalated(story);
    story.anomaly(Symptom::kSaturation, kCheckout, 3, true, Severity::kInfo);
    story.end(Symptom::kSaturation, kCheckout, Ended::kSilent, Severity::kInfo);
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
    CHECK(notices_with(story, "update", "cannot be seen") == 0);
    story.until(70);
    CHECK(story.state() == "resolved");
}

TEST_CASE("recovery: an entity that is gone for good holds its incident, and that is told",
          "[agent]") {
    Story story;
    until_escalated(story);
    story.anomaly(Symptom::kAbsence, kCheckout, 1, true, Severity::kInfo);
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
    CHECK(notices_with(story, "update", "service:checkout stopped sending") == 1);
    story.end(Symptom::kAbsence, kCheckout, Ended::kSilent, Severity::kInfo);
    story.until(100'000);
    CHECK(story.state() == "escalated");
    CHECK(notices_with(story, "update", "service:checkout stopped sending") == 1);
    story.end(Symptom::kAbsence, kCheckout, Ended::kCalm, Severity::kInfo);
    story.until(100'060);
    CHECK(story.state() == "resolved");
}

TEST_CASE("recovery: a level that became normal is a person's to judge, told once", "[agent]") {
    Story story;
    until_escalated(story);
    story.until(1800);
    story.end(Symptom::kLatency, kCheckout, Ended::kAdapted);
    CHECK(timeline_has(story, "taken as the new normal, not recovery"));
    CHECK(notices_with(story, "update", "taken as the new normal") == 1);
    story.until(100'000);
    CHECK(story.state() == "escalated");
    CHECK_FALSE(story.incident().evidence[0].cleared_at);
    CHECK(notices_with(story, "update", "taken as the new normal") == 1);
    SECTION("a person resolves it") {
        story.decide(DecisionKind::kResolve);
        CHECK(story.state() == "resolved");
        CHECK(story.incident().postmortem.find("taken as the new normal") != std::string::npos);
    }
    SECTION("leaving the new normal wakes somebody") {
        const auto pages = story.notices("page").size();
        story.anomaly(Symptom::kLatency, kCheckout, 8);
        CHECK(story.notices("page").size() == pages + 1);
        story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
        story.until(100'060);
        CHECK(story.state() == "resolved");
    }
}

TEST_CASE("recovery: with only adapted symptoms left a waiting plan is withdrawn", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment(kCheckout, "1.5.0");
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.until(10);
    SECTION("before the inspection answered") {
        story.end(Symptom::kErrors, kCheckout, Ended::kAdapted);
        CHECK(story.state() == "escalated");
        story.answer_inspection();
        CHECK(story.state() == "escalated");
        CHECK_FALSE(story.incident().plan);
    }
    SECTION("while it waits for an approval") {
        story.answer_inspection();
        REQUIRE(story.state() == "awaiting_approval");
        story.end(Symptom::kErrors, kCheckout, Ended::kAdapted);
        CHECK(story.state() == "escalated");
        CHECK(story.incident().plan->steps[0].status == "withdrawn");
        story.approve(story.incident().plan->id.value);
        CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    }
    CHECK(notices_with(story, "update", "taken as the new normal") == 1);
    story.until(100'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("recovery: nothing acts on a symptom whose data stopped", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment(kCheckout, "1.5.0");
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.until(10);
    story.answer_inspection();
    REQUIRE(story.state() == "awaiting_approval");
    story.end(Symptom::kErrors, kCheckout, Ended::kSilent);
    CHECK(story.state() == "awaiting_approval");
    story.approve(story.incident().plan->id.value);
    CHECK(story.state() == "awaiting_approval");
    CHECK(story.audited("approval refused", "data_fresh"));
    CHECK(story.count_intents(ActionPhase::kExecute) == 0);
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.approve(story.incident().plan->id.value);
    CHECK(story.state() == "acting");
}

TEST_CASE("recovery: word that data stopped is not fresh data", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kApprove);
    policy.diagnose_after = std::chrono::seconds{121};
    story.tell(policy);
    story.deployment(kCheckout, "1.5.0");
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.anomaly(Symptom::kSaturation, kCheckout, 3, true, Severity::kInfo);
    story.until(120);
    story.end(Symptom::kSaturation, kCheckout, Ended::kSilent, Severity::kInfo);
    story.until(121);
    story.answer_inspection();
    CHECK(story.state() == "escalated");
    CHECK(story.notices("update").back().text.find("data_fresh") != std::string::npos);
}

TEST_CASE("recovery: an action is not verified by data that stopped", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(200);
    story.end(Symptom::kErrors, kCheckout, Ended::kSilent);
    story.until(429);
    CHECK(story.state() == "verifying");
    story.until(430);
    CHECK(story.state() == "escalated");
    CHECK(notices_with(story, "page", "could not be seen within 5m") == 1);
    story.until(10'000);
    CHECK(story.state() == "escalated");
    story.end(Symptom::kErrors, kCheckout, Ended::kCalm);
    story.until(10'060);
    CHECK(story.state() == "resolved");
    CHECK(timeline_has(story, "every symptom cleared by itself"));
}

TEST_CASE("recovery: data that is back and calm in time verifies an action", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(200);
    story.end(Symptom::kErrors, kCheckout, Ended::kSilent);
    story.until(300);
    story.end(Symptom::kErrors, kCheckout, Ended::kCalm);
    story.until(359);
    CHECK(story.state() == "verifying");
    story.until(360);
    CHECK(story.state() == "resolved");
    CHECK(timeline_has(story, "every symptom cleared after the action"));
}

TEST_CASE("recovery: an action is not verified by a level that became normal", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(200);
    story.end(Symptom::kErrors, kCheckout, Ended::kAdapted);
    story.until(429);
    CHECK(story.state() == "verifying");
    story.until(430);
    CHECK(story.state() == "escalated");
    CHECK(notices_with(story, "page", "did not help within 5m") == 1);
    story.until(10'000);
    CHECK(story.state() == "escalated");
}

TEST_CASE("recovery: a silence that ends shows what nobody can see the end of", "[agent]") {
    for (const auto ended : {Ended::kSilent, Ended::kAdapted}) {
        INFO(schemas::to_string(ended));
        Story story;
        until_escalated(story);
        schemas::Decision decision;
        decision.kind = DecisionKind::kSilence;
        decision.actor = "ann";
        decision.scope = kCheckout;
        decision.expires_at = story.at(1000);
        story.tell(decision);
        REQUIRE(story.state() == "suppressed");
        const auto pages = story.notices("page").size();
        story.end(Symptom::kLatency, kCheckout, ended);
        story.until(999);
        CHECK(story.state() == "suppressed");
        story.until(1020);
        CHECK(story.state() == "escalated");
        CHECK(story.notices("page").size() == pages + 1);
        CHECK(notices_with(story, "update",
                           ended == Ended::kSilent ? "cannot be seen" : "new normal") == 1);
        story.until(10'000);
        CHECK(story.state() == "escalated");
    }
}

TEST_CASE("recovery: evidence without an incident outlives its data", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.anomaly(Symptom::kSaturation, kCheckout, 3, true, Severity::kInfo);
    story.end(Symptom::kSaturation, kCheckout, Ended::kSilent, Severity::kInfo);
    CHECK(story.audited("signal dropped", "what is known of it stays"));
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    CHECK(story.incident().evidence.size() == 2);
    // What became normal is over.
    story.anomaly(Symptom::kSaturation, "service:cart", 3, true, Severity::kInfo);
    story.end(Symptom::kSaturation, "service:cart", Ended::kAdapted, Severity::kInfo);
    CHECK(story.audited("evidence ended", "service:cart"));
}

TEST_CASE("recovery: an incident full of silent symptoms pages when another one fires", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.anomaly(Symptom::kLatency, kCheckout, 8);
    std::vector<std::string> callers;
    for (int i = 0; i < 50; ++i) callers.push_back("service:s" + std::to_string(i));
    for (const auto& caller : callers) {
        story.edge(caller, kCheckout);
        for (int symptom = 0; symptom < 4; ++symptom) {
            story.anomaly(static_cast<Symptom>(symptom), caller, 8);
        }
    }
    story.until(5);  // What only evidence changed is told at most once a second.
    REQUIRE(story.incident_count() == 1);
    const auto evidence = story.incident().evidence;
    REQUIRE(evidence.size() == 200);
    for (const auto& seen : evidence) {
        auto over = anomaly_named(seen.key, seen.entity);
        over.ended = Ended::kSilent;
        story.tell(over);
    }
    REQUIRE(notices_with(story, "update", "cannot be seen") == 1);
    const auto pages = story.notices("page").size();
    story.alert("Down", kCheckout, true, Severity::kWarning);
    CHECK(story.notices("page").size() == pages + 1);
    story.alert("Slow", kCheckout, true, Severity::kWarning);  // A storm pages once.
    CHECK(story.notices("page").size() == pages + 1);
}

TEST_CASE("recovery: a flapping incident that falls silent is told of", "[agent]") {
    Story story;
    until_escalated(story);
    std::int64_t second = 10;
    for (int i = 0; i < 3; ++i) {
        story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
        story.until(second += 60);
        REQUIRE(story.state() == "resolved");
        story.anomaly(Symptom::kLatency, kCheckout, 8);
        story.until(second += 20);
    }
    REQUIRE(story.audits("incident reopened").size() == 3);
    story.end(Symptom::kLatency, kCheckout, Ended::kSilent);
    CHECK(notices_with(story, "update", "cannot be seen") == 1);
}
