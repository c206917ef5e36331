#include "detectors/rules/promql.h"

#include <cmath>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/rules/promql_eval.h"
#include "detectors/rules/promql_range.h"
#include "support.h"
#include "tests/support/promtool.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Labels;

// "8: what is wrong", from the text and its fault.
std::string fault(std::string_view text) {
    const auto parsed = promql::parse(text);
    if (parsed) return "";
    return fmt::format("{}: {}", parsed.error().at, parsed.error().what);
}

// Series in memory, as the rule detector keeps them.
class Store {
public:
    void add(const std::string& metric, Labels labels, double seconds, double value) {
        std::ranges::sort(labels);
        const std::string key = schemas::to_string(metric, labels);
        RuleSeries& series = series_[key];
        series.key = key;
        series.metric = metric;
        series.labels = labels;
        series.entity = schemas::entity_of(labels, metric);
        series.points.push_back({at(seconds), value});
        series.last_at = series.value_at = at(seconds);
    }

    std::optional<promql::Vector> evaluate(const std::string& text, double now) const {
        const auto tree = promql::parse(text);
        INFO(text << ": " << fault(text));
        REQUIRE(tree);
        std::vector<const promql::Expression*> selectors;
        promql::collect_selectors(**tree, selectors);
        std::vector<std::vector<const RuleSeries*>> selected(selectors.size());
        for (const promql::Expression* selector : selectors) {
            const auto matchers = *schemas::MatcherSet::compile(selector->matchers);
            for (const auto& [key, series] : series_) {
                if (series.metric == selector->metric && matchers.matches(series.labels, {})) {
                    selected[selector->selector].push_back(&series);
                }
            }
        }
        return promql::evaluate(**tree, {at(now), at(-1e6), selected});
    }

    // "{job=\"a\"} 5; !{job=\"b\"} 3": with ! what does not hold.
    std::string said(const std::string& text, double now) const {
        const auto vector = evaluate(text, now);
        if (!vector) return "ambiguous";
        std::string out;
        for (const auto& each : *vector) {
            out += fmt::format("{}{}{} {:.10g}", out.empty() ? "" : "; ", each.holds ? "" : "!",
                               schemas::to_string("", each.labels), each.value);
        }
        return out;
    }

private:
    std::map<std::string, RuleSeries> series_;
};

Store shop() {
    Store store;
    for (int s = 0; s <= 600; s += 15) {
        for (const auto* code : {"200", "500"}) {
            const double rate = *code == '2' ? 9 : 1;
            store.add("requests_total", {{"job", "shop"}, {"code", code}}, s, rate * s);
            store.add("requests_total", {{"job", "bank"}, {"code", code}}, s, 2 * s);
        }
        store.add("up", {{"job", "shop"}, {"instance", "a:1"}}, s, 1);
        store.add("up", {{"job", "shop"}, {"instance", "b:1"}}, s, s < 300 ? 1 : 0);
        store.add("up", {{"job", "bank"}, {"instance", "c:1"}}, s, 1);
    }
    return store;
}

}  // namespace

TEST_CASE("promql: what rules are written in is read", "[detectors]") {
    for (const auto* text :
         {"up == 0", "up{job=\"a\",x!~'b.*',}[5m] offset 1h", "rate(x[5m]) > 1e-3",
          "sum by (job, code) (rate(x{code=~\"5..\"}[1h30m]))", "sum(x) by (job) / 2 ^ 3 ^ 2",
          "SUM without (instance) (x) AND ON (job) y", "a unless ignoring (b) c or d",
          "a / on (job) group_left (team) b > bool 3", "-x + +3", "absent(up{job=\"a\"})",
          "histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m]))) > 0.5",
          "quantile_over_time(0.9, x[1d]) # why\n > 3", "{__name__=\"x\"} > 0x10",
          "{\"http.requests\", \"service.name\"=\"a\"}", "vector(1) + time() > 5",
          "predict_linear(free[6h], 4 * 3600) < 0", "(a > 1) and (b < 2 or c != 3)",
          "job:x:rate5m > 1"}) {
        INFO(text);
        CHECK(fault(text).empty());
    }
}

