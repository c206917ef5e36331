// While Vigie does not run nobody sees that a symptom stays clear: that time counts for nothing.
#include <catch2/catch.hpp>

#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionStatus;
using schemas::Ended;
using schemas::Mode;
using schemas::Symptom;

namespace {

const std::string kCheckout = "service:checkout";

// Escalated at 10 s, clear at 100 s: over at 160 s.
void until_clear(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    story.anomaly(Symptom::kLatency, kCheckout, 8);
    story.until(100);
    REQUIRE(story.state() == "escalated");
    story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
}

// Back from a stop; the program loads its configuration first.
void up_at(Story& story, std::int64_t seconds) {
    story.down_until(seconds);
    story.tell(shop_policy(Mode::kApprove));
}

bool timeline_has(const Story& story, std::string_view part) {
    for (const auto& entry : story.incident().timeline) {
        if (entry.text.find(part) != std::string::npos) return true;
    }
    return false;
}

// A rollback succeeded at 112 s: its symptoms have until 412 s to clear, and then to stay so for
// 60 s.
void until_verifying(Story& story) {
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    story.approve(story.incident().plan->id.value);
    story.answer_inspection();
    story.answer(ActionStatus::kSucceeded);
    REQUIRE(story.state() == "verifying");
}

}  // namespace

TEST_CASE("down: a hold that ended while Vigie was down begins again", "[agent]") {
    for (const bool restarting : {false, true}) {
        Story story(restarting);
        until_clear(story);
        // Nine seconds before its end; the timer is due long before the next event.
        story.until(151);
        up_at(story, 1360);
        CHECK(story.state() == "escalated");
        CHECK(timeline_has(story, "Vigie did not watch from 2026-11-21T10:02:3"));
        story.until(1419);
        CHECK(story.state() == "escalated");
        story.until(1420);
        CHECK(story.state() == "resolved");
    }
}

TEST_CASE("down: a hold that Vigie was down in the middle of begins again", "[agent]") {
    Story story;
    until_clear(story);
    story.until(110);
    up_at(story, 126);
    story.until(185);
    CHECK(story.state() == "escalated");
    story.until(186);
    CHECK(story.state() == "resolved");
}

TEST_CASE("down: what came back meanwhile is no end and no new incident", "[agent]") {
    Story story;
    until_clear(story);
    story.until(155);
    story.down_until(400);
    story.anomaly(Symptom::kLatency, kCheckout, 8);
    story.until(700);
    CHECK(story.state() == "escalated");
    CHECK(story.incident_count() == 1);
    CHECK(story.notices("resolved").empty());
}

TEST_CASE("down: a restart of seconds costs a hold no more than seconds", "[agent]") {
    Story story;
    until_clear(story);
    story.until(156);
    up_at(story, 166);
    // Nobody knew at 160 s whether anything would come soon.
    CHECK(story.state() == "escalated");
    story.until(175);
    CHECK(story.state() == "resolved");
    CHECK_FALSE(timeline_has(story, "did not watch"));
}

TEST_CASE("down: any time without events is found, whatever its length", "[agent]") {
    for (std::int64_t seconds = 1; seconds <= 40; ++seconds) {
        Story story;
        until_clear(story);
        story.until(150);
        story.tell(schemas::Tick{});
        up_at(story, 150 + seconds);
        const bool counts = seconds >= 15;
        INFO(seconds);
        CHECK(timeline_has(story, "did not watch") == counts);
        CHECK(story.state() == "escalated");
        story.until(counts ? 150 + seconds + 59 : 159);
        CHECK(story.state() == "escalated");
        story.until(counts ? 150 + seconds + 60 : 150 + 30);
        CHECK(story.state() == "resolved");
    }
}

TEST_CASE("down: an action is not judged by time in which nobody looked", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(312);
    up_at(story, 1312);
    CHECK(story.state() == "verifying");
    CHECK(timeline_has(story, "to clear"));
    // Of its five minutes two hundred seconds had passed.
    story.until(1405);
    CHECK(story.state() == "verifying");
    story.until(1420);
    CHECK(story.state() == "escalated");
}

