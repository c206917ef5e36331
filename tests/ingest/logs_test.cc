#include <catch2/catch.hpp>

#include "ingest/syslog.h"
#include "schemas/log_groups.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using schemas::Labels;

namespace {

// Everything on vigie.logs, as the detector reads it.
std::vector<schemas::LogRecord> lines_of(const Fixture& fixture) {
    std::vector<schemas::LogRecord> all;
    for (const auto& record : fixture.on(topics::kLogs)) {
        const auto some =
            schemas::decode_logs(record.message.value, header_of(record.message, "content-type"),
                                 header_of(record.message, "content-encoding"), {});
        REQUIRE(some.has_value());
        all.insert(all.end(), some->begin(), some->end());
    }
    return all;
}

std::string label(const schemas::LogRecord& record, std::string_view name) {
    return std::string(schemas::label(record.attributes, name));
}

// Protobuf, a field at a time, and a snappy block of literals.
std::string number(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7U) out.push_back(static_cast<char>((value & 0x7fU) | 0x80U));
    out.push_back(static_cast<char>(value));
    return out;
}
std::string bytes(std::uint64_t field, std::string_view content) {
    return number(field << 3U | 2U) + number(content.size()) + std::string(content);
}
std::string varint(std::uint64_t field, std::uint64_t value) {
    return number(field << 3U) + number(value);
}
std::string snappy(std::string_view content) {
    std::string out = number(content.size());
    for (; !content.empty(); content.remove_prefix(std::min<std::size_t>(content.size(), 50))) {
        const auto part = content.substr(0, 50);
        out.push_back(static_cast<char>((part.size() - 1) << 2U));
        out += part;
    }
    return out;
}

SyslogLine parse(std::string_view text) {
    return parse_syslog(text, at("2026-11-21T05:39:30Z"), "192.0.2.7");
}

std::string resource(const SyslogLine& line, std::string_view name) {
    return std::string(schemas::label(line.resource, name));
}

}  // namespace

TEST_CASE("loki: JSON streams become log records of their resource", "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post("/loki/api/v1/push", R"({"streams":[
        {"stream":{"app":"checkout","host":"web-1","level":"warn"},
         "values":[["1795239000000000000","slow"],["1795239001000000000","slower",{"trace_id":"0123456789abcdef0123456789abcdef"}]]},
        {"stream":{"service_name":"cart"},"values":[["1795239002000000000","level=error it broke"]]}]})",
                                     kJsonHeaders);
    INFO(answer.body);
    CHECK(answer.status == 204);
    const auto records = fixture.on(topics::kLogs);
    REQUIRE(records.size() == 2);
    CHECK(records[0].message.key == "service:cart");
    CHECK(records[1].message.key == "service:checkout");
    CHECK(records[1].message.event_time == at("2026-11-21T05:30:01Z"));
    const auto lines = lines_of(fixture);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].body == "level=error it broke");
    CHECK(lines[0].severity == 17);
    CHECK(lines[1].body == "slow");
    CHECK(lines[1].severity == 13);
    CHECK(lines[1].at == at("2026-11-21T05:30:00Z"));
    CHECK(label(lines[1], "host.name") == "web-1");
    CHECK(lines[2].trace_id == "0123456789abcdef0123456789abcdef");
    CHECK(fixture.metric(R"(vigie_ingest_accepted_items_total{source="loki"})") == 3);
}

TEST_CASE("loki: protobuf in snappy says the same", "[ingest]") {
    Fixture fixture;
    const auto entry = bytes(1, varint(1, 1795239000) + varint(2, 5000)) + bytes(2, "a line") +
                       bytes(3, bytes(1, "user") + bytes(2, "ada"));
    const auto stream = bytes(1, R"({job="varlogs", app="a\"b"})") + bytes(2, entry);
    const auto body = snappy(bytes(1, stream));
    const Labels headers{{"content-type", "application/x-protobuf"}};
    const auto answer = fixture.post("/loki/api/v1/push", body, headers);
    INFO(answer.body);
    CHECK(answer.status == 204);
    const auto lines = lines_of(fixture);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].body == "a line");
    CHECK(lines[0].at == at("2026-11-21T05:30:00.000005Z"));
    CHECK(label(lines[0], "user") == "ada");
    CHECK(label(lines[0], "service.name") == "a\"b");

    for (const auto& bad : {std::string("nonsense"), body.substr(0, body.size() - 3),
                            snappy(bytes(1, bytes(1, "no braces"))),
                            snappy(bytes(1, bytes(1, "{a=b}"))), snappy("\x0a\x7f")}) {
        CHECK(fixture.post("/loki/api/v1/push", bad, headers).status == 400);
    }
    CHECK(fixture.on(topics::kDeadLetter).size() == 5);
}

