#include <catch2/catch.hpp>

#include "ingest/alert.h"
#include "schemas/json.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

schemas::Alert only_alert(const Fixture& fixture) {
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 1);
    return std::get<schemas::Alert>(events[0].data);
}

}  // namespace

TEST_CASE("alertmanager: what Prometheus sends becomes one alert", "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post("/api/v2/alerts", payload("alerts_error_rate"), kJsonHeaders);

    CHECK(answer.status == 200);
    CHECK(answer.body.empty());
    const auto alert = only_alert(fixture);
    CHECK(alert.name == "CheckoutErrorRateHigh");
    CHECK(alert.firing);
    CHECK(alert.severity == schemas::Severity::kCritical);
    CHECK(alert.entity.value == "service:checkout");
    CHECK(alert.summary == "Error ratio 31% on checkout-7f9c");
    CHECK(alert.starts_at == at("2026-11-21T05:39:17.243Z"));
    CHECK(alert.ends_at == at("2026-11-21T05:43:17.243Z"));
    CHECK(alert.url.starts_with("http://prometheus.example:9090/graph"));
    const auto record = fixture.on(topics::kAlerts).at(0);
    CHECK(record.message.key == "default");
    CHECK(record.message.event_time == at("2026-11-21T05:39:30Z"));
    CHECK(fixture.metric(R"(vigie_ingest_accepted_items_total{source="alertmanager"})") == 1);
}

TEST_CASE("alertmanager: the fingerprint is the one that Alertmanager gives", "[ingest]") {
    Fixture fixture;
    fixture.post("/api/v2/alerts", payload("alerts_target_down"), kJsonHeaders);
    // As in the webhook that the real Alertmanager sent for these labels.
    CHECK(only_alert(fixture).fingerprint == "62e36d78d73c297c");
}

TEST_CASE("alertmanager: an end that is past resolves, one that is to come does not", "[ingest]") {
    Fixture fixture;
    fixture.clock.set("2026-11-21T05:39:37.243Z");
    fixture.post("/api/v2/alerts", payload("alerts_error_rate_over"), kJsonHeaders);
    CHECK_FALSE(only_alert(fixture).firing);

    Fixture earlier;
    earlier.clock.set("2026-11-21T05:39:37.242Z");
    earlier.post("/api/v2/alerts", payload("alerts_error_rate_over"), kJsonHeaders);
    CHECK(only_alert(earlier).firing);
}

TEST_CASE("alertmanager: an alert without times starts now and ends after five minutes",
          "[ingest]") {
    Fixture fixture;
    const auto answer =
        fixture.post("/api/v2/alerts",
                     R"([{"labels":{"alertname":"A","empty":""},"endsAt":"0001-01-01T00:00:00Z"}])",
                     kJsonHeaders);
    CHECK(answer.status == 200);
    const auto alert = only_alert(fixture);
    CHECK(alert.starts_at == at("2026-11-21T05:39:30Z"));
    CHECK(alert.ends_at == at("2026-11-21T05:44:30Z"));
    CHECK(alert.labels == schemas::Labels{{"alertname", "A"}});
    CHECK(alert.severity == schemas::Severity::kWarning);
}

TEST_CASE("alertmanager: a start that is to come becomes now", "[ingest]") {
    Fixture fixture;
    fixture.post("/api/v2/alerts",
                 R"([{"labels":{"alertname":"A"},"startsAt":"2027-01-01T00:00:00Z",
                      "endsAt":"2027-01-02T00:00:00Z"}])",
                 kJsonHeaders);
    CHECK(only_alert(fixture).starts_at == at("2026-11-21T05:39:30Z"));
}

TEST_CASE("alertmanager: a repetition has the same id, a later end another", "[ingest]") {
    Fixture fixture;
    const std::string first = payload("alerts_error_rate");
    std::string later = first;
    later.replace(later.find("05:43:17"), 8, "05:44:17");
    fixture.post("/api/v2/alerts", first, kJsonHeaders);
    fixture.clock.advance(std::chrono::seconds{5});
    fixture.post("/api/v2/alerts", first, kJsonHeaders);
    fixture.post("/api/v2/alerts", later, kJsonHeaders);

    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 3);
    CHECK(events[0].meta.id == events[1].meta.id);
    CHECK(events[0].meta.id != events[2].meta.id);
}

