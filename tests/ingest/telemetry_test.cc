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
    const auto brotli = fixture.post(
        "/v1/logs", "{}", {{"content-type", "application/json"}, {"content-encoding", "br"}});
    CHECK(brotli.status == 415);
    CHECK(brotli.header("accept-encoding") == "gzip, zstd");
    CHECK(fixture
              .post("/v1/logs", "{}",
                    {{"content-type", "application/json"}, {"content-encoding", "identity"}})
              .status == 200);
}

TEST_CASE("otlp: zstd is taken as it came, damaged or too large it is 400 or 413", "[ingest]") {
    Fixture fixture;
    const Headers zstd{{"content-type", "application/json"}, {"content-encoding", "zstd"}};
    // {"resourceMetrics":[]} in a raw block of a frame whose size is given.
    const std::string text = R"({"resourceMetrics":[]})";
    std::string frame("\x28\xb5\x2f\xfd\x20", 5);
    frame += static_cast<char>(text.size());
    frame += static_cast<char>(text.size() << 3U | 1U);
    frame += std::string(2, '\0') + text;
    CHECK(fixture.post("/v1/metrics", frame, zstd).status == 200);
    CHECK(fixture.post("/v1/metrics", frame.substr(0, 12), zstd).status == 400);
    CHECK(fixture.post("/v1/metrics", text, zstd).status == 400);
    // One block that says 128 KiB times one byte, 600 times: 1.8 KB that would be 75 MB.
    std::string bomb("\x28\xb5\x2f\xfd\x00\x58", 6);
    for (int i = 0; i < 600; ++i) bomb += std::string("\x02\x00\x10\x20", 4);
    CHECK(fixture.post("/v1/metrics", bomb, zstd).status == 413);
}

TEST_CASE("otlp: points that are wrong are told of in a partial success, the others are taken",
          "[ingest]") {
    Fixture fixture;
    const std::string body = R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1795240770000000000","asInt":1}]}},
        {"name":"h","histogram":{"dataPoints":[{"bucketCounts":[1],"explicitBounds":[1]}]}}]}]}]})";
    const auto json = fixture.post("/v1/metrics", body, kJsonHeaders);
    CHECK(json.status == 200);
    const auto partial = schemas::parse_json(json.body);
    REQUIRE(partial.has_value());
    CHECK(schemas::string_at(*partial, "/partialSuccess/rejectedDataPoints") == "1");
    CHECK(schemas::string_at(*partial, "/partialSuccess/errorMessage")->find("1 buckets for 1") !=
          std::string::npos);
    CHECK(fixture.on(topics::kMetrics).size() == 1);
    CHECK(fixture.metric(R"(vigie_ingest_refused_items_total{source="otlp"})") == 1);

    // ResourceMetrics { ScopeMetrics { Metric { m, gauge { point } }, Metric { no name } } }
    const std::string point("\x0a\x09\x19\x00\x00\x00\x00\x00\x00\x00\x00", 11);
    const std::string named =
        std::string("\x0a\x01m\x2a", 4) + static_cast<char>(point.size()) + point;
    const std::string metrics = std::string("\x12") + static_cast<char>(named.size()) + named +
                                std::string("\x12\x02\x2a\x00", 4);
    const std::string scope = std::string("\x12") + static_cast<char>(metrics.size()) + metrics;
    const auto protobuf = fixture.post(
        "/v1/metrics", std::string("\x0a") + static_cast<char>(scope.size()) + scope, kProtobuf);
    CHECK(protobuf.status == 200);
    // partial_success = 1 { rejected_data_points = 1: 1, error_message = 2 }
    REQUIRE(protobuf.body.size() > 6);
    CHECK(protobuf.body.substr(0, 1) == "\x0a");
    CHECK(protobuf.body.substr(2, 3) == "\x08\x01\x12");
    CHECK(protobuf.body.find("a metric without a name") != std::string::npos);
}

