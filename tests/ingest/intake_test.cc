#include <catch2/catch.hpp>

#include "core/redact.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

std::string one_alert(const std::string& name) {
    return R"([{"labels":{"alertname":")" + name + R"("}}])";
}

}  // namespace

TEST_CASE("intake: the sender is answered when the data is durable and not before", "[ingest]") {
    Fixture fixture({}, true);
    int status = 0;
    http::Request request;
    request.method = "POST";
    request.path = "/api/v2/alerts";
    request.headers = kJsonHeaders;
    request.body = one_alert("A");
    fixture.router.dispatch(std::move(request),
                            [&](const http::Response& response) { status = response.status; });
    CHECK(status == 0);
    CHECK(fixture.held.held() == 1);
    fixture.held.release();
    CHECK(status == 200);
    CHECK(fixture.on(topics::kAlerts).size() == 1);
}

TEST_CASE("intake: handlers and appends outlive the receivers", "[ingest]") {
    Fixture fixture({}, true);
    fixture.post("/api/v2/alerts", one_alert("A"), kJsonHeaders);
    fixture.receivers.reset();
    fixture.post("/api/v2/alerts", one_alert("B"), kJsonHeaders);
    fixture.held.release();
    CHECK(fixture.on(topics::kAlerts).size() == 2);
}

TEST_CASE("intake: too many bytes under way are refused until they are durable", "[ingest]") {
    Receivers::Options options;
    options.intake.in_flight_bytes_max = 100;
    options.intake.retry_after = std::chrono::seconds{7};
    Fixture fixture(options, true);
    const std::string body = one_alert(std::string(30, 'a'));
    REQUIRE(body.size() <= 100);
    REQUIRE(2 * body.size() > 100);

    CHECK(fixture.post("/api/v2/alerts", body, kJsonHeaders).status == 0);
    const auto refused = fixture.post("/api/v2/alerts", body, kJsonHeaders);
    CHECK(refused.status == 503);
    CHECK(refused.header("retry-after") == "7");
    CHECK(fixture.metric("vigie_ingest_in_flight_bytes") == static_cast<double>(body.size()));
    CHECK(fixture.metric(R"(vigie_ingest_refused_requests_total{reason="overloaded",)"
                         R"(source="alertmanager"})") == 1);

    fixture.held.release();
    CHECK(fixture.metric("vigie_ingest_in_flight_bytes") == 0);
    CHECK(fixture.post("/api/v2/alerts", body, kJsonHeaders).status == 0);
    CHECK(fixture.held.held() == 1);
}

TEST_CASE("intake: a full log is answered 503 and nothing is kept elsewhere", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = fixture.post("/api/v2/alerts", one_alert("A"), kJsonHeaders);
    CHECK(answer.status == 503);
    CHECK(answer.header("retry-after") == "5");
    fixture.bus.set_faults({});
    CHECK(fixture.on(topics::kDeadLetter).empty());
    CHECK(fixture.post("/api/v2/alerts", one_alert("A"), kJsonHeaders).status == 200);
}

TEST_CASE("intake: a log that does not answer is 503 too: the sender sends again", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.append_lost_after = 1000});
    CHECK(fixture.post("/api/v2/alerts", payload("alerts_error_rate"), kJsonHeaders).status == 503);
    fixture.bus.set_faults({});
    CHECK(fixture.post("/api/v2/alerts", payload("alerts_error_rate"), kJsonHeaders).status == 200);
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    CHECK(events[0].meta.id == events[1].meta.id);
}

TEST_CASE("intake: the answer to bad input does not need the dead-letter topic", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    CHECK(fixture.post("/api/v2/alerts", "{", kJsonHeaders).status == 400);
    CHECK(fixture.metric(R"(vigie_ingest_dead_letters_lost_total{source="alertmanager"})") == 1);
    CHECK(fixture.log.lines().size() == 2);
}

TEST_CASE("intake: a body above the limit is refused, one at the limit is not", "[ingest]") {
    Receivers::Options options;
    const std::string body = one_alert("A");
    options.intake.body_bytes_max = body.size();
    Fixture fixture(options);
    CHECK(fixture.post("/api/v2/alerts", body, kJsonHeaders).status == 200);
    CHECK(fixture.post("/api/v2/alerts", body + " ", kJsonHeaders).status == 413);
}

TEST_CASE("intake: a long dead letter is cut and says so", "[ingest]") {
    Receivers::Options options;
    options.intake.dead_letter_bytes_max = 10;
    Fixture fixture(options);
    fixture.post("/api/v2/alerts", "0123456789", kJsonHeaders);
    fixture.post("/api/v2/alerts", "0123456789x", kJsonHeaders);
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 2);
    CHECK(letters[0].message.value == "0123456789");
    CHECK(header_of(letters[0].message, "cut-from-bytes").empty());
    CHECK(letters[1].message.value == "0123456789");
    CHECK(header_of(letters[1].message, "cut-from-bytes") == "11");
}

TEST_CASE("intake: the reason of a refusal is one line", "[ingest]") {
    Fixture fixture;
    fixture.post("/v1/logs", "x", {{"content-type", "text/\tplain"}});
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 1);
    const auto reason = header_of(letters[0].message, topics::kHeaderReason);
    CHECK(reason.find('\t') == std::string::npos);
    CHECK(reason.find("text/ plain") != std::string::npos);
}

TEST_CASE("intake: only http and https become links", "[ingest]") {
    CHECK(link_or_nothing("https://example.org/a?b=c") == "https://example.org/a?b=c");
    CHECK(link_or_nothing("http://example.org") == "http://example.org");
    CHECK(link_or_nothing("javascript:alert(1)").empty());
    CHECK(link_or_nothing("https://example.org/a b").empty());
    CHECK(link_or_nothing("").empty());
}

TEST_CASE("intake: a peer's address has no port", "[ingest]") {
    CHECK(peer_address("127.0.0.1:51234") == "127.0.0.1");
    CHECK(peer_address("[::1]:51234") == "[::1]");
    CHECK(peer_address("unix") == "unix");
}
