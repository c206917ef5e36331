#include "console/alertmanager_api.h"

#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "tests/console/fixture.h"
#include "tests/console/samples.h"

using namespace vigie;
using namespace vigie::console;
namespace topics = schemas::topics;
using schemas::Json;

namespace {

// Alertmanager's API over a bus in memory; now is 2026-11-21T10:32:00Z.
struct Api2 {
    explicit Api2(AlertmanagerApi::Options options = {}, AlertView::Options view_options = {})
        : view(view_options, bus, clock, metrics, log),
          api(std::move(options), view, bus, clock, metrics, log) {
        const std::vector<streams::TopicOptions> all{{.name = std::string(topics::kAlerts)},
                                                     {.name = std::string(topics::kDecisions)}};
        REQUIRE(bus.ensure_topics(all).has_value());
        api.add_routes(router);
    }

    using Pairs = std::vector<std::pair<std::string, std::string>>;
    http::Response call(std::string method, std::string path, std::string body = {},
                        Pairs query = {}, Pairs headers = {{"content-type", "application/json"}}) {
        http::Request request;
        request.method = std::move(method);
        request.path = std::move(path);
        request.query = std::move(query);
        request.headers = std::move(headers);
        request.body = std::move(body);
        request.remote = "127.0.0.1:5000";
        const auto answer = std::make_shared<http::Response>(http::Response{0, {}, ""});
        router.dispatch(std::move(request),
                        [answer](http::Response response) { *answer = std::move(response); });
        if (stepping) (void)view.step(std::chrono::milliseconds{0});
        return *answer;
    }
    Json get(const std::string& path, Pairs query = {}) {
        const auto answer = call("GET", path, {}, std::move(query));
        INFO(answer.body);
        REQUIRE(answer.status == 200);
        return *schemas::parse_json(answer.body);
    }

    void alert(const std::string& name, const std::string& entity, bool firing = true,
               std::optional<EventTime> ends_at = std::nullopt) {
        schemas::Alert alert;
        alert.labels = {{"alertname", name}, {"job", "node"}};
        alert.fingerprint = "f-" + name + entity;
        alert.name = name;
        alert.entity = {entity};
        alert.firing = firing;
        alert.starts_at = samples::at("2026-11-21T10:30:00Z");
        alert.ends_at = ends_at;
        append(topics::kAlerts, std::move(alert));
    }
    void append(std::string_view topic, schemas::EventData data) {
        const auto now = to_event_time(clock.wall());
        const EventId id{"evt-" + std::to_string(++events)};
        REQUIRE(streams::append_and_wait(
                    bus, {{std::string(topic),
                           "default",
                           schemas::encode({{id, "/test", now, {"default"}}, std::move(data)}),
                           {},
                           now}})
                    .has_value());
    }
    std::string silence(const std::string& matchers, const std::string& id = {},
                        const std::string& ends = "2026-11-21T12:00:00Z",
                        const std::string& starts = "2026-11-21T10:00:00Z") {
        const auto answer = post_silence(matchers, id, ends, starts);
        INFO(answer.body);
        REQUIRE(answer.status == 200);
        return schemas::string_at(*schemas::parse_json(answer.body), "/silenceID").value();
    }
    http::Response post_silence(const std::string& matchers, const std::string& id = {},
                                const std::string& ends = "2026-11-21T12:00:00Z",
                                const std::string& starts = "2026-11-21T10:00:00Z") {
        return call("POST", "/api/v2/silences",
                    R"({"id":")" + id + R"(","matchers":)" + matchers + R"(,"startsAt":")" +
                        starts + R"(","endsAt":")" + ends +
                        R"(","createdBy":"ann","comment":"test"})");
    }

    FixedClock clock;
    streams::MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    AlertView view;
    AlertmanagerApi api;
    http::Router router;
    int events = 0;
    bool stepping = true;
};

const std::string kDown = R"([{"name":"alertname","value":"Down","isRegex":false}])";

std::string state(const Json& silence) {
    return schemas::string_at(silence, "/status/state").value();
}

}  // namespace

