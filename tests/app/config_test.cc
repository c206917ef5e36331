#include "app/config.h"

#include <catch2/catch.hpp>

using vigie::app::parse_config;

namespace {

std::vector<std::string> complaints(const std::string& text) {
    const auto config = parse_config(text, "v.yaml", {});
    return config ? std::vector<std::string>{} : config.error().lines;
}

}  // namespace

TEST_CASE("config: nothing is the safe defaults", "[app]") {
    const auto config = parse_config("", "v.yaml", {});
    REQUIRE(config);
    CHECK(config->api.address == "127.0.0.1");
    CHECK(config->policy.modes.empty());
    CHECK(config->ingest.intake.domain == config->domain);
}

TEST_CASE("config: what could never work is refused with its place", "[app]") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"data: ''", "v.yaml:1:1: data: must name a folder"},
        {"domain: ''", "v.yaml:1:1: domain: must not be empty"},
        {"tick: 2001ms", "v.yaml:1:1: tick: must be at most 2s"},
        {"ingest: {body_max: 0}",
         "v.yaml:1:10: ingest.body_max: must be from 1B to 7MiB: a body is one record of the log"},
        {"ingest: {body_max: 2MiB, in_flight_max: 1MiB}",
         "v.yaml:1:26: ingest.in_flight_max: must be at least body_max, or no such body could "
         "enter"},
        {"agent:\n  modes: [{action: '', mode: approve}]",
         "v.yaml:2:12: agent.modes[0].action: must not be empty: * is all"},
        {"agent: {diagnose_after: 36525d1s}",
         "v.yaml:1:9: agent.diagnose_after: must be at most 36525d"},
        {"runbooks:\n  folder: /nowhere/at/all",
         "v.yaml:2:3: runbooks.folder: cannot read '/nowhere/at/all': No such file or directory"},
        {"actions:\n  kubernetes: {server: '10.0.0.1:6443'}",
         "v.yaml:2:16: actions.kubernetes.server: URL does not start with http:// or https://"},
        {"actions:\n  proxmox: {server: 'https://pve:8006', certificate_sha256: 'ab:cd'}",
         "v.yaml:2:41: actions.proxmox.certificate_sha256: certificate fingerprint 'ab:cd' is not "
         "a SHA-256 in hex"},
    };
    for (const auto& [text, complaint] : cases) {
        INFO(text);
        CHECK(complaints(text) == std::vector{complaint});
    }
    CHECK(complaints("agent: {diagnose_after: 36525d}").empty());
    CHECK(complaints("ingest: {body_max: 1MiB, in_flight_max: 1MiB}").empty());
}

TEST_CASE("config: a complaint is one line, whatever the file holds", "[app]") {
    const auto lines = complaints("\"a\\nb\": 1\n? " + std::string(3000, 'k') + "\n: 1\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].starts_with("v.yaml:1:1: a b: unknown option; known here: "));
    for (const auto& line : lines) {
        CHECK(line.find('\n') == std::string::npos);
        CHECK(line.size() < 2000);
    }
}

TEST_CASE("config: on Kafka nobody settles an action whose owner may still live", "[app]") {
    const std::string kafka = "bus: {kafka: {bootstrap.servers: 'localhost:1'}}\n";
    const auto wait = [](const std::string& text) {
        const auto config = parse_config(text, "v.yaml", {});
        REQUIRE(config.has_value());
        return config->outward.orphan_wait;
    };
    CHECK(wait("") == std::chrono::seconds{5});
    // 5 minutes until an intent is too old, and twice the timeout.
    CHECK(wait(kafka) > std::chrono::minutes{15});
    CHECK(wait(kafka + "actions: {timeout: 10s, orphan_wait: 1s}\n") > std::chrono::seconds{320});
    CHECK(wait(kafka + "actions: {orphan_wait: 1h}\n") == std::chrono::hours{1});
}

TEST_CASE("config: every way in for events is read", "[app]") {
    const auto config = vigie::app::parse_config(R"(
listen: {syslog_udp: '127.0.0.1:0', syslog_tcp: '[::1]:1514'}
bus: {kafka: {bootstrap.servers: 'x:9092'}}
ingest:
  alertmanager: {token: a}
  grafana: {token: b}
  pagerduty: {secret: c, secret_old: d}
  gitlab: {token: e, signing_secret: f, entities: {shop/checkout: 'service:till'}}
  jenkins: {token: g}
  argocd: {token: h}
  loki: {token: i}
  json_lines: {token: j}
  kubernetes: {server: 'https://10.0.0.1:6443', namespace: shop}
  cloudevents: {token: k, types: [{type: 'com.*', change: {entity: /subject, kind: configuration}}]}
  webhooks:
    - {name: zabbix, token: l, each: /events, alert: {name: /name, severities: {P1: critical}}}
  heartbeats: {every: 1h, grace: 5m, expected: [{name: backup, every: 1d, severity: warning}]}
  kafka:
    - {topic: t1, format: otlp, to: logs}
    - {topic: t2, alert: {name: /n}}
inventory: [{entity: 'service:checkout', owner: shop, tier: '1'}]
)",
                                                 "vigie.yaml", {});
    INFO((config ? std::string() : config.error().lines.front()));
    REQUIRE(config.has_value());
    CHECK(config->syslog_udp.enabled);
    CHECK(config->syslog_tcp.port == 1514);
    CHECK_FALSE(config->syslog_tls.enabled);
    CHECK(config->ingest.pagerduty_secrets == std::vector<std::string>{"c", "d"});
    CHECK(config->ingest.gitlab_signing_secrets == std::vector<std::string>{"f"});
    CHECK(config->ingest.kubernetes.name_space == "shop");
    REQUIRE(config->ingest.generic.size() == 1);
    CHECK(config->ingest.generic[0].mapping.alert->severities.at("P1") ==
          vigie::schemas::Severity::kCritical);
    CHECK(config->ingest.cloudevents[0].mapping.change->kind ==
          vigie::schemas::ChangeKind::kConfiguration);
    CHECK(config->ingest.heartbeats.expected[0].every == std::chrono::hours{24});
    CHECK(config->ingest.heartbeats.expected[0].grace == std::chrono::minutes{5});
    REQUIRE(config->foreign_topics.size() == 2);
    CHECK(config->foreign_topics[0].signal == "vigie.logs");
    CHECK(config->kafka->foreign_topics.contains("t2"));
    CHECK(config->policy.inventory[0].attributes.at("tier") == "1");
}

