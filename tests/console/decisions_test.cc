#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "schemas/topics.h"
#include "tests/console/fixture.h"
#include "tests/console/samples.h"

using namespace vigie;
using namespace vigie::console;
using namespace vigie::console::samples;
using schemas::Decision;
using schemas::DecisionKind;

namespace {

struct WithPlan : Fixture {
    explicit WithPlan(Api::Options options = {}) : Fixture(std::move(options)) {
        append({incident_message(awaiting_approval("inc-1"))});
        follow();
    }

    Decision last() const {
        const auto event = schemas::decode(decisions().back().message.value);
        REQUIRE(event.has_value());
        CHECK(event->meta.source == "/console");
        CHECK(event->meta.time == at("2026-11-21T10:32:00Z"));
        return std::get<Decision>(event->data);
    }
};

const std::string kApprove =
    R"({"kind":"approve","incident":"inc-1","plan":"plan-0a1b2c3d4e5f","actor":"ada"})";

std::string error_of(const http::Response& response) {
    const auto json = schemas::parse_json(response.body);
    REQUIRE(json.has_value());
    return schemas::string_at(*json, "/error").value_or("");
}

}  // namespace

TEST_CASE("decisions: an approval is on the log before it is answered", "[console]") {
    WithPlan fixture;
    const auto answer = fixture.decide(kApprove);
    CHECK(answer.status == 202);
    REQUIRE(fixture.decisions().size() == 1);
    const auto event = schemas::decode(fixture.decisions()[0].message.value);
    CHECK(schemas::string_at(*schemas::parse_json(answer.body), "/id") == event->meta.id.value);
    CHECK(fixture.decisions()[0].message.key == "default");
    const Decision decision = fixture.last();
    CHECK(decision.kind == DecisionKind::kApprove);
    CHECK(decision.incident.value == "inc-1");
    CHECK(decision.plan.value == "plan-0a1b2c3d4e5f");
    CHECK(decision.actor == "ada");
}

TEST_CASE("decisions: each kind takes what it needs", "[console]") {
    WithPlan fixture;
    for (
        const std::string json :
        {R"({"kind":"ack","incident":"inc-1","actor":"ada"})",
         R"({"kind":"reject","incident":"inc-1","plan":"plan-0a1b2c3d4e5f","actor":"ada","reason":"not now"})",
         R"({"kind":"resolve","incident":"inc-1","actor":"ada"})",
         R"({"kind":"mode","actor":"ada","value":"approve","scope":"kubernetes.*"})",
         R"({"kind":"kill","actor":"ada","value":"on"})",
         R"({"kind":"silence","actor":"ada","scope":"service:cart","expires_at":"2026-11-21T11:00:00Z"})"}) {
        INFO(json);
        const auto answer = fixture.decide(json);
        INFO(answer.body);
        CHECK(answer.status == 202);
    }
    CHECK(fixture.decisions().size() == 6);
    CHECK(fixture.last().expires_at == at("2026-11-21T11:00:00Z"));
    for (const std::string scope : {"*", "service:*", "serv*"}) {
        INFO(scope);
        CHECK(fixture
                  .decide(R"({"kind":"silence","actor":"ada","scope":")" + scope +
                          R"(","expires_at":"2026-11-21T11:00:00Z"})")
                  .status == 202);
    }
    fixture.decide(R"({"kind":"mode","actor":"ada","value":"shadow"})");
    CHECK(fixture.last().scope == "*");
}