TEST_CASE("loki: bad JSON, type, size and token are refused", "[ingest]") {
    Receivers::Options options;
    options.loki_token = "t";
    options.intake.decode.items_max = 1;
    Fixture fixture(options);
    const Labels headers{{"content-type", "application/json"}, {"authorization", "Basic eDp0"}};
    for (const std::string body :
         {"", "{}", R"({"streams":{}})", R"({"streams":[{"stream":{}}]})",
          R"({"streams":[{"stream":{},"values":[["x","y"]]}]})",
          R"({"streams":[{"stream":{"a":1},"values":[]}]})",
          R"({"streams":[{"stream":{},"values":[["1"]]}]})",
          R"({"streams":[{"stream":{},"values":[["1","a"],["2","b"]]}]})"}) {
        INFO(body);
        CHECK(fixture.post("/loki/api/v1/push", body, headers).status == 400);
    }
    CHECK(fixture.post("/loki/api/v1/push", "{}", kJsonHeaders).status == 401);
    CHECK(fixture
              .post("/loki/api/v1/push", "{}",
                    {{"content-type", "text/html"}, {"authorization", "Bearer t"}})
              .status == 415);
    CHECK(fixture.on(topics::kLogs).empty());
}

TEST_CASE("JSON lines: known names are understood, the rest are attributes", "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post(
        "/api/v1/logs",
        "{\"time\":\"2026-11-21T05:30:00Z\",\"level\":\"ERROR\",\"msg\":\"it broke\","
        "\"service\":\"cart\",\"user\":{\"id\":7}}\r\n"
        "\n{\"ts\":1795239001.5,\"message\":\"later\",\"service\":\"cart\",\"level\":30}\n"
        "plain text\n{\"a\":1}",
        {{"content-type", "application/x-ndjson"}});
    INFO(answer.body);
    CHECK(answer.status == 204);
    const auto lines = lines_of(fixture);
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].body == "plain text");
    CHECK(lines[0].at == at("2026-11-21T05:39:30Z"));  // The clock's
    CHECK(lines[1].body == R"({"a":1})");
    CHECK(lines[2].body == "it broke");
    CHECK(lines[2].severity == 17);
    CHECK(lines[2].at == at("2026-11-21T05:30:00Z"));
    CHECK(label(lines[2], "user") == R"({"id":7})");
    CHECK(lines[3].severity == 9);
    CHECK(lines[3].at == at("2026-11-21T05:30:01.5Z"));

    const auto bad = fixture.post("/api/v1/logs", "{\"a\":1}\n{\"a\":", {});
    CHECK(bad.status == 400);
    CHECK(bad.body.starts_with("line 2: "));
    CHECK(fixture.post("/api/v1/logs", R"([{"msg":"x"},{"msg":"y"}])", {}).status == 204);
    CHECK(fixture.post("/api/v1/logs", "[1]", {}).status == 400);
    CHECK(fixture.post("/api/v1/logs", "\n\n", {}).status == 204);
}

