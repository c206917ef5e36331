#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/rules/rule_finding.h"
#include "detectors/rules/rules.h"
#include "support.h"

// Rules by an expression, by other rules and by a budget.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;
using schemas::Labels;

Rule expression(std::string name, std::string text) {
    Rule rule;
    rule.name = std::move(name);
    rule.expression = std::move(text);
    return rule;
}

RuleOptions options_of(std::vector<Rule> rules) {
    RuleOptions options;
    options.rules = std::move(rules);
    options.evaluate_every = 1s;
    return options;
}

class Bench {
public:
    explicit Bench(const RuleOptions& options) {
        auto made = make_rule_detector(options);
        INFO((made ? "" : made.error().message));
        REQUIRE(made);
        detector = *std::move(made);
    }
    void send(const std::string& metric, Labels labels, double seconds, double value) {
        const std::vector<schemas::TimeSeries> batch{
            series(metric, std::move(labels), at(seconds), value)};
        detector->observe(batch, out);
    }
    // "NAME firing", …
    std::string advance(double seconds) {
        detector->advance(at(seconds), out);
        std::string text;
        for (const auto& anomaly : std::exchange(out.anomalies, {})) {
            if (!text.empty()) text += ", ";
            text += anomaly.detector.substr(5) + " " + said(anomaly);
            last = anomaly;
        }
        return text;
    }

    std::unique_ptr<Detector> detector;
    Findings out;
    Anomaly last;
};

std::string refusal(const std::vector<Rule>& rules) {
    const auto made = make_rule_detector(options_of(rules));
    return made ? "" : made.error().message;
}

const Labels kShop{{"instance", "a:1"}, {"job", "shop"}};

}  // namespace

TEST_CASE("rules: an expression fires for each of its elements, with for and keep_firing_for",
          "[detectors]") {
    Rule rule = expression("Busy", "avg_over_time(load[10s]) / 2 > 25");
    rule.hold = 3s;
    rule.keep_firing = 2s;
    rule.summary = "{label:instance} of {label:job} has {value}, not {threshold}; {label:x}";
    Bench bench(options_of({rule}));
    std::map<int, std::string> said_at;
    for (int s = 0; s < 60; ++s) {
        bench.send("load", kShop, s, s >= 20 && s < 40 ? 100 : 10);
        bench.send("load", {{"instance", "b:1"}, {"job", "shop"}}, s, 10);
        if (const auto text = bench.advance(s); !text.empty()) {
            said_at[s] = text;
            if (s < 40) {
                CHECK(bench.last.key == "rule:Busy|{instance=\"a:1\",job=\"shop\"}");
                CHECK(bench.last.entity.value == "service:shop");
                CHECK(bench.last.expected == 25);
                CHECK(bench.last.signal == "avg_over_time(load[10s]) / 2 > 25");
                CHECK(bench.last.reason ==
                      "a:1 of shop has 41, not 25; ?: avg_over_time(load[10s]) / 2 > 25 is 41, "
                      "limit > 25");
            }
        }
    }
    // More than half of ten points are 100 from 24 s on, and until 44 s.
    CHECK(said_at == std::map<int, std::string>{{27, "Busy firing"}, {47, "Busy calm"}});
}

TEST_CASE("rules: what an expression has no data for does not resolve", "[detectors]") {
    Bench bench(options_of({expression("Down", "up == 0")}));
    for (int s = 0; s < 10; ++s) bench.send("up", kShop, s, 0);
    CHECK(bench.advance(10) == "Down firing");
    std::string all;
    for (int s = 11; s < 1000; ++s) all += bench.advance(s);
    CHECK(all == "Down silent");
    bench.send("up", kShop, 1000, 1);
    CHECK(bench.advance(1000) == "Down calm");
}

TEST_CASE("rules: absent waits as long as it looks back, and is over when the series is there",
          "[detectors]") {
    Bench bench(options_of({expression("Gone", "absent(up{job=\"shop\"})")}));
    std::map<int, std::string> said_at;
    for (int s = 0; s < 1000; ++s) {
        if (s >= 600) bench.send("up", kShop, s, 1);
        if (const auto text = bench.advance(s); !text.empty()) said_at[s] = text;
    }
    CHECK(said_at == std::map<int, std::string>{{300, "Gone firing"}, {600, "Gone calm"}});
    CHECK(bench.last.entity.value == "service:shop");
}