TEST_CASE("alerts API: an alert is there while it fires", "[console]") {
    Api2 api;
    CHECK(api.get("/api/v2/alerts").empty());
    api.alert("Down", "host:a", true, samples::at("2026-11-21T10:40:00Z"));
    api.alert("Old", "host:a", true, samples::at("2026-11-21T10:32:00Z"));
    const auto alerts = api.get("/api/v2/alerts");
    REQUIRE(alerts.size() == 1);
    const auto& alert = alerts[0];
    CHECK(schemas::string_at(alert, "/labels/alertname") == "Down");
    CHECK(schemas::string_at(alert, "/fingerprint") == "f-Downhost:a");
    CHECK(schemas::string_at(alert, "/startsAt") == "2026-11-21T10:30:00Z");
    CHECK(schemas::string_at(alert, "/endsAt") == "2026-11-21T10:40:00Z");
    CHECK(schemas::string_at(alert, "/updatedAt") == "2026-11-21T10:32:00Z");
    CHECK(schemas::string_at(alert, "/status/state") == "active");
    CHECK(schemas::string_at(alert, "/receivers/0/name") == "vigie");
    CHECK(schemas::find(alert, "/status/inhibitedBy")->is_array());

    api.alert("Down", "host:a", false);
    CHECK(api.get("/api/v2/alerts").empty());
}

TEST_CASE("alerts API: an alert without an end is promised a while", "[console]") {
    Api2 api;
    api.alert("Down", "host:a");
    CHECK(schemas::string_at(api.get("/api/v2/alerts"), "/0/endsAt") == "2026-11-21T10:37:00Z");
}

TEST_CASE("alerts API: filters choose by labels, receiver and state", "[console]") {
    Api2 api;
    api.alert("Down", "host:a");
    api.alert("Slow", "host:b");
    const auto count = [&](Api2::Pairs query) { return api.get("/api/v2/alerts", query).size(); };
    CHECK(count({{"filter", "alertname=\"Down\""}}) == 1);
    CHECK(count({{"filter", "alertname=~\"Down|Slow\""}}) == 2);
    CHECK(count({{"filter", "alertname!=\"Down\""}, {"filter", "job=node"}}) == 1);
    CHECK(count({{"filter", "vigie_entity=host:b"}}) == 1);
    CHECK(count({{"receiver", "vigi."}}) == 2);
    CHECK(count({{"receiver", "vig"}}) == 0);
    CHECK(count({{"inhibited", "false"}, {"unprocessed", "false"}}) == 2);
    CHECK(count({{"active", "false"}}) == 0);

    const auto id = api.silence(kDown);
    CHECK(count({{"active", "false"}}) == 1);
    CHECK(count({{"silenced", "false"}}) == 1);
    const auto alerts = api.get("/api/v2/alerts", {{"filter", "alertname=Down"}});
    CHECK(schemas::string_at(alerts, "/0/status/state") == "suppressed");
    CHECK(schemas::string_at(alerts, "/0/status/silencedBy/0") == id);

    for (const Api2::Pairs& wrong : {Api2::Pairs{{"filter", "x"}}, Api2::Pairs{{"receiver", "("}},
                                     Api2::Pairs{{"active", "maybe"}}}) {
        const auto answer = api.call("GET", "/api/v2/alerts", {}, wrong);
        CHECK(answer.status == 400);
        CHECK(schemas::parse_json(answer.body)->is_string());
        CHECK(api.call("GET", "/api/v2/alerts/groups", {}, wrong).status == 400);
    }
    CHECK(api.call("GET", "/api/v2/silences", {}, {{"filter", "x"}}).status == 400);
}

TEST_CASE("alerts API: groups, receivers and status", "[console]") {
    Api2 api;
    api.alert("Down", "host:a");
    api.alert("Down", "host:b");
    api.alert("Slow", "host:b");
    const auto groups = api.get("/api/v2/alerts/groups");
    REQUIRE(groups.size() == 2);
    CHECK(schemas::string_at(groups, "/0/labels/alertname") == "Down");
    CHECK(groups[0]["alerts"].size() == 2);
    CHECK(schemas::string_at(groups, "/0/receiver/name") == "vigie");
    CHECK(api.get("/api/v2/receivers") == *schemas::parse_json(R"([{"name":"vigie"}])"));
    const auto status = api.get("/api/v2/status");
    CHECK(schemas::string_at(status, "/cluster/status") == "disabled");
    CHECK(schemas::string_at(status, "/uptime") == "2026-11-21T10:32:00Z");
    CHECK(schemas::string_at(status, "/versionInfo/version") == "0.25.0+vigie");
    CHECK(schemas::string_at(status, "/config/original")->find("receiver: vigie") !=
          std::string::npos);
}

