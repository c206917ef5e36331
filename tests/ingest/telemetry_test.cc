#include <algorithm>

#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "schemas/telemetry.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

const Headers kProtobuf{{"content-type", "application/x-protobuf"}};
const Headers kGzip{{"content-type", "application/x-protobuf"}, {"content-encoding", "gzip"}};
const Headers kRemoteWrite{{"content-type", "application/x-protobuf"},
                           {"content-encoding", "snappy"},
                           {"x-prometheus-remote-write-version", "0.1.0"}};

std::string metrics_at(std::int64_t nanos) {
    return R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
        "scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":")" +
           std::to_string(nanos) + R"(","asDouble":1}]}}]}]}]})";
}

std::int64_t nanos(EventTime time) {
    return micros_of(time) * 1000;
}

}  // namespace

TEST_CASE("otlp: each signal in each encoding is appended as it was received", "[ingest]") {
    struct Case {
        std::string path;
        std::string_view topic;
        std::string body;
        Headers headers;
    };
    const auto body = [](std::string_view encoding, std::string_view signal) {
        return payload("otlp_" + std::string(encoding) + "_" + std::string(signal));
    };
    for (const auto& [signal, topic] : std::vector<std::pair<std::string, std::string_view>>{
             {"metrics", topics::kMetrics}, {"logs", topics::kLogs}, {"traces", topics::kSpans}}) {
        for (const auto& [encoding, headers] : std::vector<std::pair<std::string, Headers>>{
                 {"proto", kProtobuf}, {"json", kJsonHeaders}, {"gzip", kGzip}}) {
            INFO(signal << " " << encoding);
            Fixture fixture;
            fixture.clock.set("2026-11-21T05:59:00Z");
            const auto answer = fixture.post("/v1/" + signal, body(encoding, signal), headers);
            CHECK(answer.status == 200);
            CHECK(answer.body == (encoding == "json" ? "{}" : ""));
            CHECK(answer.header("content-type") == headers[0].second);
            const auto records = fixture.on(topic);
            REQUIRE(records.size() == 1);
            const auto& message = records[0].message;
            CHECK(message.value == body(encoding, signal));
            CHECK(message.key == "service:checkout");
            CHECK(header_of(message, topics::kHeaderContentType) == headers[0].second);
            CHECK(header_of(message, topics::kHeaderContentEncoding) ==
                  (encoding == "gzip" ? "gzip" : ""));
            // The newest item's time: all payloads were sent in the minute before the clock.
            CHECK(message.event_time > at("2026-11-21T05:58:20Z"));
            CHECK(message.event_time < at("2026-11-21T05:59:00Z"));
            CHECK(fixture.metric(R"(vigie_ingest_accepted_items_total{source="otlp"})") > 0);
        }
    }
}

TEST_CASE("otlp: an empty request is accepted and nothing is appended", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.post("/v1/traces", "", kProtobuf).status == 200);
    CHECK(fixture.post("/v1/logs", "{}", kJsonHeaders).status == 200);
    CHECK(fixture.on(topics::kSpans).empty());
    CHECK(fixture.on(topics::kLogs).empty());
    CHECK(fixture.on(topics::kDeadLetter).empty());
}

TEST_CASE("otlp: bad bytes are answered in the request's encoding and kept", "[ingest]") {
    Fixture fixture;
    const auto protobuf = fixture.post("/v1/metrics", "\xff\xff\xff", kProtobuf);
    CHECK(protobuf.status == 400);
    CHECK(protobuf.header("content-type") == "application/x-protobuf");
    // google.rpc.Status: field 1 is INVALID_ARGUMENT, field 2 the message.
    REQUIRE(protobuf.body.size() > 4);
    CHECK(protobuf.body.substr(0, 3) == std::string("\x08\x03\x12"));
    CHECK(static_cast<std::size_t>(protobuf.body[3]) == protobuf.body.size() - 4);

    const auto json = fixture.post("/v1/metrics", "{", kJsonHeaders);
    CHECK(json.status == 400);
    const auto status = schemas::parse_json(json.body);
    REQUIRE(status.has_value());
    CHECK(schemas::integer_at(*status, "/code") == 3);
    CHECK_FALSE(schemas::string_at(*status, "/message")->empty());

    CHECK(fixture.post("/v1/metrics", "not gzip", kGzip).status == 400);
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 3);
    CHECK(letters[0].message.value == "\xff\xff\xff");
    CHECK(header_of(letters[2].message, topics::kHeaderContentEncoding) == "gzip");
    CHECK(fixture.on(topics::kMetrics).empty());
}

TEST_CASE("otlp: other content types and codings are 415", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.post("/v1/logs", "{}", {{"content-type", "text/plain"}}).status == 415);
    CHECK(fixture.post("/v1/logs", "{}", {}).status == 415);
    const auto zstd = fixture.post(
        "/v1/logs", "{}", {{"content-type", "application/json"}, {"content-encoding", "zstd"}});
    CHECK(zstd.status == 415);
    CHECK(zstd.header("accept-encoding") == "gzip");
    CHECK(fixture
              .post("/v1/logs", "{}",
                    {{"content-type", "application/json"}, {"content-encoding", "identity"}})
              .status == 200);
}

