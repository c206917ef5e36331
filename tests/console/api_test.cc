#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "tests/console/fixture.h"
#include "tests/console/samples.h"

using namespace vigie;
using namespace vigie::console;
using namespace vigie::console::samples;
using schemas::Json;

namespace {

Json json_of(const http::Response& response) {
    CHECK(response.header("content-type") == "application/json");
    auto json = schemas::parse_json(response.body);
    INFO(response.body);
    REQUIRE(json.has_value());
    return *std::move(json);
}

std::string error_of(const http::Response& response) {
    return schemas::string_at(json_of(response), "/error").value_or("");
}

struct ThreeIncidents : Fixture {
    explicit ThreeIncidents(Api::Options options = {}) : Fixture(std::move(options)) {
        append({incident_message(awaiting_approval("inc-1")), incident_message(resolved("inc-2")),
                incident_message(hostile("inc-3"))});
        append({audit_message(1, "incident opened", "inc-1", "by anomaly-1"),
                audit_message(2, "plan gated", "plan-0a1b2c3d4e5f", "mode approve"),
                audit_message(3, "action intended", "act-00112233445566", "inc-1"),
                audit_message(4, "configuration loaded", "policy-1", "")});
        follow();
    }
};

}  // namespace

TEST_CASE("api: incidents are listed newest first, with cause and confidence in words",
          "[console]") {
    ThreeIncidents fixture;
    const Json answer = json_of(fixture.call("GET", "/api/v1/incidents"));
    CHECK(schemas::integer_at(answer, "/matching") == 3);
    CHECK(schemas::bool_at(answer, "/caught_up") == true);
    CHECK(schemas::string_at(answer, "/incidents/2/id") == "inc-3");
    const Json& first = answer["incidents"][1];
    CHECK(schemas::string_at(first, "/id") == "inc-1");
    CHECK(schemas::string_at(first, "/state") == "awaiting_approval");
    CHECK(schemas::string_at(first, "/severity") == "critical");
    CHECK(schemas::string_at(first, "/cause") == "bad change of service:checkout");
    CHECK(schemas::string_at(first, "/confidence") == "uncalibrated (n=7)");
    CHECK(schemas::string_at(first, "/opened_at") == "2026-11-21T10:30:28Z");
    CHECK(schemas::bool_at(first, "/awaiting_approval") == true);
}

TEST_CASE("api: the list is filtered by state and cut at the limit", "[console]") {
    ThreeIncidents fixture;
    const auto list = [&](Fixture::Headers query) {
        return json_of(fixture.call("GET", "/api/v1/incidents", "", {}, std::move(query)));
    };
    CHECK(list({{"state", "resolved"}})["incidents"].size() == 1);
    CHECK(list({{"state", "active"}})["incidents"].size() == 2);
    CHECK(list({{"state", "reviewed"}})["incidents"].empty());
    const Json cut = list({{"limit", "1"}});
    CHECK(cut["incidents"].size() == 1);
    CHECK(schemas::integer_at(cut, "/matching") == 3);
    for (const std::string limit : {"0", "1001", "-1", "x", "", "1x"}) {
        INFO(limit);
        CHECK(fixture.call("GET", "/api/v1/incidents", "", {}, {{"limit", limit}}).status == 400);
    }
    CHECK(fixture.call("GET", "/api/v1/incidents", "", {}, {{"limit", "1000"}}).status == 200);
    CHECK(fixture.call("GET", "/api/v1/incidents", "", {}, {{"state", "odd"}}).status == 400);
}

TEST_CASE("api: an incident is shown complete", "[console]") {
    ThreeIncidents fixture;
    const Json incident = json_of(fixture.call("GET", "/api/v1/incidents/inc-1"));
    CHECK(schemas::string_at(incident, "/id") == "inc-1");
    CHECK(schemas::string_at(incident, "/plan/id") == "plan-0a1b2c3d4e5f");
    CHECK(schemas::string_at(incident, "/plan/steps/0/diff/1") ==
          "- image: registry.example/checkout:1.5.0");
    CHECK(schemas::bool_at(incident, "/plan/gate/1/passed") == false);
    CHECK(schemas::string_at(incident, "/diagnosis/confidence/text") == "uncalibrated (n=7)");
    CHECK(schemas::number_at(incident, "/diagnosis/causes/0/share") == 0.78);
    CHECK(schemas::string_at(incident, "/evidence/2/text") == "Error ratio 31% on checkout-7f9c");
    CHECK(schemas::string_at(incident, "/timeline/0/at") == "2026-11-21T10:29:40Z");
    CHECK(schemas::bool_at(incident, "/awaiting_approval") == true);
}

TEST_CASE("api: what is not there is 404 with a reason in JSON", "[console]") {
    ThreeIncidents fixture;
    for (const std::string path : {"/api/v1/incidents/inc-9", "/api/v1/explain/nothing",
                                   "/api/v1/postmortems/inc-9", "/api/v1/postmortems/inc-1"}) {
        INFO(path);
        const auto answer = fixture.call("GET", path);
        CHECK(answer.status == 404);
        CHECK_FALSE(error_of(answer).empty());
    }
}

TEST_CASE("api: a post-mortem is Markdown", "[console]") {
    ThreeIncidents fixture;
    const auto answer = fixture.call("GET", "/api/v1/postmortems/inc-2");
    CHECK(answer.status == 200);
    CHECK(answer.header("content-type") == "text/markdown; charset=utf-8");
    CHECK(answer.body.starts_with("# checkout answers slowly"));
}

