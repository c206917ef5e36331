#include "ingest/requests.h"

#include <catch2/catch.hpp>

#include "ingest/ticker.h"
#include "schemas/json.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using namespace std::chrono_literals;
using schemas::Json;

namespace {

const std::string kLine = R"({"service":"shop","message":"x"})";

http::Response send(Fixture& fixture, std::string body = kLine, const std::string& own_id = {}) {
    auto headers = kJsonHeaders;
    if (!own_id.empty()) headers.emplace_back("x-request-id", own_id);
    return fixture.post("/api/v1/logs", std::move(body), headers);
}

Json explain(Fixture& fixture, std::string_view id, int status = 200) {
    const auto answer = fixture.get("/api/v1/ingest/requests/" + std::string(id));
    INFO(answer.body);
    CHECK(answer.status == status);
    auto json = schemas::parse_json(answer.body);
    REQUIRE(json.has_value());
    return *std::move(json);
}

std::vector<streams::Offset> find_by_looking(const Fixture& fixture, std::string_view id) {
    std::vector<streams::Offset> found;
    for (const auto& record : fixture.on(topics::kLogs)) {
        if (header_of(record.message, kHeaderRequestId) == id) found.push_back(record.offset);
    }
    REQUIRE(found.size() == 1);
    return found;
}

}  // namespace

TEST_CASE("requests: every answer names its request, and what became of it is told", "[ingest]") {
    Fixture fixture;
    send(fixture);
    const std::string id(send(fixture, kLine + "\n" + kLine).header("x-request-id"));
    send(fixture);
    REQUIRE(id.size() == 28);
    const auto json = explain(fixture, id);
    CHECK(json["outcome"] == "accepted");
    CHECK(json["source"] == "json_lines");
    CHECK(json["sender"] == "json_lines");
    CHECK(json["peer"] == "192.0.2.7:51234");
    CHECK(json["path"] == "/api/v1/logs");
    CHECK(json["at"] == "2026-11-21T05:39:30Z");
    CHECK(json["status"] == 204);
    CHECK(json["items"] == 2);
    CHECK(json["refused_items"] == 0);
    REQUIRE(json["records"].size() == 1);
    CHECK(json["records"][0]["topic"] == "vigie.logs");
    CHECK(json["records"][0]["partition"] == 0);
    CHECK(json["records"][0]["offset"] == 1);
}

TEST_CASE("requests: a refusal tells its reason and where its body is kept", "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post("/v1/logs", "{", kJsonHeaders);
    CHECK(answer.status == 400);
    const auto json = explain(fixture, answer.header("x-request-id"));
    CHECK(json["outcome"] == "body");
    CHECK(json["status"] == 400);
    CHECK_FALSE(json["reason"].get<std::string>().empty());
    REQUIRE(json["records"].size() == 1);
    CHECK(json["records"][0]["topic"] == "vigie.deadletter");
}

TEST_CASE("requests: what was left out of a request is told", "[ingest]") {
    Fixture fixture;
    const auto answer =
        fixture.post("/v1/logs",
                     R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},
            {"traceId":"xyz"},{"body":{"stringValue":"b"}}]}]}]})",
                     kJsonHeaders);
    CHECK(answer.status == 200);
    CHECK(answer.body.find(R"("rejectedLogRecords":"1")") != std::string::npos);
    const auto json = explain(fixture, answer.header("x-request-id"));
    CHECK(json["items"] == 2);
    CHECK(json["refused_items"] == 1);
    CHECK(json["reason"].get<std::string>().find("logRecords/1/traceId") != std::string::npos);
}

TEST_CASE("requests: the sender's own id finds it too, when it is plain", "[ingest]") {
    Fixture fixture;
    send(fixture, kLine, "order-17");
    const std::string newer(send(fixture, kLine, "order-17").header("x-request-id"));
    CHECK(explain(fixture, "order-17")["id"] == newer);
    send(fixture, kLine, "a b");
    CHECK(explain(fixture, newer)["client_id"] == "order-17");
    CHECK(explain(fixture, "nothing", 404)["error"].get<std::string>().starts_with(
        "nothing is known of request 'nothing'"));
}

