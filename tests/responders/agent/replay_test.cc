#include <map>
#include <set>

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "core/rng.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionStatus;
using schemas::DecisionKind;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

namespace {

void whole_story(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.until(130);
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    story.answer(ActionStatus::kSucceeded);
    story.until(150);
    recovery(story);
    story.until(300);
    story.decide(DecisionKind::kVerdict, "right");
    story.until(2000);
}

// What helpers and people would do next: answer the newest intent, approve what waits.
void cooperate(Story& story, Rng& rng, std::size_t& answered) {
    const auto& intents = story.recorder.intents;
    if (answered < intents.size()) {
        answered = intents.size();
        if (intents.back().phase == schemas::ActionPhase::kInspect) {
            story.answer_inspection();
        } else if (rng.chance(300)) {
            story.answer(ActionStatus::kFailed, {{"applied", "no"}});
        } else {
            story.answer(ActionStatus::kSucceeded);
        }
        return;
    }
    for (std::size_t i = 0; i < story.incident_count(); ++i) {
        const auto& incident = story.incident(i);
        if (incident.state != schemas::IncidentState::kAwaitingApproval) continue;
        schemas::Decision decision;
        decision.kind = rng.chance(800) ? DecisionKind::kApprove : DecisionKind::kReject;
        decision.incident = incident.id;
        decision.plan = incident.plan->id;
        decision.actor = "ann";
        story.tell(decision);
        return;
    }
    if (rng.chance(300)) {
        story.deployment("service:checkout", std::to_string(story.recorder.bytes.size()));
        story.anomaly(Symptom::kErrors, "service:checkout", 14);
    }
}

// Anything may happen at any time: a story drawn from one seed.
void random_story(Story& story, std::uint64_t seed) {
    Rng rng(seed);
    auto policy = shop_policy(static_cast<Mode>(rng.below(4)));
    policy.open_incidents_max = 4;
    policy.outcomes_min = 2;
    story.tell(policy);
    const std::vector<std::string> entities{"service:checkout", "service:frontend", "host:pve1",
                                            "service:payment",  "host:h1",          ""};
    std::int64_t second = 0;
    std::size_t answered = 0;
    for (int i = 0; i < 150; ++i) {
        second += static_cast<std::int64_t>(rng.below(40));
        story.until(second);
        if (rng.chance(500)) {
            cooperate(story, rng, answered);
            continue;
        }
        const auto& entity = entities[rng.below(entities.size())];
        const bool firing = rng.chance(600);
        const auto severity = static_cast<Severity>(rng.below(3));
        switch (rng.below(8)) {
            case 0: story.alert("A", entity, firing, severity); break;
            case 1: story.alert("B", entity, firing, severity); break;
            case 2:
                if (firing) {
                    story.anomaly(static_cast<Symptom>(rng.below(7)), entity,
                                  static_cast<double>(rng.below(20)), true, severity);
                } else {
                    story.end(static_cast<Symptom>(rng.below(7)), entity,
                              static_cast<schemas::Ended>(rng.below(3)), severity);
                }
                break;
            case 3: story.deployment(entity, std::to_string(rng.below(5))); break;
            case 4: story.edge(entity, entities[rng.below(entities.size())]); break;
            case 5:
                if (story.incident_count() > 0) {
                    story.decide(static_cast<DecisionKind>(rng.below(8)),
                                 rng.chance(500) ? "right" : "approve");
                }
                break;
            case 6:
                if (!story.recorder.intents.empty()) {
                    story.answer(static_cast<ActionStatus>(rng.below(6)), {{"replicas", "3"}});
                }
                break;
            default: story.tell(schemas::Tick{}); break;
        }
    }
    story.until(second + 10'000);
}

void check_invariants(const Story& story) {
    std::map<std::string, int> executions;
    std::set<std::string> ids;
    for (const auto& intent : story.recorder.intents) {
        // No action id is ever used twice.
        CHECK(ids.insert(intent.id.value).second);
        CHECK(intent.target.value == "service:checkout");
        CHECK(intent.action == "kubernetes.rollback_deployment");
        if (intent.phase == schemas::ActionPhase::kExecute) ++executions[intent.plan.value];
    }
    std::set<std::string> notices;
    for (const auto& notice : story.notices()) CHECK(notices.insert(notice.id).second);
    for (const auto& event : story.recorder.incidents) {
        const auto& incident = event.incident;
        CHECK(incident.evidence.size() <= 200);
        for (std::size_t i = 1; i < incident.timeline.size(); ++i) {
            CHECK(incident.timeline[i - 1].at <= incident.timeline[i].at);
        }
        // Only calm is recovery, unless a person says otherwise.
        const bool by_itself = event.reason.starts_with("every symptom cleared");
        for (const auto& seen : incident.evidence) {
            CHECK((!by_itself || !seen.symptom || seen.cleared_at));
        }
        if (!incident.plan || incident.plan->steps[0].action_id.empty()) continue;
        // What ran was approved, by a person or by every check of the gate.
        CHECK_FALSE(incident.plan->approved_by.empty());
    }
}

}  // namespace

TEST_CASE("replay: the same signals give the same bytes", "[agent]") {
    Story first;
    Story second;
    whole_story(first);
    whole_story(second);
    CHECK(first.recorder.bytes == second.recorder.bytes);
    CHECK(first.recorder.rows == second.recorder.rows);
}

TEST_CASE("replay: a restart before every signal and timer changes nothing", "[agent]") {
    Story steady;
    Story restarting(true);
    whole_story(steady);
    whole_story(restarting);
    REQUIRE(steady.state() == "reviewed");
    CHECK(steady.recorder.bytes == restarting.recorder.bytes);
    CHECK(steady.recorder.rows == restarting.recorder.rows);
    CHECK(steady.recorder.timers == restarting.recorder.timers);
}

TEST_CASE("replay: random stories keep the promises and repeat byte for byte", "[agent]") {
    std::size_t executed = 0;
    std::size_t opened = 0;
    std::size_t resolved = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        Story steady;
        random_story(steady, seed);
        check_invariants(steady);
        executed += steady.count_intents(schemas::ActionPhase::kExecute);
        opened += steady.audits("incident opened").size();
        for (const auto& event : steady.recorder.incidents) {
            if (event.reason.starts_with("every symptom cleared")) ++resolved;
        }
        if (seed % 10 != 0) continue;
        Story restarting(true);
        random_story(restarting, seed);
        CHECK(steady.recorder.bytes == restarting.recorder.bytes);
    }
    // The stories are not empty ones.
    CHECK(executed > 5);
    CHECK(opened > 60);
    CHECK(resolved > 5);
}