TEST_CASE("otlp: overload is 503 with Retry-After and the code UNAVAILABLE", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto json = fixture.post("/v1/logs", payload("otlp_json_logs"), kJsonHeaders);
    CHECK(json.status == 503);
    CHECK(json.header("retry-after") == "5");
    CHECK(schemas::integer_at(*schemas::parse_json(json.body), "/code") == 14);
    const auto protobuf = fixture.post("/v1/logs", payload("otlp_proto_logs"), kProtobuf);
    CHECK(protobuf.body.substr(0, 3) == std::string("\x08\x0e\x12"));
}

TEST_CASE("otlp: a body of several resources goes by its sender", "[ingest]") {
    Fixture fixture;
    fixture.post("/v1/metrics", R"({"resourceMetrics":[
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
         "scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1795240703700000000","asDouble":1}]}}]}]},
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"b"}}]},
         "scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1795240703700000000","asDouble":1}]}}]}]}]})",
                 kJsonHeaders);
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 1);
    CHECK(records[0].message.key == "192.0.2.7");
}

TEST_CASE("times: no sender moves event time past the clock", "[ingest]") {
    using std::chrono::seconds;
    Fixture fixture;
    const EventTime now = at("2026-11-21T05:39:30Z");
    const auto stamped = [&](EventTime newest) {
        fixture.post("/v1/metrics", metrics_at(nanos(newest)), kJsonHeaders);
        return fixture.on(topics::kMetrics).back().message.event_time;
    };
    const auto clamped = [&](std::string_view direction) {
        return fixture.metric(R"(vigie_ingest_clamped_times_total{direction=")" +
                              std::string(direction) + R"(",source="otlp"})");
    };
    CHECK(stamped(now - seconds{5}) == now - seconds{5});
    CHECK(stamped(now + seconds{600}) == now);
    CHECK(clamped("ahead") == 0);
    CHECK(stamped(now + seconds{601}) == now);
    CHECK(clamped("ahead") == 1);
    CHECK(stamped(now - seconds{86'400}) == now - seconds{86'400});
    CHECK(clamped("behind") == 0);
    CHECK(stamped(now - seconds{86'401}) == now);
    CHECK(clamped("behind") == 1);
}

TEST_CASE("remote write: what Prometheus sends is appended as it was received", "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post("/api/v1/write", payload("remote_write"), kRemoteWrite);
    CHECK(answer.status == 204);
    CHECK(answer.body.empty());
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 1);
    const auto& message = records[0].message;
    CHECK(message.value == payload("remote_write"));
    CHECK(message.key == "192.0.2.7");
    const auto decoded =
        schemas::decode_metrics(message.value, header_of(message, topics::kHeaderContentType),
                                header_of(message, topics::kHeaderContentEncoding), {});
    REQUIRE(decoded.has_value());
    EventTime newest{};
    std::size_t points = 0;
    for (const auto& series : *decoded) {
        for (const auto& point : series.points) newest = std::max(newest, point.at);
        points += series.points.size();
    }
    CHECK(message.event_time == newest);
    CHECK(fixture.metric(R"(vigie_ingest_accepted_items_total{source="remote_write"})") ==
          static_cast<double>(points));
}

TEST_CASE("remote write: damage is 400, which Prometheus does not send again", "[ingest]") {
    Fixture fixture;
    std::string cut = payload("remote_write");
    cut.resize(cut.size() / 2);
    CHECK(fixture.post("/api/v1/write", cut, kRemoteWrite).status == 400);
    CHECK(fixture.post("/api/v1/write", "", kRemoteWrite).status == 400);
    CHECK(fixture.post("/api/v1/write", "nonsense", kRemoteWrite).status == 400);
    CHECK(fixture.on(topics::kMetrics).empty());
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 3);
    CHECK(letters[0].message.value == cut);
    CHECK(letters[0].message.key == "remote_write");
}

TEST_CASE("remote write: another encoding or version 2.0 is 415", "[ingest]") {
    Fixture fixture;
    const auto post = [&](const Headers& headers) {
        return fixture.post("/api/v1/write", payload("remote_write"), headers).status;
    };
    CHECK(post({{"content-type", "application/json"}, {"content-encoding", "snappy"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf"}, {"content-encoding", "gzip"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
                {"content-encoding", "snappy"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf;proto=prometheus.WriteRequest"},
                {"content-encoding", "snappy"}}) == 204);
}

TEST_CASE("remote write: a full log is 503, which Prometheus sends again", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = fixture.post("/api/v1/write", payload("remote_write"), kRemoteWrite);
    CHECK(answer.status == 503);
    CHECK(answer.header("retry-after") == "5");
}

TEST_CASE("remote write: a request without samples is accepted", "[ingest]") {
    Fixture fixture;
    // The snappy block of nothing.
    const auto answer = fixture.post("/api/v1/write", std::string(1, '\0'), kRemoteWrite);
    CHECK(answer.status == 204);
    CHECK(fixture.on(topics::kMetrics).empty());
}