TEST_CASE("decisions: what is wrong is 400 with the reason, and nothing is recorded", "[console]") {
    WithPlan fixture;
    const std::vector<std::pair<std::string, std::string>> cases{
        {"{", "parse"},
        {"[]", "a JSON object"},
        {R"({"incident":"inc-1","actor":"ada"})", "'kind'"},
        {R"({"kind":"explode","actor":"ada"})", "'kind'"},
        {R"({"kind":"ack","incident":"inc-1"})", "'actor'"},
        {R"({"kind":"ack","incident":"inc-1","actor":"  "})", "'actor'"},
        {R"({"kind":"ack","incident":"inc-1","actor":5})", "'actor' is not a string"},
        {R"({"kind":"ack","incident":"inc-1","actor":"a\u0007"})", "control characters"},
        {R"({"kind":"ack","incident":"inc-1","actor":"ada\n## resolved"})", "control characters"},
        {R"({"kind":"ack","actor":"ada"})", "'incident' is missing"},
        {R"({"kind":"ack","incident":"inc-1","actor":"ada","plan":"plan-1"})", "no 'plan'"},
        {R"({"kind":"ack","incident":"inc-1","actor":"ada","value":"x"})", "no 'value'"},
        {R"({"kind":"approve","incident":"inc-1","actor":"ada"})", "'plan' is missing"},
        {R"({"kind":"verdict","incident":"inc-1","actor":"ada","value":"maybe"})",
         "right, wrong, false or known"},
        {R"({"kind":"mode","actor":"ada","value":"yolo"})", "shadow"},
        {R"({"kind":"mode","actor":"ada","value":"shadow","incident":"inc-1"})", "neither"},
        {R"({"kind":"kill","actor":"ada","value":"maybe"})", "on or off"},
        {R"({"kind":"silence","actor":"ada","scope":"x"})", "always ends"},
        {R"({"kind":"silence","actor":"ada","expires_at":"2026-11-21T11:00:00Z"})", "'scope'"},
        {R"({"kind":"silence","actor":"ada","scope":"x","expires_at":"2026-11-21T10:32:00Z"})",
         "always ends"},
        {R"({"kind":"silence","actor":"ada","scope":"x","expires_at":"soon"})", "RFC 3339"},
        {R"({"kind":"silence","actor":"ada","scope":"x","expires_at":"2026-11-21T11:00:00Z"})",
         "'scope' matches no entity"},
        {R"({"kind":"silence","actor":"ada","scope":":x","expires_at":"2026-11-21T11:00:00Z"})",
         "'scope' matches no entity"},
        {R"({"kind":"silence","actor":"ada","scope":"service:","expires_at":"2026-11-21T11:00:00Z"})",
         "'scope' matches no entity"},
        {R"({"kind":"kill","actor":"ada","value":"on","expires_at":"2026-11-21T11:00:00Z"})",
         "only a silence"},
        {R"({"kind":"kill","actor":"ada","value":"on","vlaue":"off"})", "'vlaue'"},
        {R"({"kind":"ack","incident":"inc-1","actor":")" + std::string(129, 'a') + "\"}",
         "longer"}};
    for (const auto& [json, reason] : cases) {
        const auto answer = fixture.decide(json);
        INFO(json << " " << answer.body);
        CHECK(answer.status == 400);
        if (reason != "parse") CHECK(error_of(answer).find(reason) != std::string::npos);
    }
    CHECK(fixture.decisions().empty());
}

TEST_CASE("decisions: an unknown incident is 404, but only once the view is complete",
          "[console]") {
    const std::string json = R"({"kind":"ack","incident":"inc-9","actor":"ada"})";
    WithPlan fixture;
    CHECK(fixture.decide(json).status == 404);
    Fixture starting;
    CHECK(starting.decide(json).status == 202);
}

TEST_CASE("decisions: a plan that is not the one shown now is 409", "[console]") {
    WithPlan fixture;
    const auto answer = fixture.decide(
        R"({"kind":"approve","incident":"inc-1","plan":"plan-ffffffffffff","actor":"ada"})");
    CHECK(answer.status == 409);
    CHECK(error_of(answer).find("read it again") != std::string::npos);
    CHECK(fixture.decisions().empty());
}

TEST_CASE("decisions: an incident that does not wait for an approval gets none", "[console]") {
    Fixture fixture;
    fixture.append({samples::incident_message(samples::resolved("inc-1"))});
    fixture.follow();
    for (const auto* kind : {"approve", "reject"}) {
        const auto answer =
            fixture.decide(std::string(R"({"kind":")") + kind +
                           R"(","incident":"inc-1","plan":"plan-0a1b2c3d4e5f","actor":"ada"})");
        CHECK(answer.status == 409);
        CHECK(error_of(answer).find("incident inc-1 is resolved") != std::string::npos);
    }
    CHECK(fixture.decisions().empty());
}

