#include <catch2/catch.hpp>

#include "schemas/telemetry.h"
#include "tests/schemas/wire.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;
using namespace vigie::schemas::wire;

const DecodeLimits kLimits;
constexpr auto kProto = OtlpEncoding::kProtobuf;
constexpr auto kJson = OtlpEncoding::kJson;
const std::string kTraceId = "0123456789abcdef";  // 16 bytes
const std::string kTraceHex = "30313233343536373839616263646566";

Span span_of(const std::string& fields) {
    const auto spans = decode_otlp_traces(
        request(attribute(1, "service.name", "shop"), message(2, fields)), kProto, kLimits);
    REQUIRE(spans);
    REQUIRE(spans->size() == 1);
    return spans->front();
}

LogRecord log_of(const std::string& record) {
    const auto logs = decode_otlp_logs(
        R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[)" + record + "]}]}]}", kJson, kLimits);
    if (!logs) FAIL(logs.error().message);
    REQUIRE(logs->size() == 1);
    return logs->front();
}

// A body with one log whose body is this AnyValue.
std::string log_body(const std::string& any_value) {
    return request("", message(2, message(5, any_value)));
}

std::string text_of(const std::string& any_value) {
    const auto logs = decode_otlp_logs(log_body(any_value), kProto, kLimits);
    if (!logs) FAIL(logs.error().message);
    return logs->at(0).body;
}

void check_logs(const std::vector<LogRecord>& logs) {
    REQUIRE(logs.size() == 2);
    CHECK(logs[0].body == "{\"msg\":\"ok\",\"n\":0}");
    CHECK(logs[1].body == "{\"msg\":\"ok\",\"n\":1}");
    CHECK(logs[0].severity == 9);
    CHECK(logs[0].trace_id.size() == 32);
    CHECK(logs[0].at > vigie::event_time_from_micros(1'795'240'700'000'000));
    CHECK(label(logs[0].attributes, "log.file.name") == "app.log");
    CHECK(entity_of(logs[0].attributes).value == "service:checkout");
}

void check_spans(const std::vector<Span>& spans) {
    REQUIRE(spans.size() == 4);
    CHECK(spans[0].name == "SELECT cart");
    CHECK(spans[0].kind == SpanKind::kClient);
    CHECK(spans[1].name == "GET /cart");
    CHECK(spans[1].kind == SpanKind::kServer);
    CHECK(spans[0].parent_id == spans[1].span_id);
    CHECK(spans[0].trace_id == spans[1].trace_id);
    CHECK(spans[1].parent_id.empty());
    CHECK(spans[1].end > spans[1].start);
    CHECK(!spans[1].error);
    CHECK(label(spans[1].attributes, "big") == "9007199254740991");
    CHECK(label(spans[1].attributes, "ratio") == "0.25");
    CHECK(label(spans[1].attributes, "ok") == "true");
    CHECK(label(spans[1].attributes, "list") == "[\"a\",\"b\"]");
    CHECK(label(spans[1].attributes, "service.name").empty());
    CHECK(entity_of(spans[1].resource).value == "service:checkout");
}

}  // namespace

TEST_CASE("otlp logs: what the JavaScript SDK sent is read", "[schemas]") {
    check_logs(*decode_otlp_logs(read_payload("otlp_http_json-0002.body"), kJson, kLimits));
    check_logs(*decode_otlp_logs(read_payload("otlp_http_proto-0002.body"), kProto, kLimits));
    check_logs(*decode_otlp_logs(read_payload("otlp_grpc_logs-0002.body"), kProto, kLimits));
    check_logs(*decode_logs(read_payload("otlp_http_proto_gzip_delta-0002.body"),
                            kContentOtlpProtobuf, "gzip", kLimits));
}

TEST_CASE("otlp traces: what the JavaScript SDK sent is read", "[schemas]") {
    check_spans(*decode_otlp_traces(read_payload("otlp_http_json-0001.body"), kJson, kLimits));
    check_spans(*decode_otlp_traces(read_payload("otlp_http_proto-0001.body"), kProto, kLimits));
    check_spans(*decode_otlp_traces(read_payload("otlp_grpc_traces-0001.body"), kProto, kLimits));
    check_spans(*decode_traces(read_payload("otlp_http_proto_gzip_delta-0001.body"),
                               kContentOtlpProtobuf, "gzip", kLimits));
}

TEST_CASE("otlp traces: status, kind and ids are read", "[schemas]") {
    const auto ids = message(1, kTraceId) + message(2, "12345678");
    CHECK(span_of(ids + message(15, varint(3, 2))).error);
    CHECK(!span_of(ids + message(15, varint(3, 1))).error);
    CHECK(!span_of(ids).error);
    CHECK(span_of(ids).trace_id == kTraceHex);
    CHECK(span_of(ids).span_id == "3132333435363738");
    CHECK(span_of(ids + message(4, std::string(8, '\0'))).parent_id.empty());
    CHECK(span_of(ids + varint(6, 5)).kind == SpanKind::kConsumer);
    CHECK(span_of(ids + varint(6, 6)).kind == SpanKind::kUnspecified);
    CHECK(span_of(ids + fixed64(7, 1'500) + fixed64(8, 2'999)).end ==
          vigie::event_time_from_micros(2));
}

TEST_CASE("otlp traces: ids of another length are refused", "[schemas]") {
    for (const auto& fields : {message(1, "short"), message(2, kTraceId), message(4, "1234567")}) {
        const auto spans = decode_otlp_traces(request("", message(2, fields)), kProto, kLimits);
        REQUIRE(!spans);
        CHECK_THAT(spans.error().message, Catch::Contains("an id has"));
    }
    const auto json = decode_otlp_traces(
        R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]})", kJson, kLimits);
    REQUIRE(!json);
    CHECK(json.error().message ==
          "OTLP JSON: /resourceSpans/0/scopeSpans/0/spans/0/traceId: not an "
          "id of 32 hex digits");
}