TEST_CASE("rules: of other rules, all, any and none", "[detectors]") {
    Rule both;
    both.name = "Both";
    both.all_of = {"Slow", "Failing"};
    Rule either;
    either.name = "Either";
    either.any_of = {"Slow", "Failing"};
    either.none_of = {"Known"};
    Bench bench(
        options_of({both, either, expression("Slow", "latency > 1"),
                    expression("Failing", "errors > 1"), expression("Known", "maintenance > 0")}));
    double now = 0;
    const auto play = [&](double latency, double errors, double known) {
        ++now;
        bench.send("latency", kShop, now, latency);
        bench.send("errors", kShop, now, errors);
        bench.send("maintenance", kShop, now, known);
        // Of another entity: it takes no part.
        bench.send("errors", {{"job", "bank"}}, now, 0);
        return bench.advance(now);
    };
    CHECK(play(0, 0, 0).empty());
    CHECK(play(5, 0, 0) == "Slow firing, Either firing");
    CHECK(play(5, 5, 0) == "Failing firing, Both firing");
    CHECK(bench.last.reason == "Both: rules that fire: all of Slow, Failing is 2");
    CHECK(bench.last.entity.value == "service:shop");
    CHECK(play(5, 5, 1) == "Known firing, Either calm");
    CHECK(play(5, 0, 1) == "Failing calm, Both calm");
    CHECK(play(5, 0, 0) == "Known calm, Either firing");
    CHECK(play(0, 0, 0) == "Slow calm, Either calm");
}

TEST_CASE("rules: a rule is held back while its parent fires, and not longer", "[detectors]") {
    Rule child = expression("Child", "latency > 1");
    child.parent = "Parent";
    child.hold = 2s;
    Rule cousin = expression("Cousin", "latency > 1");
    cousin.parent = "Parent";
    cousin.parent_of_any = true;
    Bench bench(options_of({child, cousin, expression("Parent", "up == 0")}));
    double now = 0;
    const auto play = [&](double latency, double up) {
        ++now;
        bench.send("latency", kShop, now, latency);
        bench.send("latency", {{"job", "bank"}}, now, 0);
        bench.send("up", kShop, now, up);
        return bench.advance(now);
    };
    CHECK(play(0, 0) == "Parent firing");
    for (int i = 0; i < 5; ++i) CHECK(play(5, 0).empty());
    CHECK(bench.detector->counts().dropped.at("held_by_parent") == 2);
    CHECK(play(5, 1) == "Parent calm, Child firing, Cousin firing");
    CHECK(play(5, 0) == "Parent firing");  // What fires goes on.
    CHECK(play(0, 0) == "Child calm, Cousin calm");
    CHECK(play(5, 0).empty());
    bench.send("latency", {{"job", "bank"}}, now, 5);
    SECTION("a parent of the same entity only") {
        std::string all;
        for (int i = 0; i < 5; ++i) {
            ++now;
            bench.send("latency", {{"job", "bank"}}, now, 5);
            bench.send("up", kShop, now, 0);
            all += bench.advance(now);
        }
        CHECK(all == "Child firing");  // Of the bank; its cousin is held by any.
        CHECK(bench.last.entity.value == "service:bank");
    }
}

