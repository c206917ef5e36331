#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "schemas/telemetry.h"
#include "tests/schemas/wire.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;
using namespace vigie::schemas::wire;

const DecodeLimits kLimits;
constexpr auto kProto = OtlpEncoding::kProtobuf;
constexpr auto kJson = OtlpEncoding::kJson;
const auto kAt = vigie::event_time_from_micros(2'000'000);

std::vector<TimeSeries> decoded(const std::string& bytes, OtlpEncoding encoding) {
    const auto result = decode_otlp_metrics(bytes, encoding, kLimits);
    if (!result) FAIL(result.error().message);
    return *result;
}

std::string refusal_of(const std::string& bytes, OtlpEncoding encoding,
                       const DecodeLimits& limits = kLimits) {
    const auto result = decode_otlp_metrics(bytes, encoding, limits);
    REQUIRE(!result);
    const bool limit = result.error().message.find("more than") != std::string::npos;
    CHECK((result.error().kind == ErrorKind::kInvalid || limit));
    return result.error().message;
}

// One metric as JSON, and its points under one resource.
std::vector<TimeSeries> from_json(const std::string& metric) {
    return decoded(R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name",
        "value":{"stringValue":"shop"}}]},"scopeMetrics":[{"metrics":[)" +
                       metric + "]}]}]}",
                   kJson);
}

std::vector<TimeSeries> from_proto(const std::string& metric) {
    return decoded(request(attribute(1, "service.name", "shop"), message(2, metric)), kProto);
}

double value_of(const std::vector<TimeSeries>& all, std::string_view metric,
                std::string_view name = {}, std::string_view value = {}) {
    const auto* found = find_series(all, metric, name, value);
    INFO(metric << "{" << name << "=" << value << "}");
    REQUIRE(found != nullptr);
    REQUIRE(found->points.size() == 1);
    return found->points[0].value;
}

std::vector<std::string> names_of(const std::vector<TimeSeries>& all) {
    std::vector<std::string> names;
    for (const auto& series : all) names.push_back(to_string(series.metric, series.labels));
    return names;
}