TEST_CASE("alertmanager: of several alerts the good ones count and the sender hears of the others",
          "[ingest]") {
    Fixture fixture;
    const auto answer = fixture.post("/api/v2/alerts", R"([
        {"labels":{"alertname":"Good"}},
        {"labels":{}},
        {"labels":{"alertname":"Late"},"startsAt":"2026-11-21T05:00:00Z","endsAt":"2026-11-21T04:00:00Z"}
    ])",
                                     kJsonHeaders);
    CHECK(answer.status == 400);
    CHECK(
        answer.body ==
        R"("alert 1: at least one label pair required; alert 2: start time must be before end time")");
    CHECK(only_alert(fixture).name == "Good");
    CHECK(fixture.on(topics::kDeadLetter).size() == 1);
    CHECK(fixture.metric(R"(vigie_ingest_refused_items_total{source="alertmanager"})") == 2);
}

TEST_CASE("alertmanager: what is said of refused alerts is short, whatever they hold", "[ingest]") {
    Fixture fixture;
    std::string body = R"([{"labels":{"a":"b"}})";
    for (int i = 0; i < 20; ++i) {
        body += R"(,{"labels":{"a":"b",")" + std::string(5000, 'x') + R"(\n":1}})";
    }
    const auto answer = fixture.post("/api/v2/alerts", body + "]", kJsonHeaders);
    CHECK(answer.status == 400);
    CHECK(answer.body.size() < 1000);
    CHECK(answer.body.find("alert 5: labels 'xxx") != std::string::npos);
    CHECK(fixture.on(topics::kAlerts).size() == 1);
}

TEST_CASE("alertmanager: more alerts than the limit are refused together", "[ingest]") {
    Receivers::Options options;
    options.intake.decode.items_max = 2;
    Fixture fixture(options);
    const std::string alert = R"({"status":"firing","labels":{"a":"b"}})";
    const std::string two = "[" + alert + "," + alert + "]";
    const std::string three = "[" + alert + "," + alert + "," + alert + "]";
    CHECK(fixture.post("/api/v2/alerts", two, kJsonHeaders).status == 200);
    CHECK(fixture.post("/api/v2/alerts", three, kJsonHeaders).status == 400);
    const auto notify = [&](const std::string& list) {
        return fixture.post("/webhooks/alertmanager", R"({"version":"4","alerts":)" + list + "}",
                            kJsonHeaders);
    };
    CHECK(notify(two).status == 200);
    CHECK(notify(three).status == 400);
    CHECK(fixture.on(topics::kAlerts).size() == 4);
}

TEST_CASE("alertmanager: bad input is answered in JSON, kept and counted", "[ingest]") {
    Fixture fixture;
    for (const std::string body :
         {"", "{", "{}", "[1]", R"([{"labels":1}])", R"([{"labels":{"a":1}}])",
          R"([{"labels":{"a":"b"},"startsAt":"yesterday"}])",
          R"([{"labels":{"a":"b"},"endsAt":5}])", R"([{"labels":{"":"b"}}])"}) {
        INFO(body);
        const auto answer = fixture.post("/api/v2/alerts", body, kJsonHeaders);
        CHECK(answer.status == 400);
        CHECK(answer.header("content-type") == "application/json");
        const auto reason = schemas::parse_json(answer.body);
        REQUIRE(reason.has_value());
        CHECK(reason->is_string());
    }
    CHECK(fixture.on(topics::kAlerts).empty());
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 9);
    CHECK(letters[2].message.value == "{}");
    CHECK(letters[2].message.key == "alertmanager");
    CHECK(header_of(letters[2].message, topics::kHeaderOrigin) ==
          "192.0.2.7:51234 POST /api/v2/alerts");
    CHECK(header_of(letters[2].message, topics::kHeaderReason) ==
          "the body is not a list of alerts");
    CHECK(fixture.metric(
              R"(vigie_ingest_refused_requests_total{reason="body",source="alertmanager"})") == 9);
}

TEST_CASE("alertmanager: no alerts are nothing to keep", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.post("/api/v2/alerts", "[]", kJsonHeaders).status == 200);
    CHECK(fixture.on(topics::kAlerts).empty());
}

TEST_CASE("alertmanager: another content type is refused", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.post("/api/v2/alerts", "[]", {{"content-type", "text/plain"}}).status == 415);
    CHECK(fixture.post("/api/v2/alerts", "[]", {}).status == 415);
    CHECK(
        fixture.post("/api/v2/alerts", "[]", {{"content-type", "Application/JSON ; charset=utf-8"}})
            .status == 200);
}

TEST_CASE("alertmanager: healthy and ready answer", "[ingest]") {
    Fixture fixture;
    CHECK(fixture.get("/-/healthy").status == 200);
    CHECK(fixture.get("/-/ready").status == 200);
}