TEST_CASE("api: explain finds what was decided about an incident, a plan, an action, an event",
          "[console]") {
    Fixture fixture;
    fixture.append({incident_message(awaiting_approval("inc-1")),
                    audit_message(1, "incident opened", "inc-1", "by anomaly-1"),
                    audit_message(2, "plan gated", "plan-0a1b2c3d4e5f", "mode approve"),
                    audit_message(3, "action intended", "act-00112233445566", "of inc-1"),
                    audit_message(4, "configuration loaded", "policy-1", "")});
    fixture.follow();
    const auto sequences = [&](const std::string& id) {
        const Json answer = json_of(fixture.call("GET", "/api/v1/explain/" + id));
        std::vector<std::int64_t> found;
        for (const auto& entry : answer["entries"]) {
            found.push_back(*schemas::integer_at(entry, "/sequence"));
        }
        return found;
    };
    CHECK(sequences("inc-1") == std::vector<std::int64_t>{1, 2, 3});
    CHECK(sequences("plan-0a1b2c3d4e5f") == std::vector<std::int64_t>{1, 2});
    CHECK(sequences("act-00112233445566") == std::vector<std::int64_t>{1, 2, 3});
    CHECK(sequences("anomaly-1") == std::vector<std::int64_t>{1, 2});
    CHECK(sequences("policy-1") == std::vector<std::int64_t>{4});

    const Json answer = json_of(fixture.call("GET", "/api/v1/explain/anomaly-1"));
    CHECK(schemas::string_at(answer, "/entries/0/relation") == "direct");
    CHECK(schemas::string_at(answer, "/entries/1/relation") == "related");
    CHECK(schemas::string_at(answer, "/entries/0/time") == "2026-11-21T10:31:05Z");
    CHECK(schemas::string_at(answer, "/incidents/0/id") == "inc-1");
    CHECK(schemas::string_at(answer, "/timeline/0/text") ==
          "p95 latency of checkout left its band");
    CHECK(fixture.call("GET", "/api/v1/explain/inc").status == 404);
}

TEST_CASE("api: every answer forbids what the page does not need", "[console]") {
    ThreeIncidents fixture;
    for (const std::string path : {"/", "/app.js", "/style.css", "/api/v1/incidents",
                                   "/api/v1/incidents/inc-9", "/metrics", "/-/healthy"}) {
        INFO(path);
        const auto answer = fixture.call("GET", path);
        const auto policy = answer.header("content-security-policy");
        CHECK(policy.starts_with("default-src 'none'"));
        CHECK(policy.find("unsafe") == std::string_view::npos);
        CHECK(policy.find("frame-ancestors 'none'") != std::string_view::npos);
        CHECK(answer.header("x-content-type-options") == "nosniff");
    }
}

TEST_CASE("api: the page comes from the program itself and from nowhere else", "[console]") {
    Fixture fixture;
    const auto page = fixture.call("GET", "/");
    CHECK(page.header("content-type") == "text/html; charset=utf-8");
    CHECK(page.body.find("<!DOCTYPE html>") == 0);
    CHECK(fixture.call("GET", "/app.js").header("content-type") ==
          "text/javascript; charset=utf-8");
    CHECK(fixture.call("GET", "/style.css").header("content-type") == "text/css; charset=utf-8");
    for (const std::string path : {"/", "/app.js", "/style.css"}) {
        const auto body = fixture.call("GET", path).body;
        CHECK(body.find("https://") == std::string::npos);
        CHECK(body.find("innerHTML") == std::string::npos);
        CHECK(body.find(" style=") == std::string::npos);
        CHECK(body.find(" onclick=") == std::string::npos);
    }
}

TEST_CASE("api: healthy always, ready when the callback says so", "[console]") {
    Status status;
    Api::Options options;
    options.ready = [&] { return status; };
    Fixture fixture(options);
    CHECK(fixture.call("GET", "/-/healthy").status == 200);
    CHECK(fixture.call("GET", "/-/ready").status == 200);
    status = fail(ErrorKind::kUnavailable, "the agent is still reading its log");
    const auto answer = fixture.call("GET", "/-/ready");
    CHECK(answer.status == 503);
    CHECK(answer.body == "the agent is still reading its log");
    CHECK(fixture.call("GET", "/-/healthy").status == 200);
}

TEST_CASE("api: reload tells how it went, and needs the token", "[console]") {
    int reloads = 0;
    Api::Options options;
    options.token = "secret";
    options.reload = [&]() -> Status {
        if (++reloads == 1) return {};
        return fail(ErrorKind::kInvalid, "vigie.yaml:3:1: unknown option");
    };
    Fixture fixture(options);
    const Fixture::Headers token{{"authorization", "Bearer secret"}};
    CHECK(fixture.call("POST", "/-/reload").status == 401);
    CHECK(reloads == 0);
    CHECK(fixture.call("POST", "/-/reload", "", token).status == 200);
    const auto bad = fixture.call("POST", "/-/reload", "", token);
    CHECK(bad.status == 500);
    CHECK(error_of(bad) == "vigie.yaml:3:1: unknown option");
    Fixture none;
    CHECK(none.call("POST", "/-/reload").status == 404);
}

TEST_CASE("api: metrics are Prometheus text", "[console]") {
    ThreeIncidents fixture;
    const auto answer = fixture.call("GET", "/metrics");
    CHECK(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(answer.body.find("vigie_console_view_incidents 3\n") != std::string::npos);
}