TEST_CASE("rules: the budget of an objective, over two windows", "[detectors]") {
    BurnRate burn;
    burn.bad = "http_requests_total{code=~\"5..\"}";
    burn.total = "http_requests_total";
    burn.by = {"job"};
    const auto text = expression_of(burn);
    REQUIRE(text);
    Rule rule = expression("Burn", *text);
    rule.burn_rate = burn;
    RuleOptions options = options_of({rule});
    options.evaluate_every = 60s;
    options.points_per_series_max = 400;  // Six hours have 1440 points of 15 s.
    Bench bench(options);
    std::map<int, std::string> said_at;
    double good = 0;
    double bad = 0;
    for (int s = 0; s < 12 * 3600; s += 15) {
        // 2 % of failures for three quarters of an hour: 20 times the budget of 0.1 %.
        const bool broken = s >= 6 * 3600 && s < 6 * 3600 + 2700;
        good += 150;
        bad += broken ? 3 : 0;
        bench.send("http_requests_total", {{"code", "200"}, {"job", "shop"}}, s, good);
        // Nobody counts errors before the first.
        if (bad > 0) bench.send("http_requests_total", {{"code", "503"}, {"job", "shop"}}, s, bad);
        if (const auto found = bench.advance(s); !found.empty()) said_at[s / 60] = found;
    }
    REQUIRE(said_at.size() == 2);
    // The short window alone fires within minutes, but an hour must hold 14.4 times the budget: 72
    // % of an hour at 20 times.
    CHECK(said_at.begin()->first >= 6 * 60 + 42);
    CHECK(said_at.begin()->first <= 6 * 60 + 45);
    CHECK(said_at.begin()->second == "Burn firing");
    CHECK(bench.last.signal == "error budget of 0.999 of http_requests_total");
    CHECK(bench.last.reason.starts_with("Burn: burns "));
    CHECK(bench.last.reason.ends_with(" times the budget of 0.999 again"));
    // The failures of five minutes are over five minutes later.
    CHECK(said_at.rbegin()->second == "Burn calm");
    CHECK(said_at.rbegin()->first <= 6 * 60 + 45 + 35);
    CHECK(!bench.detector->counts().dropped.contains("points_per_series_max"));
}

TEST_CASE("rules: a finding tells how fast a budget burns, and over which windows", "[detectors]") {
    Rule rule = expression("Burn", "up > 0");
    rule.burn_rate = BurnRate{.bad = "bad", .total = "all", .by = {}, .windows = {}};
    rule.threshold = 0.0144;
    GroupState state;
    state.phase = Phase::kFiring;
    state.value = 0.333;
    auto finding = finding_of(rule, "g", state);
    CHECK(finding.reason ==
          "Burn: burns 333 times the budget of 0.999 over 1 h and 5 min (limit 14.4) or 6 h and 30 "
          "min (limit 6)");
    CHECK(finding.signal == "error budget of 0.999 of all");
    CHECK(finding.upper == Approx(0.0144));
    // Too slow for the first pair of windows.
    state.value = 0.012;
    finding = finding_of(rule, "g", state);
    CHECK(finding.reason ==
          "Burn: burns 12 times the budget of 0.999 over 6 h and 30 min (limit 6)");
    CHECK(finding.upper == Approx(0.006));
    CHECK(finding.score == Approx(2));
    rule.burn_rate->windows = burn_windows_ticket();
    CHECK(finding_of(rule, "g", state).reason ==
          "Burn: burns 12 times the budget of 0.999 over 3 d and 6 h (limit 1)");
    state.phase = Phase::kQuiet;
    state.value = 0.0005;
    CHECK(finding_of(rule, "g", state).reason == "Burn: burns 0.5 times the budget of 0.999 again");
}

TEST_CASE("rules: a budget that makes no sense is refused", "[detectors]") {
    BurnRate burn;
    burn.bad = "bad";
    burn.total = "rate(total[5m])";
    CHECK(expression_of(burn).error().message.find("total must be a selector") !=
          std::string::npos);
    burn.total = "total{";
    CHECK(expression_of(burn).error().message.find("burn_rate: total: column 7") !=
          std::string::npos);
    burn.total = "total";
    CHECK(expression_of(burn));
    burn.objective = 1;
    CHECK(expression_of(burn).error().message.find("objective") != std::string::npos);
    burn.objective = 0.99;
    burn.windows = {{5min, 1h, 1}};
    CHECK(!expression_of(burn));
    burn.windows = burn_windows_ticket();
    CHECK(expression_of(burn)->find("[259200s]") != std::string::npos);
}