TEST_CASE("webhook: what Alertmanager sends becomes alerts without an end", "[ingest]") {
    Fixture fixture;
    const auto answer =
        fixture.post("/webhooks/alertmanager", payload("webhook_target_down"), kJsonHeaders);
    CHECK(answer.status == 200);
    const auto alert = only_alert(fixture);
    CHECK(alert.fingerprint == "62e36d78d73c297c");
    CHECK(alert.firing);
    CHECK_FALSE(alert.ends_at.has_value());
    CHECK(alert.entity.value == "service:gone");
    CHECK(fixture.events_on(topics::kAlerts)[0].meta.source == "/ingest/alertmanager-webhook");
}

TEST_CASE("webhook: resolved is taken from the status and not from the clock", "[ingest]") {
    Fixture fixture;
    std::string body = payload("webhook_target_down");
    while (body.find("\"firing\"") != std::string::npos) {
        body.replace(body.find("\"firing\""), 8, "\"resolved\"");
    }
    body.replace(body.find("0001-01-01T00:00:00Z"), 20, "2026-11-21T05:50:00Z");
    fixture.post("/webhooks/alertmanager", body, kJsonHeaders);
    const auto alert = only_alert(fixture);
    CHECK_FALSE(alert.firing);
    CHECK(alert.ends_at == at("2026-11-21T05:50:00Z"));
}

TEST_CASE("webhook: firing and resolved have different ids", "[ingest]") {
    Fixture fixture;
    const std::string firing = payload("webhook_target_down");
    std::string resolved = firing;
    while (resolved.find("\"firing\"") != std::string::npos) {
        resolved.replace(resolved.find("\"firing\""), 8, "\"resolved\"");
    }
    fixture.post("/webhooks/alertmanager", firing, kJsonHeaders);
    fixture.post("/webhooks/alertmanager", resolved, kJsonHeaders);
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    CHECK(events[0].meta.id != events[1].meta.id);
}

TEST_CASE("webhook: another version, no alerts or a bad one is refused", "[ingest]") {
    Fixture fixture;
    for (const std::string body :
         {R"({"version":"3","alerts":[]})", R"({"version":"4"})", R"({"version":"4","alerts":{}})",
          R"({"version":"4","alerts":[{"status":"odd","labels":{"a":"b"}}]})", "nonsense"}) {
        INFO(body);
        CHECK(fixture.post("/webhooks/alertmanager", body, kJsonHeaders).status == 400);
    }
    CHECK(fixture.on(topics::kDeadLetter).size() == 5);
    CHECK(fixture.on(topics::kAlerts).empty());
}

TEST_CASE("webhook: a configured token is needed, and never kept", "[ingest]") {
    Receivers::Options options;
    options.alertmanager_webhook_token = "fixture-token";
    Fixture fixture(options);
    const std::string body = payload("webhook_error_rate");
    const auto with = [](std::string token) {
        auto headers = kJsonHeaders;
        headers.emplace_back("authorization", std::move(token));
        return headers;
    };
    const auto refused = fixture.post("/webhooks/alertmanager", body, kJsonHeaders);
    CHECK(refused.status == 401);
    CHECK(refused.header("www-authenticate") == "Bearer");
    CHECK(fixture.post("/webhooks/alertmanager", body, with("Bearer fixture-tokem")).status == 401);
    CHECK(fixture.on(topics::kDeadLetter).empty());
    CHECK(fixture.post("/webhooks/alertmanager", body, with("Bearer fixture-token")).status == 200);
    CHECK(only_alert(fixture).name == "CheckoutErrorRateHigh");

    CHECK(fixture.post("/webhooks/alertmanager", "{", with("Bearer fixture-token")).status == 400);
    const auto letters = fixture.on(topics::kDeadLetter);
    REQUIRE(letters.size() == 1);
    for (const auto& [name, value] : letters[0].message.headers) {
        CHECK(value.find("fixture-token") == std::string::npos);
    }
}

TEST_CASE("alertmanager: rules of the configuration say which entity an alert is of", "[ingest]") {
    Receivers::Options options;
    auto rules = schemas::IdentityRules::create({{"queue:{queue}", {}}});
    REQUIRE(rules.has_value());
    options.intake.identity = std::make_shared<const schemas::IdentityRules>(*std::move(rules));
    Fixture fixture(options);
    const std::string labels = R"({"alertname":"Deep","queue":"orders","service":"shop"})";
    CHECK(fixture.post("/api/v2/alerts", "[{\"labels\":" + labels + "}]", kJsonHeaders).status ==
          200);
    CHECK(fixture
              .post("/webhooks/alertmanager",
                    R"({"version":"4","alerts":[{"status":"firing","labels":)" + labels + "}]}",
                    kJsonHeaders)
              .status == 200);
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    for (const auto& event : events) {
        CHECK(std::get<schemas::Alert>(event.data).entity.value == "queue:orders");
    }
}
