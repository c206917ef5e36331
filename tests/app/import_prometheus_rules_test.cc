#include "app/import_prometheus_rules.h"

#include <catch2/catch.hpp>

#include "app/config.h"
#include "detectors/rules/rules.h"
#include "tests/support/promtool.h"
#include "tests/support/temp_folder.h"

using namespace vigie::app;

namespace {

const std::string kFile = R"(groups:
  - name: shop
    interval: 30s
    rules:
      - record: job:errors:ratio
        expr: |
          sum by (job) (rate(http_requests_total{code=~"5.."}[5m]))
            / sum by (job) (rate(http_requests_total[5m]))
      - alert: ErrorsHigh
        expr: job:errors:ratio > 0.05
        for: 10m
        keep_firing_for: 5m
        labels:
          severity: page
          team: shop
        annotations:
          summary: '{{ $labels.job }} fails at {{ $value | humanizePercentage }}'
      - alert: InstanceDown
        expr: up == 0
        for: 1d
        labels: {severity: info}
        annotations:
          description: "{{ query \"up\" }} of {{ $externalLabels.site }}"
      - alert: TargetMissing
        expr: absent(up{job="shop"})
  - name: more
    rules:
      - alert: ErrorsHigh
        expr: >
          increase(errors_total[1h]) > 100
          unless on (job) maintenance == 1
)";

Imported imported(const std::string& text) {
    std::set<std::string> names;
    auto result = import_prometheus_rules(text, "rules.yml", names);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *std::move(result);
}

// The only refusal of one rule with this expression, which stands in line 4 from column 15 on.
std::string refusal(const std::string& expression) {
    const auto result = imported("groups:\n  - name: a\n    rules:\n      - expr: " + expression +
                                 "\n        alert: X\n");
    REQUIRE(result.refusals.size() == 1);
    CHECK(result.yaml == "detect: {}\n");
    return result.refusals[0];
}

}  // namespace

TEST_CASE("import: alerting rules of Prometheus become rules that the configuration takes",
          "[app]") {
    const auto result = imported(kFile);
    CHECK(result.refusals.empty());
    INFO(result.yaml);
    const auto config = parse_config(result.yaml, "vigie.yaml", {});
    REQUIRE(config.has_value());
    const auto& rules = config->detect.rules.rules;
    REQUIRE(rules.size() == 4);
    CHECK(rules[0].name == "ErrorsHigh");
    CHECK(rules[0].expression.find("http_requests_total") != std::string::npos);
    CHECK(rules[0].hold == std::chrono::minutes(10));
    CHECK(rules[0].keep_firing == std::chrono::minutes(5));
    CHECK(rules[0].severity == vigie::schemas::Severity::kCritical);
    CHECK(rules[0].symptom == vigie::schemas::Symptom::kTraffic);
    CHECK(rules[0].summary == "{label:job} fails at {value}");
    CHECK(rules[1].hold == std::chrono::hours(24));
    CHECK(rules[1].severity == vigie::schemas::Severity::kInfo);
    CHECK(rules[1].summary == "… of …");
    CHECK(rules[2].symptom == vigie::schemas::Symptom::kAbsence);
    CHECK(rules[2].severity == vigie::schemas::Severity::kWarning);
    CHECK(rules[3].name == "ErrorsHigh-2");
    std::string notes;
    for (const auto& note : result.notes) notes += note + "\n";
    CHECK(notes.find("rules.yml:15:11: label team: ") != std::string::npos);
    CHECK(notes.find("rules.yml:3:5: interval: ") != std::string::npos);
    CHECK(notes.find("recording rule 'job:errors:ratio'") != std::string::npos);
    CHECK(notes.find("description: only $value and $labels.NAME") != std::string::npos);
}

