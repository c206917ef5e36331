#include "ingest/sources.h"

#include <catch2/catch.hpp>

#include <functional>

#include "http/signature.h"
#include "ingest/rewrite.h"
#include "schemas/series_table.h"
#include "schemas/topics.h"
#include "schemas/write_request.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using namespace std::chrono_literals;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

SourceOptions source(std::string name, std::vector<std::string> tokens = {}) {
    SourceOptions options;
    options.name = std::move(name);
    options.tokens = std::move(tokens);
    return options;
}

Receivers::Options with(std::vector<SourceOptions> sources) {
    Receivers::Options options;
    options.sources.sources = std::move(sources);
    return options;
}

Headers bearer(Headers headers, const std::string& token) {
    if (!token.empty()) headers.emplace_back("authorization", "Bearer " + token);
    return headers;
}

std::string series_body(int first, int count) {
    schemas::WriteRequest request;
    for (int i = first; i < first + count; ++i) {
        request.add(schemas::encode_series(
                        "hits_total", {{"service", "shop"}, {"user", "u" + std::to_string(i)}}),
                    i, at("2026-11-21T05:39:00Z"));
    }
    return request.take();
}

http::Response write(Fixture& fixture, std::string body, const std::string& token = {}) {
    return fixture.post(
        "/api/v1/write", std::move(body),
        bearer({{"content-type", "application/x-protobuf"}, {"content-encoding", "snappy"}},
               token));
}

constexpr std::string_view kLogs =
    R"({"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}},
        {"key":"tenant","value":{"stringValue":"mine"}}]},"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1795239540000000000","severityNumber":9,"body":{"stringValue":"hello"}}]}]}]})";
constexpr std::string_view kSpans =
    R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
        "scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
        "parentSpanId":"00f067aa0ba902b7","name":"GET /","kind":2,"startTimeUnixNano":"1795239540000000000",
        "endTimeUnixNano":"1795239541000000000","status":{"code":2},
        "attributes":[{"key":"tenant","value":{"stringValue":"forged"}},
        {"key":"a","value":{"intValue":"1"}}]}]}]}]})";

// Every receiver of telemetry over HTTP/1.1.
struct Way {
    std::string name;
    int good;
    std::function<http::Response(Fixture&, const std::string& token)> send;
};

std::vector<Way> ways() {
    const auto json = [](std::string path, std::string_view body) {
        return [path = std::move(path), body](Fixture& fixture, const std::string& token) {
            return fixture.post(path, std::string(body), bearer(kJsonHeaders, token));
        };
    };
    return {
        {"otlp", 200, json("/v1/logs", kLogs)},
        {"otlp", 200, json("/v1/traces", kSpans)},
        {"remote_write", 204,
         [](Fixture& fixture, const std::string& token) {
             return write(fixture, series_body(0, 1), token);
         }},
        {"loki", 204,
         json("/loki/api/v1/push",
              R"({"streams":[{"stream":{"app":"a"},"values":[["1795239540000000000","x"]]}]})")},
        {"json_lines", 204, json("/api/v1/logs", R"({"service":"a","message":"x"})")}};
}

http::Response call(Fixture& fixture, const std::string& token) {
    http::Request request;
    request.method = "POST";
    request.path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    request.headers = bearer({{"content-type", "application/grpc"}}, token);
    request.body = std::string(5, '\0');
    request.remote = "192.0.2.7:51234";
    request.http2 = true;
    http::Response answer;
    fixture.router.dispatch(std::move(request),
                            [&answer](http::Response response) { answer = std::move(response); });
    return answer;
}

std::string_view grpc_status(const http::Response& answer) {
    for (const auto& [name, value] : answer.trailers) {
        if (name == "grpc-status") return value;
    }
    return answer.header("grpc-status");
}

std::vector<schemas::TimeSeries> series_on(const streams::Record& record) {
    auto all = schemas::decode_metrics(
        record.message.value, header_of(record.message, topics::kHeaderContentType),
        header_of(record.message, topics::kHeaderContentEncoding), {});
    REQUIRE(all.has_value());
    return *std::move(all);
}

}  // namespace

TEST_CASE("sources: without any everybody may send", "[ingest]") {
    for (const auto& way : ways()) {
        Fixture fixture;
        INFO(way.name);
        CHECK(way.send(fixture, "").status == way.good);
        CHECK(way.send(fixture, "whatever").status == way.good);
        CHECK(fixture.metric("vigie_ingest_source_requests_total{sender=\"" + way.name + "\"}") ==
              2);
    }
    Fixture fixture;
    CHECK(grpc_status(call(fixture, "")) == "0");
}