void check_payload(const std::vector<TimeSeries>& all, MetricKind sum_kind) {
    CHECK(value_of(all, "http.server.requests", "http.route", "/cart") == 3);
    CHECK(find_series(all, "http.server.requests")->kind == sum_kind);
    CHECK(find_series(all, "queue.size")->kind == MetricKind::kGauge);
    CHECK(find_series(all, "process.memory.usage")->kind == MetricKind::kGauge);
    CHECK(value_of(all, "process.memory.usage", "pool", "heap") == 123456789);
    CHECK(value_of(all, "http.server.request.duration_count") == 3);
    CHECK(value_of(all, "http.server.request.duration_sum") == Approx(0.06));
    CHECK(value_of(all, "http.server.request.duration_bucket", "le", "0") == 0);
    CHECK(value_of(all, "http.server.request.duration_bucket", "le", "5") == 3);
    CHECK(value_of(all, "http.server.request.duration_bucket", "le", "10000") == 3);
    CHECK(value_of(all, "http.server.request.duration_bucket", "le", "+Inf") == 3);
    CHECK(find_series(all, "http.server.request.duration_bucket")->kind == sum_kind);
    CHECK(value_of(all, "http.server.request.duration.exp_count") == 3);
    CHECK(value_of(all, "http.server.request.duration.exp_bucket", "le", "+Inf") == 3);
    for (const auto& series : all) {
        CHECK(entity_of(series.labels, series.metric).value == "service:checkout");
        CHECK(series.points.at(0).at > vigie::event_time_from_micros(1'795'240'700'000'000));
    }
}

}  // namespace

TEST_CASE("otlp metrics: what the JavaScript SDK sent is read", "[schemas]") {
    check_payload(decoded(read_payload("otlp_http_proto-0003.body"), kProto), MetricKind::kCounter);
    check_payload(decoded(read_payload("otlp_http_json-0003.body"), kJson), MetricKind::kCounter);
    check_payload(decoded(read_payload("otlp_grpc_metrics-0003.body"), kProto),
                  MetricKind::kCounter);
    const auto delta = gunzip(read_payload("otlp_http_proto_gzip_delta-0003.body"), 1 << 20);
    REQUIRE(delta);
    check_payload(decoded(*delta, kProto), MetricKind::kGauge);
}

TEST_CASE("otlp metrics: both encodings of the same values give the same series", "[schemas]") {
    auto proto = decoded(read_payload("otlp_http_proto-0003.body"), kProto);
    auto json = decoded(read_payload("otlp_http_json-0003.body"), kJson);
    CHECK(names_of(proto) == names_of(json));
}

TEST_CASE("otlp metrics: the temporality and monotony of a sum choose its kind", "[schemas]") {
    const auto kind = [](int temporality, bool monotonic) {
        const auto point = message(1, fixed64(3, 2'000'000'000) + fixed64(6, 7));
        const auto all = from_proto(
            message(1, "m") + message(7, point + varint(2, static_cast<unsigned>(temporality)) +
                                             varint(3, monotonic ? 1 : 0)));
        REQUIRE(all.size() == 1);
        CHECK(all[0].points == std::vector<Point>{{kAt, 7, false}});
        return all[0].kind;
    };
    CHECK(kind(2, true) == MetricKind::kCounter);
    CHECK(kind(2, false) == MetricKind::kGauge);
    CHECK(kind(1, true) == MetricKind::kGauge);
    CHECK(kind(0, true) == MetricKind::kUnknown);
    CHECK(kind(9, true) == MetricKind::kUnknown);
}

TEST_CASE("otlp metrics: fields may come in any order", "[schemas]") {
    const auto point = message(1, real(4, 1.5) + attribute(7, "a", "1"));
    const auto metric = message(2, message(5, point) + message(1, "m"));
    const auto group = message(2, metric) + message(1, attribute(1, "service.name", "shop"));
    const auto all = decoded(message(1, group), kProto);
    CHECK(names_of(all) == std::vector<std::string>{"m{a=\"1\",service.name=\"shop\"}"});
}

TEST_CASE("otlp metrics: 64-bit integers may be text or numbers in JSON", "[schemas]") {
    const auto value = [](const char* point) {
        return from_json(R"({"name":"m","gauge":{"dataPoints":[)" + std::string(point) + "]}}")
            .at(0)
            .points.at(0);
    };
    CHECK(value(R"({"timeUnixNano":"2000000000","asInt":"-7"})") == Point{kAt, -7, false});
    CHECK(value(R"({"timeUnixNano":2000000000,"asInt":-7})") == Point{kAt, -7, false});
    CHECK(value(R"({"timeUnixNano":2e9,"asDouble":0.5})") == Point{kAt, 0.5, false});
    CHECK(value(R"({"timeUnixNano":"2000000000","asDouble":"Infinity"})").value ==
          std::numeric_limits<double>::infinity());
    CHECK(std::isnan(value(R"({"asDouble":"NaN"})").value));
    CHECK(value(R"({"timeUnixNano":"2000000000","asInt":"1","flags":1,"future":{"a":[]}})") ==
          Point{kAt, 0, true});
}

TEST_CASE("otlp metrics: histogram buckets become cumulative", "[schemas]") {
    const std::vector<std::string> expected{
        "h_count{service.name=\"shop\"}", "h_sum{service.name=\"shop\"}",
        "h_bucket{le=\"0.5\",service.name=\"shop\"}", "h_bucket{le=\"10\",service.name=\"shop\"}",
        "h_bucket{le=\"+Inf\",service.name=\"shop\"}"};
    const auto json =
        from_json(R"({"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
        {"timeUnixNano":"2000000000","count":"6","sum":3.5,"bucketCounts":["1","2",3],
         "explicitBounds":[0.5,"10"]}]}})");
    const auto unpacked =
        message(1, fixed64(3, 2'000'000'000) + fixed64(4, 6) + real(5, 3.5) + fixed64(6, 1) +
                       fixed64(6, 2) + fixed64(6, 3) + real(7, 0.5) + real(7, 10));
    const auto proto = from_proto(message(1, "h") + message(9, unpacked + varint(2, 2)));
    for (const auto& all : {json, proto}) {
        CHECK(names_of(all) == expected);
        CHECK(value_of(all, "h_count") == 6);
        CHECK(value_of(all, "h_sum") == 3.5);
        CHECK(value_of(all, "h_bucket", "le", "0.5") == 1);
        CHECK(value_of(all, "h_bucket", "le", "10") == 3);
        CHECK(value_of(all, "h_bucket", "le", "+Inf") == 6);
        CHECK(all.at(0).kind == MetricKind::kCounter);
    }
    const auto bare =
        from_json(R"({"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[
        {"count":2}]}})");
    CHECK(names_of(bare) ==
          std::vector<std::string>{"h_count{service.name=\"shop\"}",
                                   "h_bucket{le=\"+Inf\",service.name=\"shop\"}"});
    CHECK(bare.at(0).kind == MetricKind::kGauge);
    const auto stale =
        from_json(R"({"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
        {"flags":1}]}})");
    CHECK(stale.size() == 2);
    CHECK(stale.at(0).points.at(0).stale);
    CHECK(stale.at(1).points.at(0).stale);
}