TEST_CASE("import: what is not kept of a rule or its group is noted where it stands", "[app]") {
    const auto result = imported(R"(groups:
  - name: shop
    limit: 10
    query_offset: 1m
    source_tenants: [a]
    labels: {severity: critical, team: shop}
    rules:
      - {record: r, expr: up}
      - alert: A
        expr: up == 0
        annotations:
          summary: 'of {prod} {{ $labels. }}'
          description: more
          runbook_url: https://example.org/a
      - {alert: B, expr: up == 1, labels: {severity: info}}
      - {alert: C, expr: r == 1}
)");
    const std::vector<std::string> notes{
        "rules.yml:3:5: limit: not kept: nothing limits how many alerts a rule has",
        "rules.yml:4:5: query_offset: not kept: detect.lateness_max says for all how late "
        "telemetry may come",
        "rules.yml:5:5: source_tenants: is not known here and not kept",
        "rules.yml:6:34: label team: an anomaly carries the labels of its entity only",
        "rules.yml:8:9: recording rule 'r': not kept; its expression stands where it is read",
        "rules.yml:13:11: annotation description: not kept: a rule has one text, its summary",
        "rules.yml:14:11: annotation runbook_url: not kept: a rule has one text, its summary",
        "rules.yml:12:11: summary: only $value and $labels.NAME are filled in",
    };
    CHECK(result.notes == notes);
    CHECK(result.refusals ==
          std::vector<std::string>{"rules.yml:16:26: 'r' is a recording rule of this file, which "
                                   "adds labels"});
    const auto config = parse_config(result.yaml, "vigie.yaml", {});
    REQUIRE(config);
    const auto& rules = config->detect.rules.rules;
    REQUIRE(rules.size() == 2);
    CHECK(rules[0].severity == vigie::schemas::Severity::kCritical);
    CHECK(rules[0].summary == "of (prod) …");
    CHECK(rules[1].severity == vigie::schemas::Severity::kInfo);
}

TEST_CASE("import: names are told apart across files", "[app]") {
    std::set<std::string> names{"InstanceDown"};
    const auto result = import_prometheus_rules(kFile, "rules.yml", names);
    REQUIRE(result);
    CHECK(result->yaml.find("InstanceDown-2") != std::string::npos);
    CHECK(names.size() == 5);
}

TEST_CASE("import: a rule that cannot be expressed is refused with its place", "[app]") {
    CHECK(refusal("topk(3, up) > 1") ==
          "rules.yml:4:15: 'topk' is not supported: it orders or chooses series");
    CHECK(refusal("stddev(up) > 1") ==
          "rules.yml:4:15: 'stddev' is not supported: sum, avg, min, max and count are the "
          "aggregates here");
    CHECK(
        refusal("up > max_over_time(rate(up[5m])[1h:])").starts_with("rules.yml:4:46: a subquery"));
    CHECK(refusal("'up >'") == "rules.yml:4:20: the expression ends too early");
    CHECK(refusal("1 + 1").starts_with("rules.yml:4:9: rule 'X': expr: gives no series"));
    CHECK(refusal(
              "|\n          up == 1 and\n            label_replace(up, \"a\", \"b\", \"c\", \"d\")")
              .starts_with("rules.yml:6:13: 'label_replace' is not supported"));
    const auto refused = [](const std::string& text) {
        const auto result = imported(text);
        REQUIRE(!result.refusals.empty());
        return result.refusals[0];
    };
    CHECK(refused("groups:\n  - rules:\n      - alert: X\n") ==
          "rules.yml:3:9: alert 'X': has no expr");
    CHECK(refused("groups:\n  - rules:\n      - {alert: X, expr: up, for: soon}\n")
              .starts_with("rules.yml:3:30: for: 'soon' is no duration"));
    CHECK(refused("groups:\n  - rules:\n      - {alert: X, expr: up, fore: 5m}\n")
              .starts_with("rules.yml:3:30: alert 'X': unknown key fore"));
    CHECK(refused("groups:\n  - rules:\n      - {record: a, expr: up}\n"
                  "      - alert: X\n        expr: a{job=\"b\"} > 1\n")
              .starts_with(
                  "rules.yml:5:15: 'a' is a recording rule of this file, and can only stand"));
    CHECK(
        refused("groups:\n  - rules:\n      - {record: a, expr: b}\n      - {record: b, expr: a}\n"
                "      - {alert: X, expr: a > 1}\n")
            .find("and they read each other") != std::string::npos);
    std::set<std::string> names;
    CHECK(import_prometheus_rules("a: 1", "x.yml", names).error().message ==
          "x.yml: this is no rule file of Prometheus: 'groups' is missing");
    CHECK(!import_prometheus_rules("a: [", "x.yml", names));
}

