#include "schemas/events.h"
#include "schemas/alert_json.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include <catch2/catch.hpp>

#include "schemas/json.h"
#include "tests/schemas/samples.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;
using samples::at;

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The golden alert with one member of the event replaced, or removed when `value` is "".
std::string edited(const std::string& pointer, const std::string& value) {
    Json json = *parse_json(encode(samples::full_events().front().second));
    const Json::json_pointer place(pointer);
    if (value.empty()) {
        json[place.parent_pointer()].erase(place.back());
    } else {
        json[place] = *parse_json(value);
    }
    return dump_json(json);
}

}  // namespace

TEST_CASE("events: an alert that is written without a tree has the same bytes", "[schemas]") {
    Alert alert;
    alert.fingerprint = "f";
    alert.name = "A \"name\" with \\ and \n\t\x01\x7f é";
    alert.labels = {{"a", "1"}, {"b{", "{\"}"}};
    alert.annotations = {{"summary", ""}};
    alert.starts_at = vigie::event_time_from_micros(1'795'239'000'123'456);
    const EventMeta meta{{"id-1"}, "/ingest/x", vigie::event_time_from_micros(5), {"default"}};
    CHECK(encode_alert(meta, alert) == encode({meta, alert}));
    alert.ends_at = vigie::event_time_from_micros(1'795'239'000'000'000);
    alert.firing = false;
    alert.severity = Severity::kCritical;
    alert.url = "https://example.org/a?b=c&d=\"e\"";
    alert.entity = {"service:checkout"};
    CHECK(encode_alert(meta, alert) == encode({meta, alert}));
    alert.labels = {{"b", "\xff"}, {"a", "1"}};  // Not UTF-8, not sorted
    CHECK(encode_alert(meta, alert) == encode({meta, alert}));
    CHECK(encode_alert({}, {}) == encode({EventMeta{}, Alert{}}));
}

TEST_CASE("events: posted alerts are read without a tree when they are as usual", "[schemas]") {
    const auto usual = read_posted_alerts(
        R"([{"labels":{"b":"2","a":"1","empty":""},"annotations":{"x":"y"},"startsAt":"s",
             "endsAt":"e","generatorURL":"u","other":[1,{"z":null}]},{"labels":{}}])",
        {});
    REQUIRE(usual.has_value());
    REQUIRE(usual->size() == 2);
    CHECK(usual->at(0).labels == Labels{{"a", "1"}, {"b", "2"}});
    CHECK(usual->at(0).annotations == Labels{{"x", "y"}});
    CHECK(usual->at(0).starts_at == "s");
    CHECK(usual->at(0).ends_at == "e");
    CHECK(usual->at(0).url == "u");
    DecodeLimits few;
    few.items_max = 1;
    CHECK_FALSE(read_posted_alerts("[{},{}]", few).has_value());
    for (const std::string_view text :
         {"", "{}", "[1]", R"([{"labels":1}])", R"([{"labels":{"a":1}}])",
          R"([{"labels":{"":"b"}}])", R"([{"labels":{"a":"1","a":"2"}}])", R"([{"startsAt":5}])",
          R"([{"labels":null}])", R"([{"labels":{},"labels":{}}])", "[{}", "[\"\xff\"]"}) {
        INFO(text);
        CHECK_FALSE(read_posted_alerts(text, {}).has_value());
    }
}

TEST_CASE("events: every type comes back as it was", "[schemas]") {
    for (const auto& [name, event] : samples::full_events()) {
        INFO(name);
        const auto back = decode(encode(event));
        REQUIRE(back);
        CHECK(*back == event);
        CHECK(encode(*back) == encode(event));
    }
    for (const auto& event : samples::sparse_events()) {
        INFO(type_of(event.data));
        const auto back = decode(encode(event));
        REQUIRE(back);
        CHECK(*back == event);
    }
}

TEST_CASE("events: the bytes are those of the golden files", "[schemas]") {
    for (const auto& [name, event] : samples::full_events()) {
        const std::string path = VIGIE_SOURCE_DIR "/tests/schemas/golden/" + name;
        INFO(path);
        if (const char* accept = std::getenv("VIGIE_ACCEPT_GOLDEN");
            accept != nullptr && *accept == '1') {
            std::ofstream(path, std::ios::binary)
                << dump_json_pretty(*parse_json(encode(event))) << '\n';
        }
        const auto golden = parse_json(read_file(path));
        REQUIRE(golden);
        CHECK(dump_json_pretty(*golden) == dump_json_pretty(*parse_json(encode(event))));
        CHECK(dump_json(*golden) == encode(event));
    }
}

