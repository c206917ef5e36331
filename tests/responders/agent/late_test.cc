// Detectors may be behind: what they tell of the past belongs to the incident of that time.
#include <algorithm>

#include <catch2/catch.hpp>

#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

namespace {

const std::string kCheckout = "service:checkout";
const std::string kFront = "service:front";

// An alert at 0 s that is over at 100 s: resolved by itself at 160 s.
void until_resolved(Story& story) {
    story.tell(shop_policy(Mode::kShadow));
    story.edge(kFront, kCheckout);
    story.alert("CheckoutDown", kCheckout);
    story.until(100);
    story.alert("CheckoutDown", kCheckout, false);
    story.until(160);
    REQUIRE(story.state() == "resolved");
}

// Latency of an entity, seen at this second and told now.
void tell_of(Story& story, std::int64_t seconds, const std::string& entity, bool firing = true) {
    schemas::Anomaly anomaly;
    anomaly.detector = "seasonal";
    anomaly.key = "latency of " + entity;
    anomaly.firing = firing;
    if (!firing) anomaly.ended = schemas::Ended::kCalm;
    anomaly.severity = Severity::kWarning;
    anomaly.entity = {entity};
    anomaly.symptom = Symptom::kLatency;
    anomaly.score = 8;
    anomaly.first_seen = story.at(seconds);
    anomaly.last_seen = story.at(seconds);
    story.tell_late(seconds, anomaly);
}

}  // namespace

TEST_CASE("late: an incident closed by an older version, which did not note where, is found too",
          "[agent]") {
    Story story;
    until_resolved(story);
    for (auto& [key, value] : story.recorder.rows) {
        if (key.starts_with("closed/")) value = GENERATE("", "elsewhere\n");
    }
    story.until(170);
    const bool elsewhere = std::ranges::any_of(
        story.recorder.rows, [](const auto& row) { return row.second == "elsewhere\n"; });
    tell_of(story, 50, kCheckout);
    CHECK(story.incident_count() == (elsewhere ? 2 : 1));
}

TEST_CASE("late: a symptom from before the end reopens the incident and makes no second one",
          "[agent]") {
    Story story;
    until_resolved(story);
    story.until(170);
    const std::string entity = GENERATE(kCheckout, kFront);
    // An alert may be slower than the anomaly that it is about.
    tell_of(story, GENERATE(50, -10), entity);
    REQUIRE(story.incident_count() == 1);
    CHECK(story.state() == "reopened");
    CHECK(story.incident().evidence.size() == 2);
    CHECK(story.audited("signal merged", "not yet resolved, and is told only now"));
    CHECK(story.notices("page").size() == 2);

    tell_of(story, 90, entity, false);
    story.until(1000);
    CHECK(story.incident_count() == 1);
    CHECK(story.state() == "resolved");
}

TEST_CASE("late: what is not of the incident's time and place opens another", "[agent]") {
    Story story;
    until_resolved(story);
    SECTION("it was seen after the end") {
        story.until(170);
        tell_of(story, 165, kCheckout);
    }
    SECTION("it was seen long before the incident") {
        story.until(170);
        tell_of(story, -5000, kCheckout);
    }
    SECTION("it is elsewhere") {
        story.until(170);
        tell_of(story, 50, "service:billing");
    }
    SECTION("the incident has settled") {
        story.until(5000);
        tell_of(story, 50, kCheckout);
    }
    CHECK(story.incident_count() == 2);
}