TEST_CASE("otlp metrics: exponential buckets become cumulative at fixed bounds", "[schemas]") {
    const auto all = from_json(R"({"name":"e","exponentialHistogram":{"aggregationTemporality":2,
        "dataPoints":[{"count":"10","sum":1,"scale":0,"zeroCount":"1","zeroThreshold":0.001,
        "positive":{"offset":-1,"bucketCounts":["2","0","3"]},
        "negative":{"offset":1,"bucketCounts":["4"]}}]}})");
    CHECK(names_of(all) == std::vector<std::string>{"e_count{service.name=\"shop\"}",
                                                    "e_sum{service.name=\"shop\"}",
                                                    "e_bucket{le=\"-2\",service.name=\"shop\"}",
                                                    "e_bucket{le=\"0.001\",service.name=\"shop\"}",
                                                    "e_bucket{le=\"1\",service.name=\"shop\"}",
                                                    "e_bucket{le=\"4\",service.name=\"shop\"}",
                                                    "e_bucket{le=\"+Inf\",service.name=\"shop\"}"});
    CHECK(value_of(all, "e_bucket", "le", "-2") == 4);
    CHECK(value_of(all, "e_bucket", "le", "0.001") == 5);
    CHECK(value_of(all, "e_bucket", "le", "1") == 7);
    CHECK(value_of(all, "e_bucket", "le", "4") == 10);
}

TEST_CASE("otlp metrics: finer exponential buckets are joined, coarser ones stay", "[schemas]") {
    const auto bounds = [](int scale, int offset, const char* counts) {
        const auto all =
            from_json(R"({"name":"e","exponentialHistogram":{"aggregationTemporality":2,
            "dataPoints":[{"count":9,"scale":)" +
                      std::to_string(scale) + R"(,"positive":{"offset":)" + std::to_string(offset) +
                      R"(,"bucketCounts":)" + counts + "}}]}}");
        std::vector<std::string> found;
        for (const auto& series : all) {
            if (series.metric == "e_bucket") found.emplace_back(label(series.labels, "le"));
        }
        return found;
    };
    // Scale 3, buckets 0 to 7 cover (1, 2]: at scale 2 they are four.
    CHECK(bounds(3, 0, "[1,1,1,1,1,1,1,1]") ==
          std::vector<std::string>{"1.189207115002721", "1.4142135623730951", "1.681792830507429",
                                   "2", "+Inf"});
    CHECK(bounds(20, -1, "[1]") == std::vector<std::string>{"1", "+Inf"});
    CHECK(bounds(-1, 0, "[1,1]") == std::vector<std::string>{"4", "16", "+Inf"});
    CHECK(bounds(2147483647, 5, "[1]").size() == 2);
    CHECK(bounds(-2147483648, 5, "[1]") == std::vector<std::string>{"+Inf"});
    CHECK(bounds(0, 2147483647, "[1,1]") == std::vector<std::string>{"+Inf"});
}

TEST_CASE("otlp metrics: a summary becomes quantiles", "[schemas]") {
    const auto quantile = message(6, real(1, 0.99) + real(2, 1.5));
    const auto proto = from_proto(message(1, "s") +
                                  message(11, message(1, fixed64(4, 5) + real(5, 2.5) + quantile)));
    const auto json = from_json(R"({"name":"s","summary":{"dataPoints":[{"count":5,"sum":2.5,
        "quantileValues":[{"quantile":0.99,"value":1.5}]}]}})");
    for (const auto& all : {proto, json}) {
        CHECK(value_of(all, "s_count") == 5);
        CHECK(value_of(all, "s_sum") == 2.5);
        CHECK(value_of(all, "s", "quantile", "0.99") == 1.5);
        CHECK(find_series(all, "s")->kind == MetricKind::kGauge);
    }
}

TEST_CASE("otlp metrics: attributes of a point win over those of its resource", "[schemas]") {
    const auto all = from_json(R"({"name":"m","gauge":{"dataPoints":[{"asInt":1,"attributes":[
        {"key":"service.name","value":{"stringValue":"cart"}},{"key":"b","value":{"boolValue":true}},
        {"key":"b","value":{"intValue":"12"}}]}]}})");
    CHECK(all.at(0).labels == Labels{{"b", "12"}, {"service.name", "cart"}});
}

TEST_CASE("otlp metrics: empty and null members are as if absent", "[schemas]") {
    for (
        const auto* body :
        {"{}", R"({"resourceMetrics":null})", R"({"resourceMetrics":[]})",
         R"({"resourceMetrics":[{}]})",
         R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[]}]}]})",
         R"({"other":1,"resourceMetrics":[{"resource":null,"scopeMetrics":[{"metrics":null}]}]})"}) {
        INFO(body);
        CHECK(decoded(body, kJson).empty());
    }
    CHECK(from_json(R"({"name":"m","gauge":{"dataPoints":[]},"sum":null})").empty());
    CHECK(decoded("", kProto).empty());
}

