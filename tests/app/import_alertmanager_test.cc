#include "app/import_alertmanager.h"

#include <algorithm>

#include <fmt/format.h>
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

namespace {

bool has_line(const std::vector<std::string>& lines, std::string_view what) {
    return std::ranges::any_of(
        lines, [&](const auto& line) { return line.find(what) != std::string::npos; });
}

}  // namespace

TEST_CASE("import: what is printed is taken, also when all of a receiver was refused", "[app]") {
    for (const std::string lost :
         {"slack_configs: [{channel: x}]", "pagerduty_configs: [{service_key: x}]",
          "webhook_configs: [{max_alerts: 1}]", "email_configs: [{to: x}]"}) {
        const auto imported = import_alertmanager(
            "route: {receiver: a, routes: [{receiver: b, match: {severity: info}}]}\n"
            "receivers: [{name: a, webhook_configs: [{url: 'http://x/'}]}, {name: b, " +
                lost + "}]\n",
            "am.yml");
        REQUIRE(imported.has_value());
        INFO(imported->yaml);
        const auto config = parse_config(imported->yaml, "vigie.yaml", {});
        CHECK((config ? std::vector<std::string>{} : config.error().lines) ==
              std::vector<std::string>{});
        CHECK(has_line(imported->refusals, "am.yml:2:63: receiver 'b': nothing is left of it"));
    }
    // The first route is refused: what is left is no route for everything.
    const auto part = import_alertmanager(
        "route: {receiver: a, active_time_intervals: [n], routes: [{receiver: b, match: "
        "{severity: info}}]}\nreceivers: [{name: a}, {name: b, webhook_configs: [{url: "
        "'http://x/', timeout: 7s}]}]\n",
        "am.yml");
    REQUIRE(part.has_value());
    INFO(part->yaml);
    CHECK(part->yaml.find("matchers: [\"severity=") != std::string::npos);
    const auto config = parse_config(part->yaml, "vigie.yaml", {});
    REQUIRE(config);
    CHECK(config->outward.webhooks.at(0).channel.timeout == std::chrono::seconds{7});
}

TEST_CASE("import: everything that is not read has its line", "[app]") {
    const auto imported = import_alertmanager(R"(global:
  smtp_from: a@example.org
  http_config: {proxy_url: 'http://proxy'}
tracing: {endpoint: x}
route:
  receiver: a
  colour: red
  routes:
    - receiver: b
      matchers: [team=x]
      routes: [{receiver: c}]
    - receiver: a
      group_wait: 1s
receivers:
  - name: a
    slack_configs: [{api_url: 'http://x/', color: red, http_config: {proxy_url: x}}]
    webhook_configs:
      - url_file: rel/url
        max_alerts: 3
        timeout: 0s
        colour: red
  - name: c
    webhook_configs: [{url: 'http://x/'}]
time_intervals:
  - {name: night, time_intervals: [{months: [may]}], colour: red}
)",
                                              "am.yml");
    REQUIRE(imported.has_value());
    INFO(fmt::format("{}", fmt::join(imported->refusals, "\n")));
    INFO(fmt::format("{}", fmt::join(imported->notes, "\n")));
    for (const auto* line :
         {"am.yml:3:3: global.http_config: ", "am.yml:4:1: tracing: ", "am.yml:7:3: route.colour: ",
          "am.yml:11:7: routes: the route that they are below is refused",
          "am.yml:16:56: receivers[].slack_configs[].http_config: ", "am.yml:20:9: timeout '0s'",
          "am.yml:21:9: receivers[].webhook_configs[].colour: ",
          "am.yml:25:54: time_intervals[].colour: "}) {
        INFO(line);
        CHECK(has_line(imported->refusals, line));
    }
    CHECK(imported->refusals.size() == 9);  // And the label 'team'.
    for (const auto* line :
         {"am.yml:2:3: global.smtp_from: not used",
          "am.yml:13:7: group_wait: ", "am.yml:16:44: receivers[].slack_configs[].color: not used",
          "am.yml:18:9: 'rel/url': Vigie looks for it in the folder that it is started in",
          "am.yml:19:9: receivers[].webhook_configs[].max_alerts: not needed",
          "am.yml:22:5: receiver 'c': not used",
          "am.yml:25:5: the time interval 'night': no route"}) {
        INFO(line);
        CHECK(has_line(imported->notes, line));
    }
}
