#include <catch2/catch.hpp>

#include "ingest/mapping.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
const std::pair<std::string, std::string> kToken{"authorization", "Bearer t"};

Mapping alert_mapping() {
    Mapping mapping;
    mapping.each = "/events";
    mapping.alert.emplace();
    mapping.alert->name = "/trigger/name";
    mapping.alert->summary = "/text";
    mapping.alert->severity = "/level";
    mapping.alert->severities = {{"P1", schemas::Severity::kCritical}};
    mapping.alert->state = "/state";
    mapping.alert->entity = "/host";
    mapping.alert->entity_kind = "host";
    mapping.alert->at = "/when";
    mapping.alert->url = "/link";
    mapping.alert->labels = {{"team", "/team"}, {"origin", "zabbix"}};
    return mapping;
}

Receivers::Options options_with(Mapping mapping) {
    Receivers::Options options;
    options.generic = {{"zabbix", "t", std::move(mapping)}};
    options.cloudevents_token = "t";
    Mapping change;
    change.change.emplace();
    change.change->entity = "/subject";
    change.change->version = "/data/version";
    change.change->key = "/data/run";
    change.change->status = "done";
    change.change->at = "/time";
    options.cloudevents = {{"com.example.deploy*", change}};
    return options;
}

}  // namespace

TEST_CASE("generic: pointers of the configuration make alerts of any JSON", "[ingest]") {
    Fixture fixture(options_with(alert_mapping()));
    const auto answer = fixture.post("/webhooks/generic/zabbix", R"({"events":[
        {"trigger":{"name":"Disk full"},"text":"99 %","level":"P1","state":"problem","host":"db1",
         "when":1795239000,"link":"https://z.example/1","team":"dba"},
        {"trigger":{"name":"Load"},"level":"info","state":"ok","host":"service:web"}]})",
                                     {{"content-type", "application/json"}, kToken});
    CHECK(answer.status == 200);
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    CHECK(events[0].meta.source == "/ingest/generic/zabbix");
    const auto disk = std::get<schemas::Alert>(events[0].data);
    CHECK(disk.firing);
    CHECK(disk.name == "Disk full");
    CHECK(disk.summary == "99 %");
    CHECK(disk.severity == schemas::Severity::kCritical);
    CHECK(disk.entity.value == "host:db1");
    CHECK(disk.starts_at == at("2026-11-21T05:30:00Z"));
    CHECK(disk.url == "https://z.example/1");
    CHECK(disk.labels ==
          schemas::Labels{{"alertname", "Disk full"}, {"origin", "zabbix"}, {"team", "dba"}});
    const auto load = std::get<schemas::Alert>(events[1].data);
    CHECK_FALSE(load.firing);
    CHECK(load.severity == schemas::Severity::kInfo);
    CHECK(load.entity.value == "service:web");
}

TEST_CASE("generic: firing and resolved are one alert", "[ingest]") {
    Fixture fixture(options_with(alert_mapping()));
    for (const auto* state : {"problem", "resolved"}) {
        fixture.post("/webhooks/generic/zabbix",
                     R"({"events":[{"trigger":{"name":"Disk"},"state":")" + std::string(state) +
                         R"(","host":"db1"}]})",
                     {{"content-type", "application/json"}, kToken});
    }
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    CHECK(std::get<schemas::Alert>(events[0].data).fingerprint ==
          std::get<schemas::Alert>(events[1].data).fingerprint);
    CHECK(events[0].meta.id != events[1].meta.id);
}

TEST_CASE("generic: what lacks something is refused whole, with its place", "[ingest]") {
    Fixture fixture(options_with(alert_mapping()));
    const auto post = [&](const std::string& body) {
        return fixture.post("/webhooks/generic/zabbix", body,
                            {{"content-type", "application/json"}, kToken});
    };
    CHECK(post(R"({"events":[{"trigger":{"name":"A"}},{}]})").body ==
          "item 1: /trigger/name is missing");
    CHECK(post("{}").body == "/events is missing");
    CHECK(post(R"({"events":{}})").body == "/events is not a list");
    CHECK(post("{").status == 400);
    CHECK(post(R"({"events":[]})").status == 202);
    CHECK(fixture.on(topics::kAlerts).empty());
    CHECK(fixture.on(topics::kDeadLetter).size() == 4);
    CHECK(fixture.post("/webhooks/generic/zabbix", "{}", kJsonHeaders).status == 401);
    CHECK(fixture.post("/webhooks/generic/other", "{}", kJsonHeaders).status == 404);
}

