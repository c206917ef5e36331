#include <catch2/catch.hpp>

#include "schemas/telemetry.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

const std::string kMetricsCall = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const std::string kLogsCall = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const std::string kTracesCall = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

std::string_view status_of(const http::Response& answer) {
    for (const auto& [name, value] : answer.trailers) {
        if (name == "grpc-status") return value;
    }
    return answer.header("grpc-status");
}

}  // namespace

TEST_CASE("otlp grpc: each signal is appended without its frame", "[ingest]") {
    Fixture fixture;
    fixture.clock.set("2026-11-21T05:59:00Z");
    CHECK(status_of(fixture.call(kMetricsCall, payload("otlp_proto_metrics"))) == "0");
    CHECK(status_of(fixture.call(kLogsCall, payload("otlp_proto_logs"))) == "0");
    const auto answer = fixture.call(kTracesCall, payload("otlp_proto_traces"));
    CHECK(answer.status == 200);
    CHECK(answer.body == std::string(5, '\0'));
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 1);
    CHECK(records[0].message.value == payload("otlp_proto_metrics"));
    CHECK(header_of(records[0].message, topics::kHeaderContentType) ==
          schemas::kContentOtlpProtobuf);
    CHECK(fixture.on(topics::kLogs).size() == 1);
    CHECK(fixture.on(topics::kSpans).size() == 1);
    CHECK(fixture.metric(R"(vigie_ingest_accepted_requests_total{source="otlp_grpc"})") == 3);
}

TEST_CASE("otlp grpc: a compressed message stays compressed on the log", "[ingest]") {
    Fixture fixture;
    fixture.clock.set("2026-11-21T05:59:00Z");
    CHECK(status_of(fixture.call(kMetricsCall, payload("otlp_gzip_metrics"), "gzip")) == "0");
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 1);
    CHECK(header_of(records[0].message, topics::kHeaderContentEncoding) == "gzip");
    const auto unknown = fixture.call(kMetricsCall, "x", "br");
    CHECK(status_of(unknown) == "12");
    CHECK(unknown.header("grpc-accept-encoding") == "identity,gzip,zstd");
}

TEST_CASE("otlp grpc: what is wrong is INVALID_ARGUMENT, what is too large never comes again",
          "[ingest]") {
    Receivers::Options options;
    options.intake.body_bytes_max = 1000;
    Fixture fixture(std::move(options));
    const auto wrong = fixture.call(kTracesCall, "\xff\xff");
    CHECK(status_of(wrong) == "3");
    CHECK(wrong.header("grpc-message").find("OTLP protobuf") != std::string::npos);
    CHECK(fixture.on(topics::kDeadLetter).size() == 1);
    CHECK(status_of(fixture.call(kLogsCall, "not gzip", "gzip")) == "3");
    const auto large = fixture.call(kLogsCall, std::string(2000, 'x'));
    CHECK(status_of(large) == "8");
    CHECK(large.header("grpc-status-details-bin").empty());
}

TEST_CASE("otlp grpc: overload is RESOURCE_EXHAUSTED with RetryInfo", "[ingest]") {
    Fixture fixture;
    fixture.bus.set_faults({.disk_full = 1000});
    const auto answer = fixture.call(kLogsCall, payload("otlp_proto_logs"));
    CHECK(status_of(answer) == "8");
    // google.rpc.Status whose third field is a RetryInfo of 5 s, in base64.
    const std::string details(answer.header("grpc-status-details-bin"));
    CHECK(details.starts_with("CAgS"));
    CHECK(details.size() > 60);
}

TEST_CASE("otlp grpc: the path answers nothing else", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.post(kMetricsCall, "", {{"content-type", "application/grpc"}}).status == 415);
    CHECK(fixture.post(kMetricsCall, "{}", kJsonHeaders).status == 415);
}

TEST_CASE("otlp grpc: a partial success is in the message", "[ingest]") {
    Fixture fixture;
    // A metric without a name beside one with a point.
    const std::string point("\x0a\x09\x19\x00\x00\x00\x00\x00\x00\x00\x00", 11);
    const std::string named = std::string("\x0a\x01m\x2a\x0b", 5) + point;
    const std::string metrics = std::string("\x12") + static_cast<char>(named.size()) + named +
                                std::string("\x12\x02\x2a\x00", 4);
    const std::string scope = std::string("\x12") + static_cast<char>(metrics.size()) + metrics;
    const auto answer =
        fixture.call(kMetricsCall, std::string("\x0a") + static_cast<char>(scope.size()) + scope);
    CHECK(status_of(answer) == "0");
    CHECK(answer.body.find("a metric without a name") != std::string::npos);
}
