// Values that nobody should send and somebody does, at every receiver of telemetry: each is taken,
// or refused with its place, and never harms the rest.
#include <catch2/catch.hpp>

#include <limits>

#include "schemas/telemetry.h"
#include "schemas/topics.h"
#include "schemas/write_request.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
using schemas::Labels;

const Headers kRemoteWrite{{"content-type", "application/x-protobuf"},
                           {"content-encoding", "snappy"}};
constexpr std::int64_t kNow = 1'795'239'540;  // 2026-11-21T05:39:00Z

Labels many_labels(std::size_t count) {
    Labels labels;
    for (std::size_t i = 0; i < count; ++i) {
        labels.emplace_back("l" + std::to_string(i), "v");
    }
    return labels;
}

std::string json_attributes(std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) {
        out += (i == 0 ? "" : ",");
        out += R"({"key":"l)" + std::to_string(i) + R"(","value":{"stringValue":"v"}})";
    }
    return out;
}

std::string json_fields(std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += ",\"l" + std::to_string(i) + "\":\"v\"";
    return out;
}

std::string otlp_log(const std::string& fields) {
    return R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[)" + fields + "]}]}]}";
}
std::string otlp_span(const std::string& fields) {
    return R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + fields + "]}]}]}";
}
std::string otlp_points(const std::string& points) {
    return R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[)" +
           points + "]}}]}]}]}";
}
std::string nanos(std::int64_t seconds) {
    return "\"" + std::to_string(seconds) + "000000000\"";
}

std::string write_body(const std::string& metric, const Labels& labels, double value,
                       std::int64_t seconds) {
    schemas::WriteRequest request;
    request.add(schemas::encode_series(metric, labels), value,
                event_time_from_micros(seconds * 1'000'000));
    return request.take();
}

std::string loki(const std::string& labels, std::int64_t seconds, const std::string& text) {
    return R"({"streams":[{"stream":{)" + labels + R"(},"values":[[)" + nanos(seconds) + ",\"" +
           text + "\"]]}]}";
}

}  // namespace