TEST_CASE("otlp logs: JSON members are read leniently where the protocol is", "[schemas]") {
    const auto record =
        log_of(R"({"timeUnixNano":0,"observedTimeUnixNano":"5000","severityNumber":"17",
        "body":{"stringValue":"boom"},"traceId":"ABCDEF0123456789ABCDEF0123456789","new":[{}]})");
    CHECK(record.at == vigie::event_time_from_micros(5));
    CHECK(record.severity == 17);
    CHECK(record.body == "boom");
    CHECK(record.trace_id == "abcdef0123456789abcdef0123456789");
    CHECK(log_of("{}") == LogRecord{});
    CHECK(log_of(R"({"severityNumber":25})").severity == 0);
    CHECK(log_of(R"({"severityNumber":-1})").severity == 0);
    CHECK(log_of(R"({"traceId":"00000000000000000000000000000000"})").trace_id.empty());
    CHECK(log_of(R"({"body":{"bytesValue":"AP8="}})").body == "AP8=");
    CHECK(log_of(R"({"body":{"doubleValue":"-Infinity"}})").body == "-Infinity");
    CHECK(log_of(R"({"body":{}})").body.empty());
    CHECK(log_of(R"({"body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{}}},
                     {"key":"b"}]}}})")
              .body == "{\"a\":[],\"b\":null}");
}

TEST_CASE("otlp logs: every kind of value becomes text", "[schemas]") {
    const auto list = [](const std::string& items) { return message(5, items); };
    CHECK(text_of(message(1, "a\"b")) == "a\"b");
    CHECK(text_of(varint(2, 1)) == "true");
    CHECK(text_of(varint(3, static_cast<std::uint64_t>(-5))) == "-5");
    CHECK(text_of(real(4, 2.5)) == "2.5");
    CHECK(text_of(message(7, std::string("\0\xff", 2))) == "AP8=");
    CHECK(text_of("").empty());
    CHECK(text_of(list("")) == "[]");
    CHECK(text_of(list(message(1, message(1, "a\"b")) + message(1, varint(3, 7)) +
                       message(1, ""))) == "[\"a\\\"b\",7,null]");
    CHECK(text_of(message(6, attribute(1, "k", "v") + message(1, message(1, "e")))) ==
          "{\"k\":\"v\",\"e\":null}");
    CHECK(text_of(varint(2, 1) + message(1, "the last counts")) == "the last counts");
}

TEST_CASE("otlp logs: deep values are refused, long ones cut", "[schemas]") {
    std::string nested = message(1, "x");
    for (int i = 0; i < 15; ++i) nested = message(5, message(1, nested));
    CHECK(text_of(nested) == std::string(15, '[') + "\"x\"" + std::string(15, ']'));
    nested = message(5, message(1, nested));
    const auto too_deep = decode_otlp_logs(log_body(nested), kProto, kLimits);
    REQUIRE(!too_deep);
    CHECK_THAT(too_deep.error().message, Catch::Contains("nested deeper than 16"));
    for (int i = 0; i < 20'000; ++i) nested = message(5, message(1, nested));
    CHECK(!decode_otlp_logs(log_body(nested), kProto, kLimits));

    std::string many;
    for (int i = 0; i < 1000; ++i) many += message(1, message(1, "0123456789"));
    const auto logs =
        decode_otlp_logs(log_body(message(5, many)), kProto, {.label_bytes_max = 100});
    REQUIRE(logs);
    CHECK(logs->at(0).body.size() == 100);
    CHECK_THAT(logs->at(0).body, Catch::StartsWith("[\"0123456789\",\""));
}

TEST_CASE("otlp signals: limits hold on both sides", "[schemas]") {
    const auto logs = request("", message(2, "") + message(2, ""));
    CHECK(decode_otlp_logs(logs, kProto, {.items_max = 2}));
    CHECK(!decode_otlp_logs(logs, kProto, {.items_max = 1}));
    CHECK(decode_otlp_traces(logs, kProto, {.items_max = 2}));
    CHECK(!decode_otlp_traces(logs, kProto, {.items_max = 1}));
    CHECK(!decode_otlp_traces(logs, kProto, {.memory_bytes_max = sizeof(Span)}));
    CHECK(!decode_otlp_logs(logs, kProto, {.memory_bytes_max = sizeof(LogRecord)}));
    const auto json = R"({"resourceSpans":[{"scopeSpans":[{"spans":[{},{}]}]}]})";
    CHECK(decode_otlp_traces(json, kJson, {.items_max = 2}));
    CHECK(!decode_otlp_traces(json, kJson, {.items_max = 1}));
}

TEST_CASE("otlp signals: cut at any byte they are refused, never a crash", "[schemas]") {
    for (const auto* name : {"otlp_http_proto-0001.body", "otlp_http_proto-0002.body",
                             "otlp_http_json-0001.body", "otlp_http_json-0002.body"}) {
        const auto bytes = read_payload(name);
        const auto encoding = bytes[0] == '{' ? kJson : kProto;
        for (std::size_t size = 1; size < bytes.size(); ++size) {
            const std::vector<char> cut(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(size));
            const std::string_view view(cut.data(), cut.size());
            CHECK(!decode_otlp_logs(view, encoding, kLimits));
            CHECK(!decode_otlp_traces(view, encoding, kLimits));
        }
    }
}