TEST_CASE("import: the rule file of this test is one that Prometheus takes", "[app]") {
    if (!vigie::test::has_promtool()) {
        WARN("no promtool: nothing was compared");
        return;
    }
    const vigie::TempFolder folder;
    vigie::test::write_text(folder.path() + "/rules.yml", kFile);
    const auto answer = vigie::test::run_promtool(folder.path(), "check rules rules.yml");
    INFO(answer.output);
    CHECK(answer.code == 0);
    // And what we write back is PromQL too.
    std::string text = "groups:\n  - name: back\n    rules:\n";
    const auto config = parse_config(imported(kFile).yaml, "vigie.yaml", {});
    REQUIRE(config);
    for (const auto& rule : config->detect.rules.rules) {
        text += "      - alert: X\n        expr: |\n";
        std::string expression = rule.expression;
        for (std::size_t at = 0; (at = expression.find('\n', at)) != std::string::npos; ++at) {
            expression.replace(at, 1, " ");
        }
        text += "          " + expression + "\n";
    }
    vigie::test::write_text(folder.path() + "/back.yml", text);
    const auto back = vigie::test::run_promtool(folder.path(), "check rules back.yml");
    INFO(back.output);
    CHECK(back.code == 0);
}

TEST_CASE("config: a rule takes an expression, a budget, other rules or a parent", "[app]") {
    const std::string good = R"(detect:
  rules:
    - {name: A, expr: 'up == 0', for: 1m}
    - {name: B, burn_rate: {objective: 0.99, bad: 'x_total{code="500"}', total: x_total, by: [job]}}
    - {name: T, severity: info, burn_rate: {bad: a, total: b, ticket: true}}
    - {name: W, burn_rate: {bad: a, total: b, windows: [{long: 2h, short: 10m, factor: 10}]}}
    - {name: C, all_of: [A, B], none_of: [T], parent: A, parent_scope: any}
)";
    const auto config = parse_config(good, "vigie.yaml", {});
    REQUIRE(config);
    const auto& rules = config->detect.rules.rules;
    CHECK(rules[0].expression == "up == 0");
    CHECK(rules[1].expression.find("> 14.4 * 0.01") != std::string::npos);
    CHECK(rules[1].expression.find("sum by (job)(rate(x_total{code=\"500\"}[3600s]))") !=
          std::string::npos);
    CHECK(rules[2].expression.find("[259200s]") != std::string::npos);
    CHECK(rules[3].expression.find("> 10 * 0.001") != std::string::npos);
    CHECK(rules[4].parent_of_any);
    const auto complaint = [](const std::string& rule) {
        const auto bad = parse_config("detect:\n  rules:\n    - " + rule + "\n", "vigie.yaml", {});
        REQUIRE(!bad);
        std::string all;
        for (const auto& line : bad.error().lines) all += line + "\n";
        return all;
    };
    using Catch::Contains;
    CHECK_THAT(
        complaint("{name: A, expr: 'up >'}"),
        Contains("vigie.yaml:3:") && Contains("expr: line 1, column 5: the expression ends"));
    CHECK_THAT(complaint("{name: A, burn_rate: {bad: a, total: 'b['}}"), Contains("total: column"));
    CHECK_THAT(complaint("{name: A, expr: up, parent: Z}"), Contains("there is no rule 'Z'"));
    CHECK_THAT(complaint("{name: A, expr: up, parent: A, parent_scope: all}"),
               Contains("must be entity or any"));
    CHECK_THAT(complaint("{name: A, metric: up}"), Contains("threshold"));
    CHECK_THAT(complaint("{name: A}"), Contains("needs one of"));
    CHECK_THAT(complaint("{name: A, expr: 'up == 0', threshold: 1, group_by: [job]}"),
               Contains("threshold: is for a rule with a metric") && Contains("group_by"));
}