TEST_CASE("generic: a mapping is checked before it is used", "[ingest]") {
    auto mapping = alert_mapping();
    CHECK(check_mapping(mapping).has_value());
    mapping.alert->entity = "/a~2b";
    CHECK_FALSE(check_mapping(mapping).has_value());
    mapping = alert_mapping();
    mapping.each = "events";
    CHECK_FALSE(check_mapping(mapping).has_value());
    mapping = alert_mapping();
    mapping.alert->name.clear();
    CHECK_FALSE(check_mapping(mapping).has_value());
}

TEST_CASE("cloudevents: structured, binary and batch say the same", "[ingest]") {
    const std::string event =
        R"({"specversion":"1.0","id":"7","source":"/ci","type":"com.example.deploy.v1",
           "subject":"checkout","time":"2026-11-21T05:30:00Z","data":{"version":"1.5","run":12}})";
    const auto check = [&](const std::string& body, const Headers& headers) {
        Fixture fixture(options_with(alert_mapping()));
        const auto answer = fixture.post("/cloudevents", body, headers);
        INFO(answer.body);
        CHECK(answer.status == 200);
        const auto events = fixture.events_on(topics::kChanges);
        REQUIRE(events.size() == 1);
        const auto change = std::get<schemas::Change>(events[0].data);
        CHECK(change.entity.value == "service:checkout");
        CHECK(change.version == "1.5");
        CHECK(change.key == "com.example.deploy.v1:12");
        CHECK(change.status == "done");
        CHECK(change.at == at("2026-11-21T05:30:00Z"));
        return events[0].meta.id;
    };
    const auto structured =
        check(event, {{"content-type", "application/cloudevents+json; charset=utf-8"}, kToken});
    const auto batch =
        check("[" + event + "]", {{"content-type", "application/cloudevents-batch+json"}, kToken});
    const auto binary =
        check(R"({"version":"1.5","run":12})", {{"content-type", "application/json"},
                                                {"ce-specversion", "1.0"},
                                                {"ce-id", "7"},
                                                {"ce-source", "%2Fci"},
                                                {"ce-type", "com.example.deploy.v1"},
                                                {"ce-subject", "checkout"},
                                                {"ce-time", "2026-11-21T05:30:00Z"},
                                                kToken});
    CHECK(structured == batch);
    CHECK(structured == binary);
}

TEST_CASE("cloudevents: our own alerts and changes pass as they are, decisions never", "[ingest]") {
    Fixture fixture(options_with(alert_mapping()));
    const auto post = [&](const std::string& type, const std::string& data) {
        return fixture.post("/cloudevents",
                            R"({"specversion":"1.0","id":"1","source":"/x","type":")" + type +
                                R"(","data":)" + data + "}",
                            {{"content-type", "application/cloudevents+json"}, kToken});
    };
    CHECK(post("io.vigie.alert.v1",
               R"({"fingerprint":"f","firing":true,"name":"A","severity":"info","entity":"",
                   "starts_at":"2026-11-21T05:30:00Z"})")
              .status == 200);
    CHECK(std::get<schemas::Alert>(fixture.events_on(topics::kAlerts)[0].data).name == "A");
    CHECK(post("io.vigie.alert.v1", "{}").status == 400);
    CHECK(post("io.vigie.decision.v1", R"({"kind":"kill","actor":"x","value":"off"})").status ==
          202);
    CHECK(post("com.other", "1").status == 202);
    CHECK(fixture.on(topics::kDecisions).empty());
    CHECK(fixture.on(topics::kAlerts).size() == 1);
}

TEST_CASE("cloudevents: what is none is refused", "[ingest]") {
    Fixture fixture(options_with(alert_mapping()));
    const auto post = [&](const std::string& body, const std::string& type) {
        return fixture.post("/cloudevents", body, {{"content-type", type}, kToken}).status;
    };
    const std::string structured = "application/cloudevents+json";
    for (const std::string body :
         {"", "[]", "1", "{}", R"({"specversion":"0.3","id":"1","source":"s","type":"t"})",
          R"({"specversion":"1.0","id":"","source":"s","type":"t"})",
          R"({"specversion":"1.0","id":"1","source":"s"})",
          R"({"specversion":"1.0","id":"1","source":"s","type":"t","time":"noon"})"}) {
        INFO(body);
        CHECK(post(body, structured) == 400);
    }
    CHECK(post("{}", "application/cloudevents-batch+json") == 400);
    CHECK(post("[{}]", "application/cloudevents-batch+json") == 400);
    CHECK(post("{}", "application/json") == 400);  // Binary mode without its headers
    CHECK(post("[]", "application/cloudevents-batch+json") == 202);
    CHECK(fixture.post("/cloudevents", "{}", {}).status == 401);
}