TEST_CASE("sources: with tokens, a missing or wrong one is 401 everywhere and nothing is kept",
          "[ingest]") {
    for (const auto& way : ways()) {
        Fixture fixture(with({source("team-a", {"new", "old"}), source("team-b", {"b"})}));
        INFO(way.name);
        for (const auto* token : {"", "wrong"}) {
            const auto answer = way.send(fixture, token);
            CHECK(answer.status == 401);
            CHECK(answer.header("www-authenticate") == "Bearer");
        }
        for (const auto* token : {"new", "old", "b"}) {
            CHECK(way.send(fixture, token).status == way.good);
        }
        CHECK(fixture.on(topics::kDeadLetter).empty());
        CHECK(fixture.metric("vigie_ingest_refused_requests_total{reason=\"token\",source=\"" +
                             way.name + "\"}") == 2);
        CHECK(fixture.metric(R"(vigie_ingest_source_requests_total{sender="team-a"})") == 2);
    }
    Fixture fixture(with({source("team-a", {"a"})}));
    CHECK(grpc_status(call(fixture, "")) == "16");
    CHECK(grpc_status(call(fixture, "b")) == "16");
    CHECK(grpc_status(call(fixture, "a")) == "0");
}

TEST_CASE("sources: one may be without a token, and a wrong token is still wrong", "[ingest]") {
    Fixture fixture(with({source("team-a", {"a"}), source("lab")}));
    CHECK(write(fixture, series_body(0, 1)).status == 204);
    CHECK(write(fixture, series_body(0, 1), "a").status == 204);
    CHECK(write(fixture, series_body(0, 1), "b").status == 401);
    CHECK(fixture.metric(R"(vigie_ingest_source_requests_total{sender="lab"})") == 1);
}

TEST_CASE("sources: the token of a way in is asked for there", "[ingest]") {
    Receivers::Options options;
    options.otlp_token = "o";
    options.remote_write_token = "r";
    options.loki_token = "l";
    options.json_lines_token = "j";
    Fixture fixture(options);
    const std::vector<std::string> tokens{"o", "o", "r", "l", "j"};
    const auto all = ways();
    for (std::size_t i = 0; i < all.size(); ++i) {
        INFO(all[i].name);
        CHECK(all[i].send(fixture, "").status == 401);
        CHECK(all[i].send(fixture, "x").status == 401);
        CHECK(all[i].send(fixture, tokens[i]).status == all[i].good);
    }
    CHECK(grpc_status(call(fixture, "")) == "16");
    CHECK(grpc_status(call(fixture, "o")) == "0");
}

TEST_CASE("sources: who sends too many requests gets 429 with Retry-After, and then comes again",
          "[ingest]") {
    for (const auto& way : ways()) {
        auto slow = source("slow");
        slow.requests_max = 0.5;
        slow.burst = 4s;
        Fixture fixture(with({slow}));
        INFO(way.name);
        CHECK(way.send(fixture, "").status == way.good);
        CHECK(way.send(fixture, "").status == way.good);
        const auto answer = way.send(fixture, "");
        CHECK(answer.status == 429);
        CHECK(answer.header("retry-after") == "2");
        CHECK(fixture.on(topics::kDeadLetter).empty());
        CHECK(fixture.metric("vigie_ingest_refused_requests_total{reason=\"rate\",source=\"" +
                             way.name + "\"}") == 1);
        CHECK(fixture.metric(R"(vigie_ingest_source_limited_total{sender="slow"})") == 1);
        fixture.clock.advance(2s);
        CHECK(way.send(fixture, "").status == way.good);
        CHECK(way.send(fixture, "").status == 429);
    }
}

TEST_CASE("sources: over gRPC too much is RESOURCE_EXHAUSTED with RetryInfo", "[ingest]") {
    auto slow = source("slow");
    slow.requests_max = 0.1;
    slow.burst = 1s;
    Fixture fixture(with({slow}));
    CHECK(grpc_status(call(fixture, "")) == "0");
    const auto answer = call(fixture, "");
    CHECK(grpc_status(answer) == "8");
    const auto details = http::decode_base64(answer.header("grpc-status-details-bin")).value_or("");
    CHECK(details.find("google.rpc.RetryInfo") != std::string::npos);
    // RetryInfo.retry_delay of 10 s: one request in ten seconds, of which one is owed.
    CHECK(details.ends_with(std::string("\x0a\x02\x08\x0a", 4)));
}

