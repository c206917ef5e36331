#include <catch2/catch.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "schemas/silences.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent;
using namespace vigie::agent::test;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

namespace {

std::size_t rows_below(const Story& story, std::string_view prefix) {
    return static_cast<std::size_t>(
        std::count_if(story.recorder.rows.begin(), story.recorder.rows.end(),
                      [prefix](const auto& row) { return row.first.starts_with(prefix); }));
}

}  // namespace

TEST_CASE("agent: evidence and timeline of an incident are bounded, the rest counted", "[agent]") {
    Story story;
    for (std::size_t i = 0; i < 2 * kEvidenceMax; ++i) {
        story.alert(fmt::format("Alert{}", i), "service:checkout");
    }
    // Told of one by one while they are few, then together.
    CHECK(story.recorder.incidents.size() < 30);
    story.until(1);
    CHECK(story.incident_count() == 1);
    CHECK(story.incident().evidence.size() == kEvidenceMax);
    CHECK(story.incident().evidence_dropped == static_cast<std::int64_t>(kEvidenceMax));
    CHECK(story.incident().timeline.size() <= kTimelineMax);
    CHECK(rows_below(story, "symptom/") == kEvidenceMax);
    CHECK(story.notices("page").size() == 1);
    CHECK(story.incident().timeline.front().kind == "opened");
}

TEST_CASE("agent: evidence that cleared makes room for new symptoms", "[agent]") {
    Story story;
    for (std::size_t i = 0; i < kEvidenceMax; ++i) {
        story.alert(fmt::format("Alert{}", i), "service:checkout");
    }
    story.alert("Alert0", "service:checkout", false);
    story.alert("New", "service:checkout");
    story.until(1);
    CHECK(story.incident().evidence.size() == kEvidenceMax);
    CHECK(story.incident().evidence.back().key == "New-service:checkout");
    CHECK(rows_below(story, "symptom/") == kEvidenceMax);
}

TEST_CASE("agent: beyond the open incidents allowed one incident takes the rest", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kShadow);
    policy.open_incidents_max = 3;
    story.tell(policy);
    for (int i = 0; i < 10; ++i) story.alert("Down", fmt::format("host:h{}", i));
    CHECK(story.incident_count() == 4);
    CHECK(story.incident(3).title == "More than 3 open incidents");
    CHECK(story.incident(3).evidence.size() == 7);
    CHECK(story.notices("page").size() == 4);
    for (int i = 3; i < 10; ++i) story.alert("Down", fmt::format("host:h{}", i), false);
    story.until(100);
    CHECK(schemas::to_string(story.incident(3).state) == "resolved");
    // A later flood makes another one.
    story.alert("Other", "host:x1");
    CHECK(story.incident_count() == 5);
}

TEST_CASE("agent: changes, loose evidence and edges that are remembered are bounded", "[agent]") {
    Story story;
    for (std::size_t i = 0; i < kChangesMax + 50; ++i) {
        story.deployment(fmt::format("service:s{}", i), fmt::format("v{}", i));
    }
    CHECK(rows_below(story, "change/") == kChangesMax);
    for (std::size_t i = 0; i < kLooseMax + 50; ++i) {
        story.anomaly(Symptom::kLatency, fmt::format("service:s{}", i), 2, true, Severity::kInfo);
    }
    CHECK(rows_below(story, "loose/") == kLooseMax);
    story.until(4000);
    story.deployment("service:last", "v");
    story.anomaly(Symptom::kLatency, "service:last", 2, true, Severity::kInfo);
    CHECK(rows_below(story, "change/") == 1);
    CHECK(rows_below(story, "loose/") == 1);
}

TEST_CASE("agent: learned edges are bounded", "[agent]") {
    Recorder recorder;
    recorder.rows["count/edges"] = std::to_string(kEdgesMax);
    Agent agent;
    schemas::Change change;
    change.kind = schemas::ChangeKind::kTopology;
    change.entity = {"service:a"};
    change.peer = {"service:b"};
    REQUIRE(agent.on_event({{{"e1"}, "/test", EventTime{}, {"default"}}, change}, EventTime{},
                           recorder));
    // Besides it, when the agent was last told something.
    CHECK(recorder.rows.size() == 2);
    REQUIRE(recorder.audits.size() == 1);
    CHECK(recorder.audits[0].detail.find("too many edges") != std::string::npos);
}

TEST_CASE("agent: nothing of an incident stays behind but itself once it settled", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.until(130);
    recovery(story);
    story.until(130 + 60 + 600);
    CHECK(story.state() == "resolved");
    for (const auto* prefix : {"symptom/", "at/", "shared/", "open/", "loose/"}) {
        INFO(prefix);
        CHECK(rows_below(story, prefix) == 0);
    }
    CHECK(rows_below(story, "incident/") == 1);
    CHECK(rows_below(story, "closed/") == 1);
    CHECK(story.recorder.timers.empty());
}

TEST_CASE("agent: resolved incidents kept for a verdict are bounded", "[agent][slow]") {
    Story story;
    const auto many = static_cast<int>(kClosedMax) + 5;
    for (int i = 0; i < many; ++i) {
        story.alert("Down", fmt::format("host:h{}", i));
        story.decide(schemas::DecisionKind::kResolve);
    }
    CHECK(rows_below(story, "incident/") == static_cast<std::size_t>(kClosedMax));
    CHECK(rows_below(story, "work/") == static_cast<std::size_t>(kClosedMax));
    CHECK(rows_below(story, "symptom/") == static_cast<std::size_t>(kClosedMax));
}

TEST_CASE("agent: silences and modes are bounded", "[agent]") {
    using schemas::kSilencesMax;
    Story story;
    schemas::Decision silence;
    silence.kind = schemas::DecisionKind::kSilence;
    silence.actor = "ann";
    silence.expires_at = story.at(1000);
    for (std::size_t i = 0; i <= kSilencesMax; ++i) {
        silence.scope = fmt::format("host:h{}", i);
        story.tell(silence);
    }
    CHECK(rows_below(story, "silence/") == kSilencesMax);
    CHECK(story.audits("silence refused").size() == 1);
    for (std::size_t i = 0; i <= kModesMax; ++i) {
        story.mode("suggest", fmt::format("host:h{}", i));
    }
    CHECK(rows_below(story, "mode/") == kModesMax);
    CHECK(story.audits("mode refused").size() == 1);
    story.until(1000);
    CHECK(rows_below(story, "silence/") == 0);
}