TEST_CASE("events: every type has a schema that names exactly its fields", "[schemas]") {
    for (const auto& [name, event] : samples::full_events()) {
        INFO(name);
        const auto schema = parse_json(schema_of(type_of(event.data)));
        REQUIRE(schema);
        const Json data = parse_json(encode(event))->at("data");
        Json names = Json::object();
        if (const Json* properties = find(*schema, "/properties")) names = *properties;
        for (const auto& [field, rule] : names.items()) CHECK(data.contains(field));
        for (const auto& [field, value] : data.items()) CHECK(names.contains(field));
    }
    CHECK(schema_of("io.vigie.unknown.v1").empty());
    CHECK(schema_of("").empty());
}

TEST_CASE("events: what is not an event of ours is refused with its place", "[schemas]") {
    const auto refused = [](const std::string& bytes) {
        const auto result = decode(bytes);
        REQUIRE(!result);
        CHECK(result.error().kind == ErrorKind::kInvalid);
        return result.error().message;
    };
    CHECK_THAT(refused(""), Catch::StartsWith("not JSON at byte"));
    CHECK(refused("[]") == "/: not of type \"object\"");
    CHECK(refused(edited("/specversion", "\"0.3\"")) == "/specversion: must be \"1.0\"");
    CHECK(refused(edited("/id", "\"\"")) == "/id: shorter than 1 characters");
    CHECK(refused(edited("/source", "")) == "/: \"source\" is missing");
    CHECK(refused(edited("/time", "\"yesterday\"")) ==
          "/time: 'yesterday' is not an RFC 3339 time");
    CHECK(refused(edited("/type", "\"io.vigie.nothing.v1\"")) ==
          "/type: unknown event type 'io.vigie.nothing.v1'");
    CHECK(refused(edited("/type", "\"x\"")) == "/type: unknown event type 'x'");
    CHECK(refused(edited("/datacontenttype", "\"text/plain\"")) ==
          "/datacontenttype: must be \"application/json\"");
    CHECK(refused(edited("/data", "[]")) == "/data: not of type \"object\"");
    CHECK(refused(edited("/data/fingerprint", "")) == "/data: \"fingerprint\" is missing");
    CHECK(refused(edited("/data/severity", "\"page\"")) ==
          "/data/severity: not one of the allowed values");
    CHECK(refused(edited("/data/firing", "1")) == "/data/firing: not of type \"boolean\"");
    CHECK(refused(edited("/data/labels/job", "7")) == "/data/labels/job: not of type \"string\"");
    CHECK(refused(edited("/data/ends_at", "\"2026-02-30T00:00:00Z\"")) ==
          "/data/ends_at: '2026-02-30T00:00:00Z' is not an RFC 3339 time");
}

TEST_CASE("events: unknown fields are ignored, absent ones keep their default", "[schemas]") {
    const auto with_more = decode(edited("/data/new_in_v1", "{\"a\": [1]}"));
    REQUIRE(with_more);
    CHECK(*with_more == samples::full_events().front().second);

    auto expected = samples::full_events().front().second;
    std::get<Alert>(expected.data).ends_at.reset();
    CHECK(*decode(edited("/data/ends_at", "")) == expected);
    expected = samples::full_events().front().second;
    expected.meta.domain = {"default"};
    CHECK(*decode(edited("/domain", "")) == expected);
    expected = samples::full_events().front().second;
    CHECK(*decode(edited("/datacontenttype", "")) == expected);
}

TEST_CASE("events: an anomaly says how it ended, or is taken as calm", "[schemas]") {
    Event event = samples::full_events().at(1).second;
    auto& anomaly = std::get<Anomaly>(event.data);
    for (const auto& [ended, name] : {std::pair{Ended::kCalm, "calm"},
                                      {Ended::kSilent, "silent"},
                                      {Ended::kAdapted, "adapted"}}) {
        anomaly.ended = ended;
        CHECK(parse_json(encode(event))->at("data").at("ended") == name);
        const auto back = decode(encode(event));
        REQUIRE(back);
        CHECK(ended_of(std::get<Anomaly>(back->data)) == ended);
    }
    Json json = *parse_json(encode(event));
    json["data"].erase("ended");  // As records were before the field, and as others may be.
    const auto old = decode(dump_json(json));
    REQUIRE(old);
    CHECK(!std::get<Anomaly>(old->data).ended);
    CHECK(ended_of(std::get<Anomaly>(old->data)) == Ended::kCalm);
    json["data"]["ended"] = "gone";
    const auto refused = decode(dump_json(json));
    REQUIRE(!refused);
    CHECK(refused.error().message == "/data/ended: not one of the allowed values");
    anomaly.firing = true;
    anomaly.ended.reset();
    CHECK(!parse_json(encode(event))->at("data").contains("ended"));
}