TEST_CASE("sources: bytes and items are limited too, and a large request is paid afterwards",
          "[ingest]") {
    auto slow = source("slow");
    slow.items_max = 10;
    slow.burst = 1s;
    Fixture fixture(with({slow}));
    CHECK(write(fixture, series_body(0, 50)).status == 204);
    auto answer = write(fixture, series_body(0, 1));
    CHECK(answer.status == 429);
    CHECK(answer.header("retry-after") == "5");
    CHECK(answer.body.find("'slow' may send 10 items each second") != std::string::npos);
    fixture.clock.advance(5s);
    CHECK(write(fixture, series_body(0, 1)).status == 204);

    auto thin = source("thin");
    thin.bytes_max = 1;
    Fixture other(with({thin}));
    CHECK(write(other, series_body(0, 5)).status == 204);
    answer = write(other, series_body(0, 5));
    CHECK(answer.status == 429);
    CHECK(answer.body.find("bytes") != std::string::npos);
}

TEST_CASE("sources: a tenant's label is on all that he sends, and cannot be forged", "[ingest]") {
    auto options = source("team-a");
    options.tenant = "acme";
    Fixture fixture(with({options}));
    for (const auto& way : ways()) CHECK(way.send(fixture, "").status == way.good);
    for (const auto& record : fixture.on(topics::kMetrics)) {
        for (const auto& series : series_on(record)) {
            CHECK(schemas::label(series.labels, "tenant") == "acme");
            CHECK(series.metric == "hits_total");
            CHECK(schemas::label(series.labels, "user") == "u0");
        }
    }
    CHECK(fixture.on(topics::kLogs).size() == 3);
    for (const auto& record : fixture.on(topics::kLogs)) {
        const auto logs = schemas::decode_logs(
            record.message.value, header_of(record.message, topics::kHeaderContentType),
            header_of(record.message, topics::kHeaderContentEncoding), {});
        REQUIRE(logs.has_value());
        CHECK(schemas::label(logs->at(0).attributes, "tenant") == "acme");
        CHECK(schemas::entity_of(logs->at(0).attributes).value == "service:a");
    }
    REQUIRE(fixture.on(topics::kSpans).size() == 1);
    const auto spans = schemas::decode_traces(fixture.on(topics::kSpans)[0].message.value,
                                              schemas::kContentOtlpProtobuf, "", {});
    REQUIRE(spans.has_value());
    auto sent = schemas::decode_traces(kSpans, schemas::kContentOtlpJson, "", {});
    REQUIRE(sent.has_value());
    auto& span = sent->at(0);
    span.resource.emplace_back("tenant", "acme");
    span.attributes = {{"a", "1"}};
    CHECK(spans->at(0) == span);  // Nothing else has changed.
}

TEST_CASE(
    "sources: series beyond the bound go to one overflow series, and an alert names the label",
    "[ingest]") {
    auto small = source("small");
    small.series_max = 10;
    Fixture fixture(with({small}));
    fixture.receivers->tick();
    CHECK(write(fixture, series_body(0, 10)).status == 204);
    fixture.receivers->tick();
    CHECK(fixture.on(topics::kAlerts).empty());
    // The bound on both sides: the tenth fits, the eleventh does not.
    CHECK(write(fixture, series_body(5, 8)).status == 204);
    const auto records = fixture.on(topics::kMetrics);
    REQUIRE(records.size() == 2);
    const auto all = series_on(records[1]);
    std::size_t overflow = 0;
    for (const auto& series : all) {
        if (schemas::label(series.labels, schemas::kOverflowLabel) != "true") continue;
        ++overflow;
        CHECK(series.labels.size() == 1);
        CHECK(series.kind == schemas::MetricKind::kCounter);
        CHECK(series.points.at(0).value == 10 + 11 + 12);
    }
    CHECK(overflow == 1);
    CHECK(all.size() == 5 + 1);
    CHECK(fixture.metric(R"(vigie_ingest_source_overflow_items_total{sender="small"})") == 3);
    fixture.receivers->tick();
    const auto alerts = fixture.events_on(topics::kAlerts);
    REQUIRE(alerts.size() == 1);
    const auto& alert = std::get<schemas::Alert>(alerts[0].data);
    CHECK(alert.firing);
    CHECK(alert.name == "VigieSeriesBoundReached");
    CHECK(alert.entity.value == "source:small");
    CHECK(alert.summary ==
          "source 'small' has reached its 10 series, new ones go to overflow series: label 'user' "
          "has about 13 values");
    CHECK(fixture.metric(R"(vigie_ingest_source_series{sender="small"})") == 10);
    CHECK(fixture.metric(R"(vigie_ingest_source_label_values{label="user",sender="small"})") == 13);
    // Once, while it lasts.
    CHECK(write(fixture, series_body(5, 8)).status == 204);
    fixture.receivers->tick();
    CHECK(fixture.on(topics::kAlerts).size() == 1);
    // Other sources are not concerned.
    // A whole window without: it is over, and what no longer comes has made room.
    for (int i = 0; i < 3; ++i) {
        fixture.clock.advance(1h);
        fixture.receivers->tick();
    }
    const auto later = fixture.events_on(topics::kAlerts);
    REQUIRE(later.size() == 2);
    CHECK_FALSE(std::get<schemas::Alert>(later[1].data).firing);
    CHECK(std::get<schemas::Alert>(later[1].data).fingerprint == alert.fingerprint);
    CHECK(write(fixture, series_body(20, 10)).status == 204);
    CHECK(series_on(fixture.on(topics::kMetrics).back()).size() == 10);
}