TEST_CASE("otlp metrics: what is wrong is refused with its place", "[schemas]") {
    const auto in_metric = [](const std::string& metric) {
        return refusal_of(
            R"({"resourceMetrics":[{},{"scopeMetrics":[{"metrics":[)" + metric + "]}]}]}", kJson);
    };
    CHECK(refusal_of("[]", kJson) == "OTLP JSON: : not an object");
    CHECK_THAT(refusal_of("{", kJson), Catch::StartsWith("OTLP JSON: not JSON at byte 2"));
    CHECK(refusal_of(R"({"resourceMetrics":{}})", kJson) ==
          "OTLP JSON: /resourceMetrics: not an array");
    CHECK(refusal_of(R"({"resourceMetrics":[1]})", kJson) ==
          "OTLP JSON: /resourceMetrics/0: not an object");
    CHECK(in_metric("{}") ==
          "OTLP JSON: /resourceMetrics/1/scopeMetrics/0/metrics/0/name: missing");
    CHECK_THAT(in_metric(R"({"name":"m","gauge":{"dataPoints":[{"asDouble":"x"}]}})"),
               Catch::EndsWith("/metrics/0/gauge/0/dataPoints/0/asDouble: not a number"));
    CHECK_THAT(in_metric(R"({"name":"m","gauge":{"dataPoints":[{"timeUnixNano":-1}]}})"),
               Catch::EndsWith("timeUnixNano: not an unsigned integer of 64 bits"));
    CHECK_THAT(in_metric(R"({"name":"m","histogram":{"dataPoints":[{"bucketCounts":[1],
                             "explicitBounds":[1]}]}})"),
               Catch::EndsWith("histogram m: 1 buckets for 1 bounds"));
    CHECK_THAT(in_metric(R"({"name":"m","histogram":{"dataPoints":[{"bucketCounts":[1,1,1],
                             "explicitBounds":[1,1]}]}})"),
               Catch::EndsWith("histogram m: the bounds do not ascend"));
    CHECK_THAT(
        refusal_of(request("", message(2, "")), kProto),
        Catch::StartsWith("OTLP protobuf: a metric without a name, in or after the item at"));
    CHECK_THAT(refusal_of("\x0a\x05"
                          "ab",
                          kProto),
               Catch::Contains("end of buffer"));
}

TEST_CASE("otlp metrics: limits hold on both sides", "[schemas]") {
    const auto point = message(1, real(4, 1.5) + attribute(7, "a", "1"));
    const auto body =
        request(attribute(1, "r", "1"), message(2, message(1, "m") + message(5, point + point)));
    CHECK(decode_otlp_metrics(body, kProto, {.items_max = 2, .labels_max = 2}));
    CHECK_THAT(refusal_of(body, kProto, {.items_max = 1}), Catch::Contains("more than 1 items"));
    CHECK_THAT(refusal_of(body, kProto, {.labels_max = 1}), Catch::Contains("more than 1 labels"));
    CHECK_THAT(refusal_of(body, kProto, {.bytes_max = 10}), Catch::Contains("more than 10 bytes"));
    CHECK_THAT(refusal_of("{          }", kJson, {.bytes_max = 10}),
               Catch::Contains("more than 10 bytes"));
}

TEST_CASE("otlp metrics: a small body that asks for much memory is refused", "[schemas]") {
    // One label of 60 KB, repeated for each of 20,000 points of 2 bytes.
    std::string points;
    for (int i = 0; i < 20'000; ++i) points += message(1, i % 2 == 0 ? "" : real(4, 1));
    for (int i = 0; i < 20'000; ++i) points += message(1, attribute(7, "i", std::to_string(i)));
    const auto body = request(attribute(1, "r", std::string(60'000, 'x')),
                              message(2, message(1, "m") + message(5, points)));
    REQUIRE(body.size() < 1'000'000);
    CHECK_THAT(refusal_of(body, kProto), Catch::Contains("of memory"));

    std::string buckets(20'000, '\x01');
    const auto exponential = message(1, message(8, message(2, buckets)));
    CHECK_THAT(
        refusal_of(request("", message(2, message(1, "e") + message(10, exponential))), kProto),
        Catch::Contains("more than 16384 buckets"));
}

TEST_CASE("otlp metrics: cut at any byte it is read or refused, never a crash", "[schemas]") {
    for (const auto* name : {"otlp_http_proto-0003.body", "otlp_http_json-0003.body"}) {
        const auto bytes = read_payload(name);
        const auto encoding = bytes[0] == '{' ? kJson : kProto;
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const std::vector<char> cut(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(size));
            const auto result = decode_otlp_metrics({cut.data(), cut.size()}, encoding, kLimits);
            // The whole protobuf body is one field: every cut but the empty one breaks it.
            CHECK(result.has_value() == (encoding == kProto && size == 0));
        }
    }
}