TEST_CASE("down: an action is verified by what is seen after a stop", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(150);
    recovery(story);
    up_at(story, 2000);
    CHECK(story.state() == "verifying");
    // Prometheus may take so long to say again that an alert fires.
    story.until(2179);
    CHECK(story.state() == "verifying");
    story.until(2185);
    CHECK(story.state() == "resolved");
}

TEST_CASE("down: a symptom that is back after a stop finds the action's time extended", "[agent]") {
    Story story;
    until_verifying(story);
    story.until(150);
    recovery(story);
    up_at(story, 2000);
    story.until(2050);
    story.alert("HighErrorRatio", "service:checkout");
    CHECK(story.state() == "verifying");
    story.until(2300);
    CHECK(story.state() == "escalated");
}

TEST_CASE("down: an answer that comes after a stop is still awaited", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment(kCheckout, "1.5.0");
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.until(11);
    REQUIRE(story.count_intents(schemas::ActionPhase::kInspect) == 1);
    up_at(story, 400);
    CHECK(story.state() == "diagnosing");
    story.until(410);
    // Old data permits nothing.
    story.anomaly(Symptom::kErrors, kCheckout, 8);
    story.answer_inspection();
    CHECK(story.state() == "awaiting_approval");

    Story silent;
    silent.tell(shop_policy(Mode::kApprove));
    silent.deployment(kCheckout, "1.5.0");
    silent.anomaly(Symptom::kErrors, kCheckout, 8);
    silent.until(11);
    up_at(silent, 400);
    silent.until(699);
    CHECK(silent.state() == "diagnosing");
    silent.until(720);
    CHECK(silent.state() == "escalated");
}

TEST_CASE("down: every open incident begins its hold again, a suppressed one too", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    for (const char* host : {"host:a", "host:b", "host:c"}) {
        story.anomaly(Symptom::kLatency, host, 8);
    }
    schemas::Decision silence;
    silence.kind = schemas::DecisionKind::kSilence;
    silence.actor = "ann";
    silence.scope = "host:c";
    silence.expires_at = story.at(100'000);
    story.tell(silence);
    story.until(100);
    for (const char* host : {"host:a", "host:b", "host:c"}) {
        story.end(Symptom::kLatency, host, Ended::kCalm);
    }
    REQUIRE(story.incident_count() == 3);
    up_at(story, 1000);
    story.until(1055);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(schemas::to_string(story.incident(i).state) != "resolved");
    }
    story.until(1075);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(schemas::to_string(story.incident(i).state) == "resolved");
    }
}

TEST_CASE("down: with the slowest ticks every hold still ends", "[agent]") {
    // The end of the hold at every place between two ticks, which come 2.003 s apart.
    for (std::int64_t offset = 0; offset < 12; ++offset) {
        Story story;
        story.tell(shop_policy(Mode::kApprove));
        story.anomaly(Symptom::kLatency, kCheckout, 8);
        story.until(100 + offset);
        story.end(Symptom::kLatency, kCheckout, Ended::kCalm);
        story.until(400);
        INFO(offset);
        CHECK(story.state() == "resolved");
    }
}

TEST_CASE("down: state from before this was known is taken as not watched", "[agent]") {
    Story story;
    until_clear(story);
    story.until(155);
    REQUIRE(story.recorder.rows.erase("watched") == 1);
    up_at(story, 165);
    CHECK(story.state() == "escalated");
    CHECK(timeline_has(story, "Vigie did not watch before"));
    story.until(225);
    CHECK(story.state() == "resolved");
}

TEST_CASE("down: a stop with nothing open says nothing", "[agent]") {
    Story story;
    until_clear(story);
    story.until(200);
    REQUIRE(story.state() == "resolved");
    const auto said = story.recorder.bytes.size();
    story.down_until(300);
    story.tell(schemas::Tick{});
    CHECK(story.recorder.bytes.size() == said);
}