TEST_CASE("config: what is wrong with a way in has its line", "[app]") {
    const auto complains = [](const std::string& text, std::string_view what) {
        const auto config = vigie::app::parse_config(text, "vigie.yaml", {});
        INFO(text);
        REQUIRE_FALSE(config.has_value());
        std::string all;
        for (const auto& line : config.error().lines) all += line + "\n";
        INFO(all);
        CHECK(all.find(what) != std::string::npos);
    };
    complains("ingest: {webhooks: [{name: a, alert: {summary: x}}]}", "name: is missing");
    complains("ingest: {webhooks: [{name: a}]}", "needs either 'alert' or 'change'");
    complains("ingest: {webhooks: [{name: 'A b', change: {entity: x}}]}", "small letters");
    complains("ingest: {webhooks: [{name: a, change: {entity: /a~x}}]}", "is not a JSON pointer");
    complains("ingest: {webhooks: [{name: a, change: {entity: x, kind: topology}}]}",
              "must be commit");
    complains("ingest: {kafka: [{topic: t, alert: {name: n}}]}", "set bus.kafka");
    complains("ingest: {kubernetes: {}}", "server");
    complains("ingest: {heartbeats: {every: 0s}}", "at least 1s");
    complains("ingest: {cloudevents: {types: [{change: {entity: x}}]}}", "type");
    complains("listen: {syslog_tls: '127.0.0.1:0'}", "needs tls.certificate_file");
}