TEST_CASE("silences API: what is set is there at once, and is a decision", "[console]") {
    Api2 api;
    const auto id = api.silence(kDown);
    CHECK(id.size() == 36);
    const auto silence = api.get("/api/v2/silence/" + id);
    CHECK(schemas::string_at(silence, "/id") == id);
    CHECK(schemas::string_at(silence, "/createdBy") == "ann");
    CHECK(schemas::string_at(silence, "/comment") == "test");
    CHECK(schemas::string_at(silence, "/startsAt") == "2026-11-21T10:32:00Z");
    CHECK(schemas::string_at(silence, "/endsAt") == "2026-11-21T12:00:00Z");
    CHECK(schemas::string_at(silence, "/matchers/0/name") == "alertname");
    CHECK(schemas::bool_at(silence, "/matchers/0/isEqual") == true);
    CHECK(state(silence) == "active");
    const auto records = api.bus.records(topics::kDecisions);
    REQUIRE(records.size() == 1);
    const auto event = schemas::decode(records[0].message.value);
    REQUIRE(event.has_value());
    CHECK(std::get<schemas::Decision>(event->data).kind == schemas::DecisionKind::kSilence);
    CHECK(api.call("GET", "/api/v2/silence/none").status == 404);
}

TEST_CASE("silences API: one of the command line is there too", "[console]") {
    Api2 api;
    api.alert("Down", "service:checkout");
    schemas::Decision decision;
    decision.kind = schemas::DecisionKind::kSilence;
    decision.actor = "bob";
    decision.scope = "service:check*";
    decision.expires_at = samples::at("2026-11-21T11:00:00Z");
    api.append(topics::kDecisions, decision);
    const auto silences = api.get("/api/v2/silences");
    REQUIRE(silences.size() == 1);
    CHECK(schemas::string_at(silences, "/0/matchers/0/name") == "vigie_entity");
    CHECK(schemas::bool_at(silences, "/0/matchers/0/isRegex") == true);
    CHECK(schemas::string_at(api.get("/api/v2/alerts"), "/0/status/state") == "suppressed");
}

TEST_CASE("silences API: a later end changes it, other matchers make another one", "[console]") {
    Api2 api;
    const auto id = api.silence(kDown);
    CHECK(api.silence(kDown, id, "2026-11-21T13:00:00Z") == id);
    CHECK(schemas::string_at(api.get("/api/v2/silence/" + id), "/endsAt") ==
          "2026-11-21T13:00:00Z");
    const auto other = api.silence(R"([{"name":"job","value":"n.*","isRegex":true}])", id);
    CHECK(other != id);
    CHECK(state(api.get("/api/v2/silence/" + id)) == "expired");
    const auto all = api.get("/api/v2/silences");
    REQUIRE(all.size() == 2);
    CHECK(schemas::string_at(all, "/0/id") == other);
    CHECK(api.get("/api/v2/silences", {{"filter", "alertname=Down"}}).size() == 1);
}

TEST_CASE("silences API: one that is to come is pending", "[console]") {
    Api2 api;
    api.alert("Down", "host:a");
    const auto id = api.silence(kDown, {}, "2026-11-21T13:00:00Z", "2026-11-21T12:00:00Z");
    CHECK(state(api.get("/api/v2/silence/" + id)) == "pending");
    CHECK(schemas::string_at(api.get("/api/v2/alerts"), "/0/status/state") == "active");
}

TEST_CASE("silences API: ending one is 200, an unknown one 404, an ended one 500", "[console]") {
    Api2 api;
    const auto id = api.silence(kDown);
    CHECK(api.call("DELETE", "/api/v2/silence/none").status == 404);
    CHECK(api.call("DELETE", "/api/v2/silence/" + id).status == 200);
    CHECK(state(api.get("/api/v2/silence/" + id)) == "expired");
    const auto again = api.call("DELETE", "/api/v2/silence/" + id);
    CHECK(again.status == 500);
    CHECK(again.body.find("already expired") != std::string::npos);
}