TEST_CASE("promql: what is not taken is refused, with its place", "[detectors]") {
    const std::vector<std::pair<const char*, const char*>> cases{
        {"", "0: the expression ends too early"},
        {"up ==", "5: the expression ends too early"},
        {"up = 0", "3: '=' cannot stand here"},
        {"rate(x)", "5: rate needs a range here, this is series"},
        {"x[5m] > 1", "0: a range can only be an argument of a function"},
        {"sum(x[5m])", "4: series are expected here, this is a range"},
        {"topk(3, x)", "0: 'topk' is not supported: it orders or chooses series"},
        {"nonsense(x)", "0: 'nonsense' is not a function that is supported"},
        {"max_over_time(rate(x[5m])[1h:5m])",
         "25: a subquery is not supported: give the inner "
         "expression a rule of its own"},
        {"x @ 5", "2: @ is not supported: a rule is about now"},
        {"x offset -5m", "9: a rule cannot look into the future"},
        {"x[5 m]", "2: this is no duration: write 30s, 5m or 1h30m"},
        {"x{a=5}", "4: a quoted text is expected here"},
        {"x{a=~\"(\"}", "5: missing ): ("},
        {"x{a=\"b\" c=\"d\"}", "8: ',' is expected here"},
        {"{job=\"a\"}", "0: a selector needs the name of a metric"},
        {"{__name__=~\"a|b\"}",
         "9: a metric must be named: __name__ by an expression would need "
         "every series"},
        {"1 > 2", "2: a comparison of two numbers needs bool"},
        {"x and 1", "2: and, or, unless need series on both sides"},
        {"x + bool 1", "4: bool is for comparisons"},
        {"rate(x[5m], 1)", "12: rate takes 1 arguments"},
        {"\"text\"", "0: a text cannot stand here"},
        {"x{a=\"b", "4: this quote is not closed"},
        {"x > 5%", "6: the expression ends too early"},
        {"ALERTS{alertname=\"x\"}",
         "0: ALERTS is Prometheus' own: name other rules by all_of, "
         "any_of, none_of instead"},
        {"x > $y", "4: '$' has no meaning here"}};
    for (const auto& [text, expected] : cases) {
        INFO(text);
        if (std::string_view(text) == "x{a=~\"(\"}") {
            CHECK(fault(text).starts_with("5: "));  // The words are RE2's.
        } else {
            CHECK(fault(text) == expected);
        }
    }
    CHECK(!fault(std::string(200, '(') + "x" + std::string(200, ')')).empty());
    CHECK(!fault(std::string(20'000, ' ') + "x").empty());
    std::string chain = "x";
    for (int i = 0; i < 200; ++i) chain += " or x";
    CHECK(fault(chain).ends_with("too many operators in a row"));
    const auto place = promql::place_of("sum(\n  x\n) > 1", 7);
    CHECK(place.line == 2);
    CHECK(place.column == 3);
}

TEST_CASE("promql: a comparison says no where Prometheus leaves out", "[detectors]") {
    const Store store = shop();
    CHECK(store.said("up == 0", 600) ==
          "!{instance=\"a:1\",job=\"shop\"} 1; {instance=\"b:1\",job=\"shop\"} 0; "
          "!{instance=\"c:1\",job=\"bank\"} 1");
    CHECK(store.said("count by (job) (up == 0) > 0", 600) == "!{job=\"bank\"} 0; {job=\"shop\"} 1");
    CHECK(store.said("avg by (job) (up) < 1", 600) == "!{job=\"bank\"} 1; {job=\"shop\"} 0.5");
    CHECK(store.said("missing > 0", 600).empty());
    CHECK(store.said("up{job=\"bank\"} > bool 3", 600) == "{instance=\"c:1\",job=\"bank\"} 0");
    CHECK(store.said("absent(missing{job=\"x\",a!=\"b\"})", 600) == "{job=\"x\"} 1");
    CHECK(store.said("absent(up)", 600) == "! 0");
}

TEST_CASE("promql: ratios, sets and matching", "[detectors]") {
    const Store store = shop();
    CHECK(store.said("sum by (job) (rate(requests_total{code=\"500\"}[5m])) / "
                     "sum by (job) (rate(requests_total[5m])) > 0.2",
                     600) == "{job=\"bank\"} 0.5; !{job=\"shop\"} 0.1");
    CHECK(store.said("sum(rate(requests_total[5m])) > 5 and sum(up) > 1", 600) == " 14");
    CHECK(store.said("sum(up) > 2 or sum(up) > 1", 600) == " 2");
    CHECK(store.said("sum by (job) (up) unless sum by (job) (up) > 1", 600) ==
          "{job=\"bank\"} 1; {job=\"shop\"} 1");
    CHECK(store.said("up * on (job) group_left () sum by (job) (up)", 600) ==
          "{instance=\"a:1\",job=\"shop\"} 1; {instance=\"b:1\",job=\"shop\"} 0; "
          "{instance=\"c:1\",job=\"bank\"} 1");
    CHECK(store.said("up / on (job) up", 600) == "ambiguous");
    CHECK(store.said("sum(missing) or vector(0)", 600) == " 0");
    CHECK(store.said("up{instance=\"b:1\"} offset 6m", 600) == "{instance=\"b:1\",job=\"shop\"} 1");
    CHECK(store.said("sum(up) / 0 > 5", 600) == " inf");
    CHECK(store.said("0 * sum(up) / 0 > 5", 600) == "! nan");
}

namespace {

// Gauges, counters with resets and histograms, a value a minute, with gaps.
struct Sampled {
    std::string metric;
    Labels labels;
    std::vector<std::optional<double>> values;
};

std::vector<Sampled> sampled(std::uint64_t seed, std::size_t minutes) {
    Rng rng(seed);
    std::vector<Sampled> all;
    const auto gap = [&rng] { return rng.chance(40); };
    for (int i = 0; i < 6; ++i) {
        const Labels labels{{"instance", fmt::format("i{}", i)}, {"job", i < 4 ? "a" : "b"}};
        Sampled gauge{"load", labels, {}};
        Sampled counter{"requests_total", labels, {}};
        counter.labels.insert(counter.labels.begin(), {"code", i % 2 == 0 ? "200" : "500"});
        double level = 50;
        double count = i % 3 == 0 ? 0 : 100'000;
        for (std::size_t m = 0; m < minutes; ++m) {
            level = std::round(level + 10 * normal(rng));
            count = rng.chance(20) ? 0 : count + static_cast<double>(rng.below(120));
            gauge.values.push_back(gap() ? std::nullopt : std::optional(level));
            counter.values.push_back(gap() ? std::nullopt : std::optional(count));
        }
        all.push_back(std::move(gauge));
        all.push_back(std::move(counter));
    }
    for (const auto* job : {"a", "b"}) {
        std::vector<Sampled> buckets;
        for (const auto* bound : {"0.1", "0.5", "2", "+Inf"}) {
            buckets.push_back({"took_bucket", {{"job", job}, {"le", bound}}, {}});
        }
        std::vector<double> counts(4);
        for (std::size_t m = 0; m < minutes; ++m) {
            double added = 0;
            for (std::size_t b = 0; b < 4; ++b) {
                added += static_cast<double>(rng.below(20));
                counts[b] += added;
                buckets[b].values.emplace_back(counts[b]);
            }
        }
        all.insert(all.end(), buckets.begin(), buckets.end());
    }
    return all;
}

std::string series_yaml(const std::vector<Sampled>& all) {
    std::string yaml = "    input_series:\n";
    for (const auto& each : all) {
        std::string values;
        for (const auto& value : each.values) {
            values += value ? fmt::format("{} ", *value) : "_ ";
        }
        yaml += fmt::format("      - series: '{}'\n        values: '{}'\n",
                            schemas::to_string(each.metric, each.labels), values);
    }
    return yaml;
}

Store stored(const std::vector<Sampled>& all) {
    Store store;
    for (const auto& each : all) {
        for (std::size_t m = 0; m < each.values.size(); ++m) {
            if (each.values[m]) {
                store.add(each.metric, each.labels, 60.0 * static_cast<double>(m), *each.values[m]);
            }
        }
    }
    return store;
}

// No window begins at a point: of points on the edge of a window Debian's Prometheus
// (2.42) takes one more than version 3 and we do.
const std::vector<std::string>& compared_expressions() {
    static const std::vector<std::string> all{
        "rate(requests_total[5m10s])",
        "increase(requests_total[12m40s])",
        "irate(requests_total[5m10s])",
        "delta(load[6m20s])",
        "deriv(load[9m50s])",
        "predict_linear(load[9m50s], 600)",
        "avg_over_time(load[7m40s])",
        "max_over_time(load[7m40s])",
        "min_over_time(load[7m40s])",
        "sum_over_time(load[7m40s])",
        "count_over_time(load[7m40s])",
        "stddev_over_time(load[7m40s])",
        "quantile_over_time(0.9, load[7m40s])",
        "changes(load[7m40s])",
        "resets(requests_total[20m40s])",
        "sum by (job) (rate(requests_total[5m10s]))",
        "avg without (instance, code) (load)",
        "count by (job) (load > 50)",
        "min(load)",
        "max by (job) (load) - min by (job) (load)",
        "sum by (job) (rate(requests_total{code=\"500\"}[10m40s])) / "
        "sum by (job) (rate(requests_total[10m40s]))",
        "histogram_quantile(0.9, sum by (job, le) (rate(took_bucket[10m40s])))",
        "histogram_quantile(0.3, rate(took_bucket[10m40s]))",
        "load > 50 and load < 70",
        "load > 60 or load{job=\"a\"}",
        "load unless on (instance) load > 50",
        "load / on (job) group_left () avg by (job) (load)",
        "load > on (job) group_left () avg by (job) (load)",
        "avg by (job) (load) < on (job) group_right () load",
        "load > bool 50",
        "load % 7 ^ 2",
        "-load + 3 * 2",
        "load offset 5m40s",
        "abs(load - 50) >= 10",
        "clamp_max(load, 40)",
        "sum(load{job=~\"b|c\", instance!=\"i5\"})",
        "last_over_time(load[3m40s]) != 50"};
    return all;
}

}  // namespace

TEST_CASE("promql: values are those of Prometheus", "[detectors]") {
    if (!vigie::test::has_promtool()) {
        WARN("no promtool: nothing was compared");
        return;
    }
    const TempFolder folder;
    std::size_t compared = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const auto input = sampled(seed, 60);
        const Store store = stored(input);
        std::string yaml = "rule_files: []\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n" +
                           series_yaml(input) + "    promql_expr_test:\n";
        for (const auto& expression : compared_expressions()) {
            for (const int minute : {25, 38, 59}) {
                // Rounded, because the last digit depends on the order of additions.
                const std::string text = fmt::format("floor(({}) * 997 + 0.123)", expression);
                const auto vector = store.evaluate(text, 60.0 * minute + 30);
                REQUIRE(vector);
                yaml += fmt::format(
                    "      - expr: '{}'\n        eval_time: {}m30s\n        exp_samples:\n", text,
                    minute);
                for (const auto& each : *vector) {
                    if (!each.holds) continue;
                    const std::string labels = schemas::to_string("", each.labels);
                    yaml += fmt::format("          - labels: '{}'\n            value: {}\n",
                                        labels.empty() ? "{}" : labels, each.value);
                    ++compared;
                }
            }
        }
        vigie::test::write_text(folder.path() + "/values.yml", yaml);
        const auto answer = vigie::test::run_promtool(folder.path(), "test rules values.yml");
        INFO("seed " << seed << "\n" << answer.output);
        CHECK(answer.code == 0);
    }
    CHECK(compared > 1000);
}