TEST_CASE("config: sources of telemetry are read", "[app]") {
    const auto config = parse_config(R"(
ingest:
  series_max: 1000
  series_window: 10m
  tenant_label: org
  requests_remembered: 5
  otlp: {token: o}
  remote_write: {token: r}
  sources:
    - {name: team-a, token: a, token_old: b, tenant: acme, series_max: 7,
       rate: {requests: 0.5, bytes: 1MiB, items: 1000, burst: 2s}}
    - name: lab
)",
                                     "v.yaml", {});
    REQUIRE(config);
    const auto& sources = config->ingest.sources;
    CHECK(sources.window == std::chrono::minutes{10});
    CHECK(sources.tenant_label == "org");
    CHECK(config->ingest.intake.requests_remembered == 5);
    CHECK(config->ingest.otlp_token == "o");
    CHECK(config->ingest.remote_write_token == "r");
    REQUIRE(sources.sources.size() == 2);
    const auto& a = sources.sources[0];
    CHECK(a.tokens == std::vector<std::string>{"a", "b"});
    CHECK(a.tenant == "acme");
    CHECK(a.series_max == 7);
    CHECK(a.requests_max == 0.5);
    CHECK(a.bytes_max == 1024 * 1024);
    CHECK(a.items_max == 1000);
    CHECK(a.burst == std::chrono::seconds{2});
    CHECK(sources.sources[1].tokens.empty());
    CHECK(sources.sources[1].series_max == 1000);
    const std::vector<std::pair<std::string, std::string>> cases{
        {"ingest: {sources: [{name: a, token: x}, {name: a, token: y}]}",
         "v.yaml:1:42: ingest.sources[1].name: two sources are named 'a'"},
        {"ingest: {sources: [{name: a, token: x}, {name: b, token: x}]}",
         "v.yaml:1:51: ingest.sources[1].token: is the same as that of 'a'"},
        {"ingest: {sources: [{name: a}, {name: b}]}",
         "v.yaml:1:31: ingest.sources[1].token: only one source can be without"},
        {"ingest: {sources: [{name: A b}]}",
         "v.yaml:1:21: ingest.sources[0].name: must be 1 to 64 small letters, digits, dashes or "
         "underscores"},
        {"ingest: {sources: [{name: a, rate: {burst: 0s}}]}",
         "v.yaml:1:37: ingest.sources[0].rate.burst: must be at least 1s"},
        {"ingest: {tenant_label: 'bad label'}",
         "v.yaml:1:10: ingest.tenant_label: must be 1 to 64 letters, digits, underscores or dots, "
         "and begin with no digit or dot"},
        {"ingest: {sources: [{name: a, tenant: ''}]}",
         "v.yaml:1:30: ingest.sources[0].tenant: must have 1 to 128 bytes"},
        {"ingest: {sources: [{name: a}, {name: b, token_file: /nowhere/token}]}",
         "v.yaml:1:41: ingest.sources[1].token_file: cannot read '/nowhere/token': No "
         "such file or directory"},
    };
    for (const auto& [text, complaint] : cases) {
        INFO(text);
        CHECK(complaints(text) == std::vector{complaint});
    }
}

TEST_CASE("config: bounds of HTTP/2 are read and bounded themselves", "[app]") {
    const auto config = parse_config(
        "listen: {http2: {streams_max: 7, window: 2MiB, resets_max: 8, control_frames_max: 9, "
        "flood_span: 3s}}",
        "v.yaml", {});
    REQUIRE(config);
    CHECK(config->http2.streams_max == 7);
    CHECK(config->http2.window_bytes == 2 * 1024 * 1024);
    CHECK(config->http2.resets_max == 8);
    CHECK(config->http2.control_frames_max == 9);
    CHECK(config->http2.flood_span == std::chrono::seconds{3});
    CHECK(
        complaints("listen: {http2: {window: 1KiB}}") ==
        std::vector<std::string>{"v.yaml:1:18: listen.http2.window: must be from 65535 to 512MiB"});
    CHECK(complaints("listen: {http2: {flood_span: 0s}}").size() == 1);
    CHECK(complaints("listen: {http2: {streams_max: 0}}").size() == 1);
}

TEST_CASE("config: metrics have rules, a deep tier and noise control", "[app]") {
    const auto config = parse_config(R"(
detect:
  rules:
    - {name: slow, metric: http_seconds_bucket, matchers: ['job=shop'], aggregation: quantile, threshold: 1}
  metrics:
    rules:
      - {select: ['queue_*'], direction: up, deviation_min: 5, upper_bound: 100, deep: true}
    deep: {series_max: 50, named: ['revenue_*'], golden: false}
    noise:
      false_alarms_per_day: 0.2
      calendar:
        - {name: backup, entities: 'host:*', begin: 2026-11-29T02:00:00Z, lasts: 2h, every: 1d}
)",
                                     "v.yaml", {});
    REQUIRE(config);
    const auto& metrics = config->detect.metrics;
    REQUIRE(metrics.rules.size() == 1);
    CHECK(metrics.rules[0].direction == vigie::detectors::Direction::kUp);
    CHECK(metrics.rules[0].deviation_min == 5);
    CHECK(metrics.rules[0].bound_high == 100);
    CHECK(metrics.rules[0].deep);
    CHECK(metrics.deep.series_max == 50);
    CHECK(!metrics.deep.golden);
    CHECK(metrics.deep.named ==
          std::vector<std::string>{"revenue_*", "http_seconds_bucket{job=shop}", "http_seconds"});
    CHECK(metrics.noise.false_alarms_per_day == 0.2);
    REQUIRE(metrics.noise.calendar.size() == 1);
    CHECK(metrics.noise.calendar[0].entities == "host:*");
    CHECK(metrics.noise.calendar[0].lasts == std::chrono::hours{2});
    CHECK(metrics.noise.calendar[0].every == std::chrono::hours{24});
    CHECK(complaints("detect: {metrics: {noise: {calendar: [{name: x, begin: soon}]}}}") ==
          std::vector<std::string>{"v.yaml:1:49: detect.metrics.noise.calendar[0].begin: must be a "
                                   "time such as 2026-11-29T02:00:00Z"});
}