TEST_CASE("silences API: bad ones are refused in words", "[console]") {
    Api2 api;
    const auto refused = [&](const http::Response& answer, std::string_view why) {
        INFO(answer.body);
        CHECK(answer.status == 400);
        CHECK(answer.body.find(why) != std::string::npos);
    };
    refused(api.post_silence("[]"), "matchers in body is required");
    refused(api.post_silence(R"([{"name":"a","value":"(","isRegex":true}])"), "regular expression");
    refused(api.post_silence(R"([{"name":"a b","value":"c"}])"), "bad matcher");
    refused(api.post_silence(R"([{"name":"a","value":".*","isRegex":true}])"), "empty string");
    refused(api.post_silence(R"([{"name":"a","value":"x","isEqual":false}])"), "empty string");
    refused(api.post_silence(kDown, {}, "2026-11-21T09:00:00Z"), "before end time");
    refused(api.post_silence(kDown, {}, "2026-11-21T10:31:00Z"), "in the past");
    refused(api.post_silence(kDown, {}, "soon"), "endsAt");
    refused(api.call("POST", "/api/v2/silences", "{"), "JSON");
    refused(api.call("POST", "/api/v2/silences", "[]"), "not an object");
    refused(api.call("POST", "/api/v2/silences", R"({"matchers":)" + kDown + "}"), "startsAt");
    CHECK(api.post_silence(kDown, "no-such-id").status == 404);
    CHECK(api.call("POST", "/api/v2/silences", "{}", {}, {{"content-type", "text/plain"}}).status ==
          415);
    CHECK(api.call("POST", "/api/v2/silences", std::string(600'000, ' ')).status == 413);
    CHECK(api.bus.records(topics::kDecisions).empty());
}

TEST_CASE("silences API: there are at most so many", "[console]") {
    Api2 api;
    std::string first;
    for (std::size_t i = 0; i < schemas::kSilencesMax; ++i) {
        const auto id =
            api.silence(R"([{"name":"alertname","value":"A)" + std::to_string(i) + "\"}]");
        if (first.empty()) first = id;
    }
    const auto refused = api.post_silence(kDown);
    CHECK(refused.status == 400);
    CHECK(refused.body.find("let some end") != std::string::npos);
    // To change one that is there does not need room.
    CHECK(api.silence(kDown, first) != first);
}

TEST_CASE("silences API: a token is needed when one is configured, Basic will do", "[console]") {
    AlertmanagerApi::Options options;
    options.token = "token";
    Api2 api(options);
    CHECK(api.post_silence(kDown).status == 401);
    CHECK(api.call("DELETE", "/api/v2/silence/x").status == 401);
    CHECK(api.call("GET", "/api/v2/silences").status == 200);
    for (const std::string authorization : {"Bearer token", "Basic YW5uOnRva2Vu"}) {
        CHECK(api.call("DELETE", "/api/v2/silence/x", {}, {}, {{"authorization", authorization}})
                  .status == 404);
    }
    CHECK(api.call("DELETE", "/api/v2/silence/x", {}, {},
                   {{"authorization", "Bearer token"}, {"origin", "http://evil.example"}})
              .status == 403);
}

TEST_CASE("alerts API: too many alerts are counted, too many questions get 503", "[console]") {
    AlertView::Options options;
    options.book.alerts_max = 2;
    options.questions_max = 1;
    Api2 api({}, options);
    for (const auto* name : {"A", "B", "C"}) api.alert(name, "host:a");
    CHECK(api.get("/api/v2/alerts").size() == 2);
    CHECK(api.metrics.expose().find("vigie_console_refused_alerts_total 1") != std::string::npos);
    api.stepping = false;
    CHECK(api.call("GET", "/api/v2/alerts").status == 0);
    const auto full = api.call("GET", "/api/v2/alerts");
    CHECK(full.status == 503);
    CHECK(full.header("retry-after") == "5");
    (void)api.view.step(std::chrono::milliseconds{0});
}

TEST_CASE("alerts API: the book is the same after a restart", "[console]") {
    Api2 api;
    api.alert("Down", "host:a");
    const auto id = api.silence(kDown);
    AlertView again({}, api.bus, api.clock, api.metrics, api.log);
    bool answered = false;
    REQUIRE(again
                .ask([&](const Result<const AlertBook*>& book, EventTime) {
                    REQUIRE(book.has_value());
                    CHECK((*book)->alerts().size() == 1);
                    CHECK((*book)->silences().contains(id));
                    answered = true;
                })
                .has_value());
    REQUIRE(again.step(std::chrono::milliseconds{0}).has_value());
    CHECK(answered);
}