TEST_CASE("rules: a counter is thinned without changing its increase, resets included",
          "[detectors]") {
    const auto play = [](std::size_t points_max) {
        Rule rule = expression("Increase", "increase(x_total[2h]) >= 0");
        RuleOptions options = options_of({rule});
        options.points_per_series_max = points_max;
        Bench bench(options);
        Rng rng(4);
        double value = 0;
        for (int s = 0; s < 7000; s += 5) {
            value = rng.chance(30) ? 0 : value + static_cast<double>(rng.below(100));
            bench.send("x_total", kShop, s, value);
        }
        bench.advance(7000);
        return bench.last.observed;
    };
    const double all = play(10'000);
    CHECK(all > 10'000);
    CHECK(play(300) == Approx(all).epsilon(1e-9));
}

TEST_CASE("rules: what is wrong with a rule is said", "[detectors]") {
    using Catch::Contains;
    Rule rule = expression("X", "up ==");
    CHECK_THAT(refusal({rule}), Contains("rule 'X': expr: line 1, column 6: the expression ends"));
    rule.expression = "1 + 1";
    CHECK_THAT(refusal({rule}), Contains("gives no series"));
    rule.expression = "up";
    rule.selection.metric = "up";
    CHECK_THAT(refusal({rule}), Contains("needs one of"));
    rule.selection.metric.clear();
    rule.parent = "Y";
    CHECK_THAT(refusal({rule}), Contains("there is no rule 'Y'"));
    Rule other;
    other.name = "Y";
    other.all_of = {"X"};
    CHECK_THAT(refusal({rule, other}), Contains("asks for itself"));
    other.all_of.clear();
    other.none_of = {"X"};
    CHECK_THAT(refusal({rule, other}), Contains("needs one of"));
}

TEST_CASE("rules: the order of series in a batch and of batches of one time is irrelevant",
          "[detectors]") {
    const auto play = [](std::uint64_t shuffle) {
        Rule quotient = expression("Ratio",
                                   "sum by (job) (rate(requests_total{code=\"500\"}[30s])) / "
                                   "sum by (job) (rate(requests_total[30s])) > 0.1");
        Rule high = expression("High", "max by (job) (load) > 80");
        Rule selected;
        selected.name = "Selected";
        selected.selection = {"load", {}, Aggregation::kAvg, 20s, 0.95};
        selected.threshold = 55;
        Rule both;
        both.name = "Both";
        both.any_of = {"High", "Selected"};
        const auto detector = *make_rule_detector(options_of({both, quotient, high, selected}));
        Findings out;
        Rng rng(17);
        Rng order(shuffle);
        std::vector<double> counts(12);
        for (int s = 0; s < 300; ++s) {
            std::vector<schemas::TimeSeries> batch;
            for (std::size_t i = 0; i < 12; ++i) {
                counts[i] += static_cast<double>(rng.below(i % 4 == 1 ? 20 : 60));
                const Labels labels{{"code", i % 2 == 0 ? "200" : "500"},
                                    {"instance", fmt::format("i{}", i)},
                                    {"job", fmt::format("j{}", i / 4)}};
                batch.push_back(series("requests_total", labels, at(s), counts[i]));
                batch.push_back(series("load", labels, at(s), 50 + 15 * normal(rng)));
            }
            if (shuffle != 0) {
                for (std::size_t i = batch.size(); i > 1; --i) {
                    std::swap(batch[i - 1], batch[order.below(i)]);
                }
            }
            // In two calls, of which the first may be any part.
            const std::size_t part = shuffle == 0 ? batch.size() : order.below(batch.size());
            detector->observe(std::span(batch).first(part), out);
            detector->observe(std::span(batch).subspan(part), out);
            detector->advance(at(s), out);
        }
        return std::pair(out.anomalies, detector->save());
    };
    const auto expected = play(0);
    CHECK(expected.first.size() > 20);
    for (std::uint64_t shuffle = 1; shuffle <= 5; ++shuffle) {
        const auto found = play(shuffle);
        CHECK(found.first == expected.first);
        CHECK(found.second == expected.second);
    }
}
