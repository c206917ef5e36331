#include <catch2/catch.hpp>

#include "tests/console/fixture.h"
#include "tests/console/samples.h"

using namespace vigie;
using namespace vigie::console;
using namespace vigie::console::samples;

namespace {

schemas::Incident changed_at(schemas::Incident incident, std::string_view time) {
    incident.updated_at = at(time);
    return incident;
}

}  // namespace

TEST_CASE("views: empty topics are an empty view that has caught up", "[console]") {
    Fixture fixture;
    CHECK_FALSE(fixture.views.view()->caught_up);
    fixture.follow();
    CHECK(fixture.views.view()->caught_up);
    CHECK(fixture.views.view()->incidents.empty());
}

TEST_CASE("views: the last record of an incident is what is shown", "[console]") {
    Fixture fixture;
    fixture.append(
        {incident_message(awaiting_approval("inc-1")), incident_message(resolved("inc-1"))});
    fixture.follow();
    const auto view = fixture.views.view();
    REQUIRE(view->incidents.size() == 1);
    CHECK(view->find("inc-1")->state == schemas::IncidentState::kResolved);
    CHECK(view->find("inc-2") == nullptr);
}

TEST_CASE("views: a published view does not change", "[console]") {
    Fixture fixture;
    fixture.append({incident_message(awaiting_approval("inc-1"))});
    fixture.follow();
    const auto before = fixture.views.view();
    fixture.append({incident_message(resolved("inc-1"))});
    fixture.follow();
    CHECK(before->find("inc-1")->state == schemas::IncidentState::kAwaitingApproval);
    CHECK(fixture.views.view()->find("inc-1")->state == schemas::IncidentState::kResolved);
}

TEST_CASE("views: after a restart the view is the same", "[console]") {
    Fixture fixture;
    for (int i = 0; i < 25; ++i) {
        fixture.append({incident_message(awaiting_approval("inc-" + std::to_string(i))),
                        audit_message(i, "incident opened", "inc-" + std::to_string(i), "")});
    }
    fixture.follow();
    Views again({}, fixture.bus, fixture.metrics, fixture.log);
    fixture.follow(again);
    CHECK(again.view()->caught_up);
    CHECK(again.view()->incidents.size() == 25);
    CHECK(again.view()->audit.size() == 25);
    for (const auto& [id, incident] : fixture.views.view()->incidents) {
        REQUIRE(again.view()->find(id) != nullptr);
        CHECK(schemas::encode_incident(*incident) ==
              schemas::encode_incident(*again.view()->find(id)));
    }
}

TEST_CASE("views: what is no incident is counted and passed over, ticks are not counted",
          "[console]") {
    Fixture fixture;
    auto nonsense = incident_message(awaiting_approval("inc-1"));
    nonsense.value = "nonsense";
    auto misplaced = audit_message(1, "a", "b", "c");
    misplaced.topic = "vigie.incidents";
    auto tick = nonsense;
    tick.headers = {{"kind", "tick"}};
    fixture.append({nonsense, misplaced, tick, incident_message(awaiting_approval("inc-2"))});
    fixture.follow();
    CHECK(fixture.views.view()->incidents.size() == 1);
    CHECK(fixture.metrics.expose().find(
              "vigie_console_unreadable_records_total{topic=\"vigie.incidents\"} 2") !=
          std::string::npos);
}

TEST_CASE("views: when full the resolved one that changed longest ago is forgotten", "[console]") {
    Fixture fixture({}, {.incidents_max = 2});
    fixture.append(
        {incident_message(changed_at(awaiting_approval("inc-open"), "2026-11-21T08:00:00Z")),
         incident_message(changed_at(resolved("inc-old"), "2026-11-21T09:00:00Z"))});
    fixture.follow();
    CHECK(fixture.views.view()->incidents.size() == 2);
    fixture.append({incident_message(changed_at(resolved("inc-new"), "2026-11-21T10:00:00Z"))});
    fixture.follow();
    const auto view = fixture.views.view();
    CHECK(view->incidents.size() == 2);
    CHECK(view->find("inc-old") == nullptr);
    CHECK(view->find("inc-open") != nullptr);
    CHECK(view->find("inc-new") != nullptr);
}

