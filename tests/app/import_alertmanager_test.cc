#include "app/import_alertmanager.h"

#include <catch2/catch.hpp>

#include "app/config.h"

using namespace vigie::app;

namespace {

const std::string kFile = R"(
global:
  slack_api_url: https://hooks.slack.example/x
  resolve_timeout: 5m
route:
  receiver: on-call
  group_by: [alertname]
  routes:
    - matchers: ['team="db"']
      group_by: [instance]
receivers:
  - name: on-call
    slack_configs:
      - channel: '#ops'
        send_resolved: false
    pagerduty_configs:
      - routing_key_file: /etc/key
    webhook_configs:
      - url: http://127.0.0.1:5001/x
        http_config: {authorization: {credentials: "s3cret"}}
  - name: unused
    email_configs: [{to: a@example.org}]
)";

}  // namespace

TEST_CASE("import: the receiver of the route becomes channels that the configuration takes",
          "[app]") {
    const auto imported = import_alertmanager(kFile, "am.yml");
    REQUIRE(imported.has_value());
    CHECK(imported->refusals.empty());
    CHECK(imported->notes.front().starts_with("am.yml:7:3: group_by: "));
    std::string yaml = imported->yaml;
    CHECK(yaml.find("routing_key_file: \"/etc/key\"") != std::string::npos);
    // A secret file of another machine is not there.
    yaml.replace(yaml.find("routing_key_file"), 16, "routing_key");
    const auto config = parse_config(yaml, "vigie.yaml", {});
    INFO(yaml);
    REQUIRE(config.has_value());
    REQUIRE(config->outward.slack.size() == 1);
    CHECK(config->outward.slack[0].url == "https://hooks.slack.example/x");
    CHECK(config->outward.slack[0].channel.kinds.size() == 3);
    REQUIRE(config->outward.webhooks.size() == 1);
    CHECK(config->outward.webhooks[0].headers[0].second == "Bearer s3cret");
    CHECK(config->outward.pagerduty.size() == 1);
}

TEST_CASE("import: what cannot be expressed is refused with its line", "[app]") {
    const auto refused = [](const std::string& more, std::string_view what) {
        const auto imported = import_alertmanager(more, "am.yml");
        REQUIRE(imported.has_value());
        INFO(more);
        REQUIRE_FALSE(imported->refusals.empty());
        INFO(imported->refusals[0]);
        CHECK(imported->refusals[0].starts_with("am.yml:"));
        CHECK(imported->refusals[0].find(what) != std::string::npos);
    };
    const std::string receivers =
        "\nreceivers: [{name: a, webhook_configs: [{url: 'http://x/'}]}, {name: b}]\n";
    refused("route: {receiver: a, routes: [{receiver: b, matchers: [x=y]}]}" + receivers,
            "1:56: label 'x': Vigie's routes see severity and service");
    refused("route: {receiver: a, routes: [{receiver: b, match: {x: y}}]}" + receivers,
            "label 'x'");
    refused("route: {receiver: a, routes: [{receiver: b, matchers: [severity=page]}]}" + receivers,
            "severity 'page'");
    refused("route: {receiver: a, routes: [{receiver: b, active_time_intervals: [x]}]}" + receivers,
            "active_time_intervals");
    refused(
        "route: {receiver: a, routes: [{receiver: b, continue: true, routes: [{receiver: "
        "a}]}]}" +
            receivers,
        "continue: only a route without others");
    refused(
        "route: {receiver: a, mute_time_intervals: [n]}\ntime_intervals: [{name: n, "
        "time_intervals: [{weekdays: [someday]}]}]" +
            receivers,
        "2:46: time_intervals 'n'.weekdays: 'someday' is not a weekday");
    refused(
        "route: {receiver: a, mute_time_intervals: [n]}\ntime_intervals: [{name: n, "
        "time_intervals: [{location: Europe/Paris}]}]" +
            receivers,
        "location: must be UTC");
    refused("route: {receiver: a, routes: [{matchers: ['x=~(']}]}" + receivers,
            "regular expression");
    refused("route: {receiver: a, mute_time_intervals: [night]}" + receivers,
            "the time interval 'night' is not there");
    refused("route: {receiver: c}" + receivers, "no receiver 'c'");
    refused("route: {receiver: a}\ninhibit_rules: [{equal: [x]}]" + receivers, "2:");
    refused("route: {receiver: a}\nreceivers: [{name: a, email_configs: [{to: x}]}]",
            "email_configs");
    refused("route: {receiver: a}\nreceivers: [{name: a, slack_configs: [{channel: x}]}]",
            "api_url");
    refused("route: {receiver: a}\nreceivers: [{name: a, pagerduty_configs: [{service_key: x}]}]",
            "routing_key");
    CHECK_FALSE(import_alertmanager("a: b", "am.yml").has_value());
    CHECK_FALSE(import_alertmanager("a: [", "am.yml").has_value());
}