TEST_CASE("otlp: what Proxmox VE sends is taken", "[ingest]") {
    Fixture fixture;
    fixture.clock.set("2026-11-21T05:59:00Z");
    // Its connection test.
    const Headers headers{{"content-type", "application/json"}};
    const std::string empty = R"({"resourceMetrics":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"proxmox"}}]},"scopeMetrics":[
        {"scope":{"name":"proxmox.metrics","version":"1.0"},"metrics":[]}]}]})";
    CHECK(fixture.post("/v1/metrics", empty, headers).status == 200);
    CHECK(fixture.on(topics::kMetrics).empty());
    // Integers are JSON numbers, sums are cumulative and have no start.
    const std::string sum = R"({"resourceMetrics":[{"resource":{"attributes":[
        {"key":"proxmox.node","value":{"stringValue":"pve1"}},
        {"key":"vmid","value":{"intValue":101}}]},"scopeMetrics":[{"metrics":[
        {"name":"proxmox_vm_netin_bytes_total","unit":"By","sum":{"isMonotonic":true,
         "aggregationTemporality":2,"dataPoints":[
         {"timeUnixNano":1795240700000000000,"asInt":4711}]}}]}]}]})";
    CHECK(fixture.post("/v1/metrics", sum, headers).status == 200);
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 1);
    CHECK(records[0].message.key == "vm:pve1/101");
    const auto decoded =
        schemas::decode_metrics(records[0].message.value, "application/json", "", {});
    REQUIRE(decoded.has_value());
    CHECK(decoded->at(0).kind == schemas::MetricKind::kCounter);
    CHECK(decoded->at(0).points.at(0).value == 4711);
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

TEST_CASE("remote write: another encoding or message is 415", "[ingest]") {
    Fixture fixture;
    const auto post = [&](const Headers& headers) {
        return fixture.post("/api/v1/write", payload("remote_write"), headers).status;
    };
    CHECK(post({{"content-type", "application/json"}, {"content-encoding", "snappy"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf"}, {"content-encoding", "gzip"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
                {"content-encoding", "snappy"}}) == 415);
    CHECK(post({{"content-type", "application/x-protobuf;proto=prometheus.WriteRequest"},
                {"content-encoding", "snappy"}}) == 204);
}

TEST_CASE("remote write: the answer says how much was written", "[ingest]") {
    Fixture fixture;
    const auto written = [&](const http::Response& answer, const char* what) {
        return answer.header("x-prometheus-remote-write-" + std::string(what) + "-written");
    };
    const auto one = fixture.post("/api/v1/write", payload("remote_write"), kRemoteWrite);
    CHECK(one.status == 204);
    CHECK(std::stoi(std::string(written(one, "samples"))) > 100);
    CHECK(written(one, "histograms") == "0");

    // Version 2.0 in a snappy block of one literal: symbols "", "__name__", "up", "job", "a";
    // a series that is good, one without a name.
    const std::string body(
        "\x22\x00\x22\x08__name__\x22\x02up\x22\x03job\x22\x01"
        "a"
        "\x2a\x11\x0a\x02\x01\x02\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01"
        "\x2a\x11\x0a\x02\x03\x04\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01",
        24 + 19 + 19);
    std::string block;
    block += static_cast<char>(body.size());
    block += "\xf0";
    block += static_cast<char>(body.size() - 1);
    block += body;
    const auto two = fixture.post(
        "/api/v1/write", block,
        {{"content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
         {"content-encoding", "snappy"},
         {"x-prometheus-remote-write-version", "2.0.0"}});
    CHECK(two.status == 400);
    INFO(two.body);
    CHECK(two.body.find("no label __name__") != std::string::npos);
    CHECK(written(two, "samples") == "1");
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 2);
    CHECK(header_of(records[1].message, topics::kHeaderContentType) ==
          schemas::kContentRemoteWrite2);
    CHECK(fixture.metric(R"(vigie_ingest_refused_items_total{source="remote_write"})") == 1);
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
