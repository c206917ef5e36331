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
            "a route to the receiver 'b'");
    refused("route: {receiver: a, routes: [{matchers: ['x=~(']}]}" + receivers,
            "regular expression");
    refused("route: {receiver: a, mute_time_intervals: [night]}" + receivers,
            "mute_time_intervals");
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