TEST_CASE("import: routes and times become those of the configuration", "[app]") {
    const auto imported = import_alertmanager(R"(
route:
  receiver: chat
  routes:
    - receiver: pager
      matchers: [severity="critical"]
      continue: true
    - receiver: db
      match_re: {service: db|cache}
      routes:
        - receiver: nobody
          match: {severity: info}
    - receiver: db
      matchers: ['vigie_entity="host:db-1"']
      mute_time_intervals: [night]
receivers:
  - {name: chat, webhook_configs: [{url: 'http://127.0.0.1:1/a'}]}
  - {name: db, webhook_configs: [{url: 'http://127.0.0.1:1/b'}, {url: 'http://127.0.0.1:1/c'}]}
  - {name: pager, pagerduty_configs: [{routing_key: k}]}
  - {name: nobody}
  - {name: unused, email_configs: [{to: x}]}
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], weekdays: ['monday:friday']}]
  - name: unused
    time_intervals: [{months: [may]}]
)",
                                              "am.yml");
    REQUIRE(imported.has_value());
    INFO(imported->yaml);
    CHECK(imported->refusals.empty());
    const auto config = parse_config(imported->yaml, "vigie.yaml", {});
    REQUIRE((config ? std::vector<std::string>{} : config.error().lines) ==
            std::vector<std::string>{});
    CHECK(imported->yaml.find("unused") == std::string::npos);
    REQUIRE(config->outward.routes != nullptr);
    const auto ways = [&](vigie::schemas::Severity severity, const std::string& entity,
                          std::string_view time) {
        vigie::notify::Message message;
        message.kind = "page";
        message.severity = severity;
        message.entities = {entity};
        std::string out;
        for (const auto& way : config->outward.routes->find(message, *vigie::parse_rfc3339(time))
                                   .value_or(std::vector<vigie::notify::Routes::Way>{})) {
            out += fmt::format("{}@{} ", way.channel, vigie::to_rfc3339(way.from).substr(11, 5));
        }
        return out;
    };
    using vigie::schemas::Severity;
    constexpr auto kNoon = "2026-11-18T12:00:00Z";  // A Wednesday
    CHECK(ways(Severity::kWarning, "service:web", kNoon) == "chat@12:00 ");
    CHECK(ways(Severity::kCritical, "service:web", kNoon) == "pager@12:00 chat@12:00 ");
    CHECK(ways(Severity::kCritical, "service:db", kNoon) ==
          "pager@12:00 db@12:00 db-webhook@12:00 ");
    CHECK(ways(Severity::kInfo, "service:cache", kNoon).empty());
    CHECK(ways(Severity::kInfo, "host:db-1", kNoon) == "db@12:00 db-webhook@12:00 ");
    CHECK(ways(Severity::kInfo, "host:db-1", "2026-11-18T22:30:00Z") ==
          "db@00:00 db-webhook@00:00 ");
}