TEST_CASE("sources: each has its own series", "[ingest]") {
    auto a = source("a", {"a"});
    auto b = source("b", {"b"});
    a.series_max = b.series_max = 3;
    Fixture fixture(with({a, b}));
    for (const auto* token : {"a", "b"}) {
        CHECK(write(fixture, series_body(0, 3), token).status == 204);
        CHECK(fixture.on(topics::kMetrics).back().message.value == series_body(0, 3));
        CHECK(write(fixture, series_body(3, 1), token).status == 204);
        CHECK(fixture.on(topics::kMetrics).back().message.value != series_body(3, 1));
    }
}

TEST_CASE("sources: OTLP metrics overflow as well", "[ingest]") {
    Receivers::Options options;
    options.sources.series_max = 1;
    Fixture fixture(options);
    const std::string body =
        R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
        "scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
        {"timeUnixNano":"1795239540000000000","asDouble":1,"attributes":[{"key":"x","value":{"intValue":"1"}}]},
        {"timeUnixNano":"1795239540000000000","asDouble":2,"attributes":[{"key":"x","value":{"intValue":"2"}}]}
        ]}}]}]}]})";
    const auto answer = fixture.post("/v1/metrics", body, kJsonHeaders);
    CHECK(answer.status == 200);
    CHECK(answer.body == "{}");
    const auto all = series_on(fixture.on(topics::kMetrics).at(0));
    REQUIRE(all.size() == 2);
    CHECK(fixture.on(topics::kMetrics)[0].message.key == "service:a");
}

TEST_CASE("value count: few values are counted nearly exactly, many within five per cent",
          "[ingest]") {
    ValueCount few;
    ValueCount many;
    for (std::uint64_t i = 0; i < 20; ++i) few.add(fnv1a64("v" + std::to_string(i)));
    CHECK(few.estimate() == Approx(20).margin(1));
    for (std::uint64_t i = 0; i < 100'000; ++i) many.add(fnv1a64("v" + std::to_string(i)));
    CHECK(many.estimate() == Approx(100'000).epsilon(0.1));
    const double before = many.estimate();
    many.add(few);
    CHECK(many.estimate() == before);
    CHECK(ValueCount{}.estimate() == 0);
}

TEST_CASE("rate limit: what is owed is waited for, and no more is saved than the burst",
          "[ingest]") {
    RateLimit rate(10, 2s);
    SteadyTime now{};
    CHECK(rate.wait(now).count() == 0);
    rate.take(20);
    CHECK(rate.wait(now).count() > 0);
    now += 100ms;
    CHECK(rate.wait(now).count() == 0);
    now += 1h;
    CHECK(rate.wait(now).count() == 0);
    rate.take(30);
    CHECK(rate.wait(now).count() == Approx(1.1).margin(0.01));
    RateLimit none(0, 1s);
    none.take(1e9);
    CHECK(none.wait(now).count() == 0);
}

TEST_CASE("hash set: what was put in is there, and nothing else", "[ingest]") {
    HashSet set;
    CHECK_FALSE(set.contains(0));
    for (std::uint64_t i = 0; i < 5000; ++i) set.insert(i * 0x9e3779b97f4a7c15U);
    CHECK(set.size() == 5000);
    std::size_t found = 0;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        if (set.contains(i * 0x9e3779b97f4a7c15U)) ++found;
    }
    CHECK(found == 5000);
}