TEST_CASE("log lines: a content type that is not taken is named, with those that are", "[ingest]") {
    Fixture fixture;
    const Labels form{{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
    const auto lines = fixture.post("/api/v1/logs", "{}", form);
    CHECK(lines.status == 415);
    CHECK(lines.body.starts_with(
        "the content type is 'application/x-www-form-urlencoded'; taken are application/"));
    CHECK(lines.body.ends_with(", or none at all"));
    const auto loki = fixture.post("/loki/api/v1/push", "{}", form);
    CHECK(loki.body.find(", ,") == std::string::npos);
}

TEST_CASE("syslog: RFC 5424 with structured data", "[ingest]") {
    const auto line = parse(
        "<165>1 2026-11-21T05:30:00.003Z web-1 checkout 8710 ID47 "
        R"([ex@32473 iut="3" eventID="10\"1\]1"][x@1 a="b"] )"
        "\xef\xbb\xbf"
        "An application event");
    CHECK(line.understood);
    CHECK(line.record.severity == 10);
    CHECK(line.record.body == "An application event");
    CHECK(line.record.at == at("2026-11-21T05:30:00.003Z"));
    CHECK(resource(line, "host.name") == "web-1");
    CHECK(resource(line, "service.name") == "checkout");
    CHECK(label(line.record, "process.pid") == "8710");
    CHECK(label(line.record, "syslog.msgid") == "ID47");
    CHECK(label(line.record, "syslog.facility") == "20");
    CHECK(label(line.record, "ex@32473.eventID") == "10\"1]1");
    CHECK(label(line.record, "x@1.a") == "b");
    const auto bare = parse("<34>1 - - - - - -");
    CHECK(bare.record.body.empty());
    CHECK(resource(bare, "host.name") == "192.0.2.7");
    CHECK(bare.record.at == at("2026-11-21T05:39:30Z"));
}

TEST_CASE("syslog: RFC 3164, and what logger and rsyslog make of it", "[ingest]") {
    const auto line = parse("<34>Nov  1 22:14:15 mymachine su[12]: 'su root' failed\n");
    CHECK(line.record.body == "'su root' failed");
    CHECK(line.record.severity == 18);
    CHECK(line.record.at == at("2026-11-01T22:14:15Z"));
    CHECK(resource(line, "host.name") == "mymachine");
    CHECK(resource(line, "service.name") == "su");
    CHECK(label(line.record, "process.pid") == "12");

    const auto local = parse("<13>Nov 21 05:30:00 ada: hello");
    CHECK(local.record.body == "hello");
    CHECK(resource(local, "service.name") == "ada");
    CHECK(resource(local, "host.name") == "192.0.2.7");

    const auto precise = parse("<13>2026-11-21T05:30:00.5+00:00 web-1 app: hi");
    CHECK(precise.record.at == at("2026-11-21T05:30:00.5Z"));
    CHECK(resource(precise, "host.name") == "web-1");

    // December, seen from January, was last year.
    const auto december =
        parse_syslog("<13>Dec 31 23:59:59 h a: b", at("2027-01-01T00:00:05Z"), "p");
    CHECK(december.record.at == at("2026-12-31T23:59:59Z"));
}

TEST_CASE("syslog: what is none is a line of text", "[ingest]") {
    for (const std::string_view text :
         {"hello", "", "<", "<999>x", "<-1>x", "<>x", "<13", "13>x"}) {
        INFO(text);
        const auto line = parse(text);
        CHECK_FALSE(line.understood);
        CHECK(line.record.body == text);
    }
    CHECK(parse("<13>1 tomorrow h a - - - x").record.body == "1 tomorrow h a - - - x");
    CHECK(parse("<13>1 - h a - - [open x").record.body.find("[open x") != std::string::npos);
    CHECK(parse("<13>bad \xff utf8").record.body == "bad \xef\xbf\xbd utf8");
}

TEST_CASE("syslog: messages of one sender are appended together", "[ingest]") {
    Fixture fixture({}, true);
    int taken = -1;
    fixture.receivers->receive_syslog(
        {"<13>1 - web-1 cart - - - one", "<13>1 - web-1 cart - - - two", "three"}, "192.0.2.7:5000",
        [&](bool done) { taken = done ? 1 : 0; });
    CHECK(taken == -1);
    fixture.held.release();
    CHECK(taken == 1);
    CHECK(lines_of(fixture).size() == 3);
    CHECK(fixture.metric(R"(vigie_ingest_accepted_items_total{source="syslog"})") == 3);
    CHECK(fixture.metric(R"(vigie_ingest_foreign_lines_total{source="syslog"})") == 1);
}

TEST_CASE("syslog: when the log is full the sender is asked to wait", "[ingest]") {
    Receivers::Options options;
    options.intake.in_flight_bytes_max = 10;
    Fixture fixture(options);
    int taken = -1;
    fixture.receivers->receive_syslog({"<13>longer than ten bytes"}, "192.0.2.7:5000",
                                      [&](bool done) { taken = done ? 1 : 0; });
    CHECK(taken == 0);
}