TEST_CASE("events: numbers that are not finite are null and come back as NaN", "[schemas]") {
    Event event = samples::full_events().at(1).second;
    auto& anomaly = std::get<Anomaly>(event.data);
    anomaly.lower = -std::numeric_limits<double>::infinity();
    anomaly.expected = std::numeric_limits<double>::quiet_NaN();
    const auto bytes = encode(event);
    CHECK(parse_json(bytes)->at("data").at("lower").is_null());
    const auto back = decode(bytes);
    REQUIRE(back);
    CHECK(std::isnan(std::get<Anomaly>(back->data).lower));
    CHECK(std::isnan(std::get<Anomaly>(back->data).expected));
    CHECK(std::get<Anomaly>(back->data).observed == 2.1);
    CHECK(encode(*back) == bytes);
}

TEST_CASE("events: text that is not UTF-8 is replaced and the event stays readable", "[schemas]") {
    Event event = samples::full_events().front().second;
    std::get<Alert>(event.data).summary =
        "a\xff"
        "b";
    const auto back = decode(encode(event));
    REQUIRE(back);
    CHECK(std::get<Alert>(back->data).summary ==
          "a\xEF\xBF\xBD"
          "b");
}

TEST_CASE("events: lists are bounded", "[schemas]") {
    Event event = samples::full_events().at(1).second;
    auto& anomaly = std::get<Anomaly>(event.data);
    anomaly.examples.assign(5, "x");
    CHECK(decode(encode(event)));
    anomaly.examples.assign(6, "x");
    const auto refused = decode(encode(event));
    REQUIRE(!refused);
    CHECK(refused.error().message == "/data/examples: more than 5 items");
}

TEST_CASE("events: labels are sorted, and of two equal names the later wins", "[schemas]") {
    Event event = samples::full_events().front().second;
    std::get<Alert>(event.data).labels = {{"b", "1"}, {"a", "2"}, {"b", "3"}};
    const auto back = decode(encode(event));
    REQUIRE(back);
    CHECK(std::get<Alert>(back->data).labels == Labels{{"a", "2"}, {"b", "3"}});
}

TEST_CASE("events: cut at any byte they are refused, never misread", "[schemas]") {
    for (const auto& [name, event] : samples::full_events()) {
        const auto bytes = encode(event);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            if (decode(std::string_view(bytes).substr(0, size))) FAIL(name << " cut at " << size);
        }
    }
}

TEST_CASE("events: snapshots of incidents and policies come back as they were", "[schemas]") {
    const auto events = samples::full_events();
    const auto& incident = std::get<IncidentEvent>(events.at(6).second.data).incident;
    CHECK(*decode_incident(encode_incident(incident)) == incident);
    const auto& policy = std::get<Policy>(events.at(7).second.data);
    CHECK(*decode_policy(encode_policy(policy)) == policy);
    CHECK(decode_incident("{}").error().message == "/: \"id\" is missing");
    CHECK(!decode_policy(
        "{\"modes\": [{\"action\": \"*\", \"target\": \"*\", \"mode\": \"yolo\"}]}"));
}

TEST_CASE("events: names of enumerators read back", "[schemas]") {
    CHECK(to_string(ActionStatus::kInDoubt) == "in_doubt");
    CHECK(to_string(IncidentState::kAwaitingApproval) == "awaiting_approval");
    CHECK(to_string(IncidentState::kReopened) == "reopened");
    CHECK(to_string(Mechanism::kUnknown) == "unknown");
    CHECK(to_string(Symptom::kOther) == "other");
    CHECK(to_string(Ended::kAdapted) == "adapted");
    CHECK(parse_ended("silent") == Ended::kSilent);
    CHECK(!parse_ended(""));
    CHECK(to_string(ChangeKind::kTopology) == "topology");
    CHECK(to_string(ActionPhase::kExecute) == "execute");
    CHECK(parse_severity("critical") == Severity::kCritical);
    CHECK(!parse_severity("Critical"));
    CHECK(parse_mode("autonomous") == Mode::kAutonomous);
    CHECK(parse_risk("irreversible") == Risk::kIrreversible);
    CHECK(parse_decision_kind("resolve") == DecisionKind::kResolve);
    CHECK(!parse_decision_kind(""));
    CHECK(to_string(Confidence{.calibrated = false, .value = 0.99, .outcomes = 7}) ==
          "uncalibrated (n=7)");
    CHECK(to_string(Confidence{.calibrated = true, .value = 0.91, .outcomes = 212}) ==
          "0.91 (n=212)");
}