TEST_CASE("views: when all are open the one that changed longest ago is forgotten", "[console]") {
    Fixture fixture({}, {.incidents_max = 1, .audit_max = 2});
    fixture.append(
        {incident_message(changed_at(awaiting_approval("inc-1"), "2026-11-21T08:00:00Z")),
         incident_message(changed_at(awaiting_approval("inc-2"), "2026-11-21T07:00:00Z")),
         audit_message(1, "a", "x", ""), audit_message(2, "b", "x", ""),
         audit_message(3, "c", "x", "")});
    fixture.follow();
    CHECK(fixture.views.view()->find("inc-1") != nullptr);
    CHECK(fixture.views.view()->find("inc-2") == nullptr);
    REQUIRE(fixture.views.view()->audit.size() == 2);
    CHECK(fixture.views.view()->audit.front()->audit.sequence == 2);
}

TEST_CASE("views: a read that fails loses nothing of what was read before it", "[console]") {
    streams::MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    Views views({}, bus, metrics, log);
    const streams::PollLimits limits{.records_max = 10, .wait_max = std::chrono::milliseconds{0}};
    CHECK_FALSE(views.step(limits).has_value());
    const std::vector<streams::TopicOptions> topics{{.name = "vigie.incidents"},
                                                    {.name = "vigie.audit"}};
    REQUIRE(bus.ensure_topics(topics).has_value());
    REQUIRE(
        streams::append_and_wait(bus, {incident_message(awaiting_approval("inc-1"))}).has_value());
    REQUIRE(views.step(limits).has_value());
    CHECK(views.view()->incidents.size() == 1);
}

TEST_CASE("views: changes are told once each, and not while catching up", "[console]") {
    Fixture fixture;
    std::vector<std::string> told;
    fixture.views.on_change([&](std::span<const IncidentPtr> changed) {
        for (const auto& incident : changed) {
            // What is told is already published.
            CHECK(fixture.views.view()->find(incident->id.value) == incident);
            told.push_back(incident->id.value);
        }
    });
    fixture.append({incident_message(awaiting_approval("inc-1"))});
    fixture.follow();
    CHECK(told.empty());
    fixture.append({incident_message(awaiting_approval("inc-2")),
                    incident_message(resolved("inc-2")), incident_message(resolved("inc-1"))});
    fixture.follow();
    CHECK(told == std::vector<std::string>{"inc-1", "inc-2"});
}

TEST_CASE("stream: a client is greeted, hears of changes, and is let go when it is gone",
          "[console]") {
    Fixture fixture;
    fixture.append({incident_message(awaiting_approval("inc-1"))});
    fixture.follow();
    const auto client = std::make_shared<RecordedSocket>();
    fixture.api.websocket_handler()(client);
    REQUIRE(client->received.size() == 1);
    CHECK(client->received[0] == R"({"hello":{"caught_up":true,"incidents":1}})");
    fixture.append({incident_message(resolved("inc-1"))});
    fixture.follow();
    REQUIRE(client->received.size() == 2);
    CHECK(client->received[1].starts_with(R"({"incident":{"active":false)"));
    CHECK(client->received[1].find(R"("id":"inc-1")") != std::string::npos);

    CHECK(client.use_count() == 2);
    client->open = false;
    fixture.api.beat();
    CHECK(client.use_count() == 1);
}

TEST_CASE("stream: clients above the limit are told and let go, and room is made of the dead",
          "[console]") {
    Fixture fixture;
    StreamHub hub(fixture.views, fixture.metrics, 1);
    const auto first = std::make_shared<RecordedSocket>();
    const auto second = std::make_shared<RecordedSocket>();
    hub.add(first);
    hub.add(second);
    CHECK(second.use_count() == 1);
    REQUIRE(second->received.size() == 1);
    CHECK(second->received[0].find("too many") != std::string::npos);
    first->open = false;
    hub.add(second);
    CHECK(second.use_count() == 2);
    CHECK(second->received.back().find("hello") != std::string::npos);
}
