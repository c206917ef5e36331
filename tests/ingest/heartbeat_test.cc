#include <catch2/catch.hpp>

#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using namespace std::chrono_literals;

namespace {

http::Response send(Fixture& fixture, const std::string& method, const std::string& name,
                    std::vector<std::pair<std::string, std::string>> query = {},
                    std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Request request;
    request.method = method;
    request.path = "/heartbeat/" + name;
    request.query = std::move(query);
    request.headers = std::move(headers);
    http::Response answer{0, {}, ""};
    fixture.router.dispatch(std::move(request),
                            [&answer](http::Response response) { answer = std::move(response); });
    return answer;
}

std::vector<schemas::Heartbeat> beats(const Fixture& fixture) {
    std::vector<schemas::Heartbeat> all;
    for (const auto& event : fixture.events_on(topics::kHeartbeats)) {
        all.push_back(std::get<schemas::Heartbeat>(event.data));
    }
    return all;
}

}  // namespace

TEST_CASE("heartbeat: a request of any method is a beat", "[ingest]") {
    Fixture fixture;
    CHECK(send(fixture, "GET", "backup").status == 200);
    CHECK(send(fixture, "POST", "backup",
               {{"every", "1d"}, {"grace", "1h"}, {"entity", "host:nas"}, {"severity", "warning"}})
              .status == 200);
    CHECK(send(fixture, "DELETE", "backup").status == 200);
    const auto all = beats(fixture);
    REQUIRE(all.size() == 3);
    CHECK(all[0].every == 300s);
    CHECK_FALSE(all[0].ended);
    CHECK(all[1].every == 24h);
    CHECK(all[1].grace == 1h);
    CHECK(all[1].entity.value == "host:nas");
    CHECK(all[1].severity == schemas::Severity::kWarning);
    CHECK(all[2].ended);
}

TEST_CASE("heartbeat: bad names and times are refused, a token is asked for", "[ingest]") {
    Receivers::Options options;
    options.heartbeats.token = "t";
    Fixture fixture(options);
    const std::vector<std::pair<std::string, std::string>> token{{"token", "t"}};
    CHECK(send(fixture, "GET", "backup").status == 401);
    CHECK(send(fixture, "GET", "backup", {{"token", "x"}}).status == 401);
    CHECK(send(fixture, "GET", "backup", token).status == 200);
    CHECK(send(fixture, "GET", "backup", {}, {{"authorization", "Bearer t"}}).status == 200);
    CHECK(send(fixture, "GET", "a b", token).status == 400);
    CHECK(send(fixture, "GET", std::string(101, 'a'), token).status == 400);
    for (const auto* every : {"soon", "0s", "99999d", "-5m"}) {
        CHECK(send(fixture, "GET", "x", {{"token", "t"}, {"every", every}}).status == 400);
    }
    CHECK(send(fixture, "GET", "x", {{"token", "t"}, {"severity", "bad"}}).status == 400);
    CHECK(beats(fixture).size() == 2);
}

TEST_CASE("heartbeat: what is expected is declared at the start", "[ingest]") {
    Receivers::Options options;
    schemas::Heartbeat expected;
    expected.name = "backup";
    expected.every = 24h;
    options.heartbeats.expected = {expected};
    Fixture fixture(options);
    const auto messages = fixture.receivers->expected_heartbeats();
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].value.find(R"("declared":true)") != std::string::npos);
    // A beat of that name has its terms.
    send(fixture, "GET", "backup");
    CHECK(beats(fixture)[0].every == 24h);
    CHECK_FALSE(beats(fixture)[0].declared);
}

TEST_CASE("heartbeat: the Watchdog is one, and opens nothing", "[ingest]") {
    Fixture fixture;
    const std::string watchdog =
        R"([{"labels":{"alertname":"Watchdog","severity":"critical"},
            "startsAt":"2026-11-21T05:00:00Z","endsAt":"2026-11-21T05:43:30Z"}])";
    CHECK(fixture.post("/api/v2/alerts", watchdog, kJsonHeaders).status == 200);
    const auto all = beats(fixture);
    REQUIRE(all.size() == 1);
    CHECK(all[0].every == 4min);
    CHECK(all[0].name.starts_with("Watchdog-"));
    const auto alert = std::get<schemas::Alert>(fixture.events_on(topics::kAlerts)[0].data);
    CHECK(alert.severity == schemas::Severity::kInfo);

    const std::string notification =
        R"({"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Watchdog"},
            "startsAt":"2026-11-21T05:00:00Z"}]})";
    CHECK(fixture.post("/webhooks/alertmanager", notification, kJsonHeaders).status == 200);
    REQUIRE(beats(fixture).size() == 2);
    CHECK(beats(fixture)[1].every == 10min);
}