TEST_CASE("decisions: a verdict is of a resolved incident, and what is over stays so",
          "[console]") {
    const std::string verdict =
        R"({"kind":"verdict","incident":"inc-1","actor":"ada","value":"wrong"})";
    WithPlan open;
    const auto early = open.decide(verdict);
    CHECK(early.status == 409);
    CHECK(error_of(early).find("is awaiting_approval: a verdict is for") != std::string::npos);
    CHECK(open.decisions().empty());

    Fixture over;
    over.append({samples::incident_message(samples::resolved("inc-1"))});
    over.follow();
    for (const auto* kind : {"ack", "resolve"}) {
        CHECK(
            over.decide(std::string(R"({"kind":")") + kind + R"(","incident":"inc-1","actor":"a"})")
                .status == 409);
    }
    CHECK(over.decide(verdict).status == 202);
}

TEST_CASE("decisions: an offer that expired cannot be approved", "[console]") {
    Fixture fixture;
    auto incident = samples::awaiting_approval("inc-1");
    incident.plan->expires_at = samples::at("2026-11-21T10:31:59Z");
    fixture.append({samples::incident_message(incident)});
    fixture.follow();
    const auto answer = fixture.decide(kApprove);
    CHECK(answer.status == 409);
    CHECK(error_of(answer).find("expired at 2026-11-21T10:31:59Z") != std::string::npos);
    CHECK(fixture.decisions().empty());
}

TEST_CASE("decisions: the red button works before the log takes it", "[console]") {
    int stops = 0;
    Api::Options options;
    options.stop_actions = [&stops]() -> Status {
        ++stops;
        return {};
    };
    Fixture fixture(options);
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = fixture.decide(R"({"kind":"kill","value":"on","actor":"ada"})");
    CHECK(answer.status == 503);
    CHECK(error_of(answer).find("every action is stopped") != std::string::npos);
    CHECK(stops == 1);
    fixture.bus.set_faults({});
    CHECK(fixture.decide(R"({"kind":"kill","value":"off","actor":"ada"})").status == 202);
    CHECK(fixture.decide(R"({"kind":"kill","value":"perhaps","actor":"ada"})").status == 400);
    CHECK(stops == 1);
}

TEST_CASE("decisions: with a token only who has it decides", "[console]") {
    Api::Options options;
    options.token = "correct-horse";
    WithPlan fixture(options);
    const auto refused = fixture.decide(kApprove);
    CHECK(refused.status == 401);
    CHECK(refused.header("www-authenticate") == "Bearer");
    CHECK(fixture.decide(kApprove, {{"authorization", "Bearer correct-horsf"}}).status == 401);
    CHECK(fixture.decide(kApprove, {{"authorization", "Basic correct-horse"}}).status == 401);
    CHECK(fixture.decisions().empty());
    CHECK(fixture.decide(kApprove, {{"authorization", "Bearer correct-horse"}}).status == 202);
    for (const auto& line : fixture.log.lines()) {
        CHECK(line.find("correct-horse") == std::string::npos);
    }
}

TEST_CASE("decisions: a page of another site cannot decide", "[console]") {
    WithPlan fixture;
    const auto from = [&](std::string origin, std::string host) {
        return fixture.decide(kApprove, {{"origin", std::move(origin)}, {"host", std::move(host)}})
            .status;
    };
    CHECK(from("http://evil.example", "127.0.0.1:9099") == 403);
    CHECK(from("null", "127.0.0.1:9099") == 403);
    CHECK(from("http://127.0.0.1:9098", "127.0.0.1:9099") == 403);
    // A name could be a stranger's that points here.
    CHECK(from("http://evil.example:9099", "evil.example:9099") == 403);
    CHECK(from("http://12.evil.example:9099", "12.evil.example:9099") == 403);
    CHECK(fixture.decisions().empty());
    CHECK(from("http://127.0.0.1:9099", "127.0.0.1:9099") == 202);
    CHECK(from("http://[::1]:9099", "[::1]:9099") == 202);
    CHECK(from("http://localhost:9099", "localhost:9099") == 202);
}

TEST_CASE("decisions: with a token the console may be opened by any name", "[console]") {
    Api::Options options;
    options.token = "t";
    WithPlan fixture(options);
    CHECK(fixture
              .decide(kApprove, {{"authorization", "Bearer t"},
                                 {"origin", "https://vigie.example"},
                                 {"host", "vigie.example"}})
              .status == 202);
}

TEST_CASE("decisions: a form cannot decide, only JSON can", "[console]") {
    WithPlan fixture;
    CHECK(fixture.call("POST", "/api/v1/decisions", kApprove, {{"content-type", "text/plain"}})
              .status == 415);
    CHECK(fixture.call("POST", "/api/v1/decisions", kApprove).status == 415);
    CHECK(fixture.decide(kApprove + std::string(20'000, ' ')).status == 413);
    CHECK(fixture.decisions().empty());
}

TEST_CASE("decisions: what could not be recorded is 503, to be sent again", "[console]") {
    WithPlan fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = fixture.decide(kApprove);
    CHECK(answer.status == 503);
    CHECK(answer.header("retry-after") == "5");
    CHECK(fixture.decisions().empty());
}