TEST_CASE("odd input: ten thousand labels are refused with what is wrong", "[ingest]") {
    Fixture fixture;
    const auto refused = [&](const char* path, std::string body, const Headers& headers) {
        INFO(path);
        const auto answer = fixture.post(path, std::move(body), headers);
        CHECK(answer.status == 400);
        CHECK(answer.body.find("256 labels") != std::string::npos);
    };
    refused("/v1/metrics",
            otlp_points(R"({"asDouble":1,"timeUnixNano":1,"attributes":[)" +
                        json_attributes(10'000) + "]}"),
            kJsonHeaders);
    refused("/v1/logs", otlp_log(R"({"attributes":[)" + json_attributes(10'000) + "]}"),
            kJsonHeaders);
    refused("/v1/traces", otlp_span(R"({"attributes":[)" + json_attributes(10'000) + "]}"),
            kJsonHeaders);
    refused("/api/v1/write", write_body("m", many_labels(10'000), 1, kNow), kRemoteWrite);
    refused("/loki/api/v1/push", loki(json_fields(10'000).substr(1), kNow, "x"), kJsonHeaders);
    refused("/api/v1/logs", R"({"message":"x")" + json_fields(10'000) + "}", kJsonHeaders);
    CHECK(fixture.on(topics::kDeadLetter).size() == 6);
    // The bound on both sides.
    CHECK(fixture.post("/api/v1/write", write_body("m", many_labels(255), 1, kNow), kRemoteWrite)
              .status == 204);
    CHECK(fixture.post("/api/v1/write", write_body("m", many_labels(256), 1, kNow), kRemoteWrite)
              .status == 400);
}

TEST_CASE("odd input: times of 1970 and of tomorrow are taken, and move no watermark", "[ingest]") {
    Fixture fixture;
    const EventTime clock = to_event_time(fixture.clock.wall());
    std::size_t sent = 0;
    for (const std::int64_t seconds : {std::int64_t{1}, kNow + 86'400}) {
        CHECK(fixture
                  .post("/v1/metrics",
                        otlp_points(R"({"asDouble":1,"timeUnixNano":)" + nanos(seconds) + "}"),
                        kJsonHeaders)
                  .status == 200);
        CHECK(fixture
                  .post("/v1/logs",
                        otlp_log(R"({"body":{"stringValue":"x"},"timeUnixNano":)" + nanos(seconds) +
                                 "}"),
                        kJsonHeaders)
                  .status == 200);
        CHECK(fixture
                  .post("/v1/traces",
                        otlp_span(R"({"name":"x","startTimeUnixNano":)" + nanos(seconds) +
                                  R"(,"endTimeUnixNano":)" + nanos(seconds) + "}"),
                        kJsonHeaders)
                  .status == 200);
        CHECK(fixture.post("/api/v1/write", write_body("m", {}, 1, seconds), kRemoteWrite).status ==
              204);
        CHECK(fixture.post("/loki/api/v1/push", loki("\"app\":\"a\"", seconds, "x"), kJsonHeaders)
                  .status == 204);
        CHECK(fixture
                  .post("/api/v1/logs", R"({"message":"x","time":)" + std::to_string(seconds) + "}",
                        kJsonHeaders)
                  .status == 204);
        sent += 6;
    }
    std::size_t kept = 0;
    for (const auto topic : {topics::kMetrics, topics::kLogs, topics::kSpans}) {
        for (const auto& record : fixture.on(topic)) {
            CHECK(record.message.event_time == clock);
            ++kept;
        }
    }
    CHECK(kept == sent);
    double clamped = 0;
    for (const auto* source : {"otlp", "remote_write", "loki", "json_lines"}) {
        for (const auto* direction : {"ahead", "behind"}) {
            clamped += fixture.metric(std::string("vigie_ingest_clamped_times_total{direction=\"") +
                                      direction + "\",source=\"" + source + "\"}");
        }
    }
    CHECK(clamped == static_cast<double>(sent));
}

TEST_CASE("odd input: NaN and infinities are values, and are read back", "[ingest]") {
    Fixture fixture;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (const auto* value : {"\"NaN\"", "\"Infinity\"", "\"-Infinity\""}) {
        const auto point =
            std::string(R"({"timeUnixNano":)") + nanos(kNow) + R"(,"asDouble":)" + value + "}";
        CHECK(fixture.post("/v1/metrics", otlp_points(point), kJsonHeaders).status == 200);
    }
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity}) {
        CHECK(
            fixture.post("/api/v1/write", write_body("m", {}, value, kNow), kRemoteWrite).status ==
            204);
    }
    std::size_t nans = 0;
    std::size_t infinite = 0;
    for (const auto& record : fixture.on(topics::kMetrics)) {
        const auto all = schemas::decode_metrics(
            record.message.value, header_of(record.message, topics::kHeaderContentType),
            header_of(record.message, topics::kHeaderContentEncoding), {});
        REQUIRE(all.has_value());
        for (const auto& point : all->at(0).points) {
            CHECK_FALSE(point.stale);
            if (std::isnan(point.value)) ++nans;
            if (std::isinf(point.value)) ++infinite;
        }
    }
    CHECK(nans == 2);
    CHECK(infinite == 4);
}

TEST_CASE("odd input: what is not UTF-8 is replaced or refused, and never passed on", "[ingest]") {
    Fixture fixture;
    const std::string bad = "a\xff\xfe";
    // JSON must be UTF-8 (RFC 8259).
    CHECK(
        fixture
            .post("/v1/logs", otlp_log(R"({"body":{"stringValue":")" + bad + "\"}}"), kJsonHeaders)
            .status == 400);
    CHECK(
        fixture
            .post("/v1/metrics",
                  otlp_points(R"({"asDouble":1,"attributes":[{"key":"k","value":{"stringValue":")" +
                              bad + "\"}}]}"),
                  kJsonHeaders)
            .status == 400);
    CHECK(
        fixture.post("/v1/traces", otlp_span(R"({"name":")" + bad + "\"}"), kJsonHeaders).status ==
        400);
    CHECK(
        fixture.post("/loki/api/v1/push", loki("\"app\":\"a\"", kNow, bad), kJsonHeaders).status ==
        400);
    // A label of remote write is text that is mended.
    CHECK(fixture.post("/api/v1/write", write_body("m", {{"l", bad}}, 1, kNow), kRemoteWrite)
              .status == 204);
    const auto series = schemas::decode_metrics(fixture.on(topics::kMetrics).at(0).message.value,
                                                schemas::kContentRemoteWrite, "snappy", {});
    REQUIRE(series.has_value());
    CHECK(schemas::label(series->at(0).labels, "l") == "a\xef\xbf\xbd\xef\xbf\xbd");
    // As are lines of text.
    const auto lines = fixture.post("/api/v1/logs", bad, {{"content-type", "text/plain"}});
    CHECK(lines.status == 204);
    const auto logs = schemas::decode_logs(fixture.on(topics::kLogs).at(0).message.value,
                                           schemas::kContentOtlpProtobuf, "", {});
    REQUIRE(logs.has_value());
    CHECK(logs->at(0).body == "a\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("odd input: a wrong log record or span is left out and told, the others are taken",
          "[ingest]") {
    Fixture fixture;
    const auto logs = fixture.post(
        "/v1/logs",
        otlp_log(R"({"body":{"stringValue":"a"}},{"traceId":"xyz"},{"spanId":1,"traceId":7})"),
        kJsonHeaders);
    CHECK(logs.status == 200);
    CHECK(logs.body.find(R"("rejectedLogRecords":"2")") != std::string::npos);
    CHECK(logs.body.find("logRecords/1/traceId: not an id of 32 hex digits") != std::string::npos);
    const auto spans =
        fixture.post("/v1/traces", otlp_span(R"({"name":"a"},{"spanId":"x"})"), kJsonHeaders);
    CHECK(spans.status == 200);
    CHECK(spans.body.find(R"("rejectedSpans":"1")") != std::string::npos);
    CHECK(fixture.metric(R"(vigie_ingest_refused_items_total{source="otlp"})") == 3);
    // The readers of the topic leave them out too.
    const auto read = schemas::decode_logs(fixture.on(topics::kLogs).at(0).message.value,
                                           schemas::kContentOtlpJson, "", {});
    REQUIRE(read.has_value());
    CHECK(read->size() == 1);
    // Nothing right at all: the body is refused.
    CHECK(fixture.post("/v1/logs", otlp_log(R"({"traceId":"xyz"})"), kJsonHeaders).status == 400);
    CHECK(fixture.post("/v1/traces", otlp_span(R"({"spanId":"x"})"), kJsonHeaders).status == 400);

    // In protobuf, over gRPC: ids of a wrong size.
    const std::string good("\x2a\x03\x0a\x01x", 5);
    const std::string wrong("\x4a\x01x", 3);
    const std::string records =
        std::string("\x12\x05", 2) + good + std::string("\x12\x03", 2) + wrong;
    const std::string scope = std::string("\x12") + static_cast<char>(records.size()) + records;
    const auto answer = fixture.call("/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                                     std::string("\x0a") + static_cast<char>(scope.size()) + scope);
    CHECK(answer.body.find("an id has") != std::string::npos);
    CHECK(fixture.on(topics::kLogs).size() == 2);
}