TEST_CASE("requests: memory is bounded, and what was forgotten is found on the log", "[ingest]") {
    Receivers::Options options;
    options.intake.requests_remembered = 2;
    Fixture fixture(options);
    std::vector<std::string> ids;
    for (int i = 0; i < 300; ++i) {
        fixture.clock.advance(7ms);
        ids.emplace_back(send(fixture).header("x-request-id"));
    }
    CHECK(std::ranges::is_sorted(ids));
    for (const std::size_t i : {0U, 1U, 63U, 64U, 65U, 150U, 297U, 298U, 299U}) {
        INFO(i);
        const auto json = explain(fixture, ids[i]);
        CHECK(json["outcome"] == "accepted");
        CHECK(json.contains("source") == (i >= 298));
        REQUIRE(json["records"].size() == 1);
        CHECK(json["records"][0]["offset"] == i);
    }
    const std::string refused(send(fixture, "[").header("x-request-id"));
    send(fixture);
    send(fixture);
    const auto json = explain(fixture, refused);
    CHECK(json["outcome"] == "refused");
}

TEST_CASE("requests: records far apart are found among ticks, which have no id", "[ingest]") {
    Receivers::Options options;
    options.intake.requests_remembered = 1;
    Fixture fixture(options);
    streams::Offset end = 0;
    const auto ticks = [&](std::size_t count) {
        const streams::Message tick{std::string(topics::kLogs), "tick", "", {}, {}};
        REQUIRE(streams::append_and_wait(fixture.bus, std::vector(count, tick)));
        end += static_cast<streams::Offset>(count);
    };
    std::vector<std::pair<std::string, streams::Offset>> sent;
    for (const std::size_t before : {500U, 0U, 65U, 1100U, 3U, 500U, 2500U}) {
        ticks(before);
        fixture.clock.advance(1s);
        sent.emplace_back(send(fixture).header("x-request-id"), end++);
    }
    ticks(500);
    fixture.clock.advance(1s);
    send(fixture);  // Only this one is in memory.
    for (const auto& [id, offset] : sent) {
        INFO(offset);
        const auto json = explain(fixture, id);
        REQUIRE(json.contains("records"));
        REQUIRE(json["records"].size() == 1);
        CHECK(json["records"][0]["offset"] == offset);
    }
    // An id that sorts between two that are there.
    auto other = sent[3].first;
    other.back() = other.back() == 'f' ? 'e' : 'f';
    explain(fixture, other, 404);
}

TEST_CASE("requests: ticks say where to look, so that few of them are looked at", "[ingest]") {
    Fixture fixture;
    Ticker ticker({.topics = {std::string(topics::kLogs)}}, fixture.bus, fixture.clock,
                  fixture.metrics);
    const auto ticks = [&](int count) {
        for (int i = 0; i < count; ++i) {
            fixture.clock.advance(1s);
            REQUIRE(ticker.tick());
        }
    };
    std::vector<std::string> ids;
    for (const int before : {3000, 1, 200, 3000, 59}) {
        ticks(before);
        ids.emplace_back(send(fixture).header("x-request-id"));
    }
    ticks(3000);
    HeldBus bus(fixture.bus);
    const streams::Partition partition{std::string(topics::kLogs), 0};
    for (const auto& id : ids) {
        INFO(id);
        CHECK(find_request(bus, partition, id).value() == find_by_looking(fixture, id));
    }
    CHECK(find_request(bus, partition, "req-000000000000-0000-000000").value().empty());
    CHECK(bus.scanned() < 6 * 600);
}

TEST_CASE("requests: overload and every receiver's answer carry an id", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = send(fixture);
    CHECK(answer.status == 503);
    CHECK(explain(fixture, answer.header("x-request-id"))["outcome"] == "overloaded");
    for (const auto* path :
         {"/v1/metrics", "/v1/traces", "/api/v1/write", "/api/v2/alerts", "/webhooks/alertmanager",
          "/webhooks/grafana", "/webhooks/pagerduty", "/webhooks/github", "/webhooks/gitlab",
          "/webhooks/jenkins", "/webhooks/argocd", "/cloudevents", "/loki/api/v1/push",
          "/heartbeat/nightly"}) {
        INFO(path);
        CHECK(fixture.post(path, "{}", kJsonHeaders).header("x-request-id").size() == 28);
    }
    CHECK(fixture.call("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "")
              .header("x-request-id")
              .size() == 28);
}
