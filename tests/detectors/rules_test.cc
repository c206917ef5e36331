#include "detectors/rules/rules.h"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;
using schemas::Labels;

Rule rule_of(std::string metric, Aggregation aggregation, Comparison comparison, double threshold) {
    Rule rule;
    rule.name = "Test";
    rule.selection.metric = std::move(metric);
    rule.selection.aggregation = aggregation;
    rule.selection.window = 10s;
    rule.comparison = comparison;
    rule.threshold = threshold;
    return rule;
}

// A detector that evaluates at every second.
class Bench {
public:
    explicit Bench(std::vector<Rule> rules, std::size_t series_max = 1000) {
        RuleOptions options;
        options.rules = std::move(rules);
        options.evaluate_every = 1s;
        options.series_max = series_max;
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
    void advance(double seconds) { detector->advance(at(seconds), out); }

    // The value that one selection has after these points of one series.
    std::vector<Anomaly> take() { return std::exchange(out.anomalies, {}); }

    std::unique_ptr<Detector> detector;
    Findings out;
};

const Labels kShop{{"service", "shop"}};

// What the rule observed for points at seconds 1, 2, 3, …; NaN when it did not hold.
double observed(Aggregation aggregation, const std::vector<double>& values) {
    Bench bench({rule_of("m", aggregation, Comparison::kAtLeast, -1e9)});
    double now = 0;
    for (const double value : values) bench.send("m", kShop, ++now, value);
    bench.advance(now + 0.5);
    const auto found = bench.take();
    return found.empty() ? std::nan("") : found.front().observed;
}

}  // namespace

TEST_CASE("rules: every aggregation over a window", "[detectors]") {
    CHECK(observed(Aggregation::kAvg, {1, 2, 6}) == Approx(3));
    CHECK(observed(Aggregation::kMax, {1, 6, 2}) == 6);
    CHECK(observed(Aggregation::kMin, {3, 1, 2}) == 1);
    CHECK(observed(Aggregation::kSum, {1, 2, 6}) == 9);
    CHECK(observed(Aggregation::kCount, {1, 2, 6}) == 3);
    CHECK(observed(Aggregation::kLast, {1, 6, 2}) == 2);
    CHECK(observed(Aggregation::kIncrease, {10, 12, 20}) == 10);
    CHECK(observed(Aggregation::kRate, {10, 12, 20}) == Approx(5));
}

TEST_CASE("rules: a counter that fell was reset and counts from zero", "[detectors]") {
    CHECK(observed(Aggregation::kIncrease, {100, 110, 5, 8}) == 18);
}

TEST_CASE("rules: one point is no rate", "[detectors]") {
    CHECK(std::isnan(observed(Aggregation::kRate, {10})));
}

TEST_CASE("rules: only points inside the window count", "[detectors]") {
    Bench bench({rule_of("m", Aggregation::kSum, Comparison::kAtLeast, 0)});
    bench.send("m", kShop, 0, 100);
    bench.send("m", kShop, 1, 10);
    bench.send("m", kShop, 10, 1);
    bench.send("m", kShop, 11, 1000);
    bench.advance(10);  // (0, 10]
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(found.front().observed == 11);
}

TEST_CASE("rules: fires after `for`, holds through `keep_firing_for`, ends once", "[detectors]") {
    Rule rule = rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100);
    rule.hold = 5s;
    rule.keep_firing = 4s;
    rule.summary = "{entity} is behind by {value}";
    Bench bench({rule});
    for (int s = 0; s <= 30; ++s) {
        bench.send("queue", kShop, s, s >= 10 && s < 20 ? 150 : 50);
        bench.advance(s);
        const auto found = bench.take();
        INFO(s);
        CHECK(found.size() == (s == 15 || s == 24 ? 1 : 0));
        if (s == 15) {
            const Anomaly& anomaly = found.front();
            CHECK(anomaly.firing);
            CHECK(anomaly.detector == "rule:Test");
            CHECK(anomaly.key == "rule:Test|service:shop");
            CHECK(anomaly.entity.value == "service:shop");
            CHECK(anomaly.observed == 150);
            CHECK(anomaly.expected == 100);
            CHECK(anomaly.score == Approx(1.5));
            CHECK(anomaly.first_seen == at(10));
            CHECK(anomaly.last_seen == at(15));
            CHECK(anomaly.severity == schemas::Severity::kWarning);
            CHECK(anomaly.reason == "service:shop is behind by 150: queue is 150, limit > 100");
        }
        if (s == 24) {
            CHECK(said(found) == "calm");
            CHECK(found.front().key == "rule:Test|service:shop");
            CHECK(found.front().last_seen == at(19));
        }
    }
}

TEST_CASE("rules: a break before `for` is over starts it anew", "[detectors]") {
    Rule rule = rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100);
    rule.hold = 5s;
    Bench bench({rule});
    for (int s = 0; s <= 30; ++s) {
        bench.send("queue", kShop, s, s % 5 == 0 ? 50 : 150);
        bench.advance(s);
    }
    CHECK(bench.take().empty());
}

TEST_CASE("rules: groups by entity, or by the labels that are named", "[detectors]") {
    Rule rule = rule_of("http_requests_total", Aggregation::kRate, Comparison::kAtLeast, 0);
    rule.selection.matchers = {"code=~5??"};
    const auto send = [](Bench& bench) {
        for (int s = 0; s < 5; ++s) {
            for (const auto* code : {"200", "500", "503"}) {
                for (const auto* zone : {"a", "b"}) {
                    bench.send("http_requests_total",
                               {{"code", code}, {"service", "shop"}, {"zone", zone}}, s, s * 2.0);
                }
            }
        }
        bench.advance(4);
        return bench.take();
    };
    Bench by_entity({rule});
    auto found = send(by_entity);
    REQUIRE(found.size() == 1);
    CHECK(found.front().observed == Approx(8));
    rule.group_by = {"zone"};
    Bench by_zone({rule});
    found = send(by_zone);
    REQUIRE(found.size() == 2);
    CHECK(found.front().key == "rule:Test|zone=a");
    CHECK(found.back().key == "rule:Test|zone=b");
    CHECK(found.front().observed == Approx(4));
}

TEST_CASE("rules: a ratio of two selections, when there is enough to divide by", "[detectors]") {
    Rule rule = rule_of("http_requests_total", Aggregation::kRate, Comparison::kAbove, 0.1);
    rule.selection.matchers = {"code=~5??"};
    rule.divide_by = rule.selection;
    rule.divide_by->matchers.clear();
    rule.divide_min = 5;
    rule.unit = "ratio";
    Bench bench({rule});
    const auto play = [&bench](int from, int to, double good, double bad) {
        for (int s = from; s < to; ++s) {
            bench.send("http_requests_total", {{"code", "200"}, {"service", "shop"}}, s, good * s);
            bench.send("http_requests_total", {{"code", "500"}, {"service", "shop"}}, s, bad * s);
            bench.advance(s);
        }
    };
    play(0, 10, 1, 2);  // Three requests a second are too few.
    CHECK(bench.take().empty());
    play(100, 120, 70, 30);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(found.front().observed == Approx(0.3));
    CHECK(found.front().reason.find("30 %, limit > 10 %") != std::string::npos);
}

TEST_CASE("rules: a quantile of a histogram is interpolated as in Prometheus", "[detectors]") {
    Rule rule = rule_of("latency_seconds", Aggregation::kQuantile, Comparison::kAbove, 0);
    rule.selection.quantile = 0.95;
    Bench bench({rule});
    // 100 observations: 50 below 0.1, 90 below 0.5, all below 1.
    const std::vector<std::pair<const char*, double>> buckets{
        {"0.1", 50}, {"0.5", 90}, {"1", 100}, {"+Inf", 100}};
    for (const auto& [bound, count] : buckets) {
        const Labels labels{{"le", bound}, {"service", "shop"}};
        bench.send("latency_seconds_bucket", labels, 1, 0);
        bench.send("latency_seconds_bucket", labels, 5, count);
    }
    bench.advance(6);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(found.front().observed == Approx(0.75));
    CHECK(found.front().signal == "p95 of latency_seconds over 10 s");
}

TEST_CASE("rules: up == 0 fires when any instance of the entity is down", "[detectors]") {
    Bench bench({rule_of("up", Aggregation::kLast, Comparison::kEqual, 0)});
    for (const auto* instance : {"a:1", "b:1", "c:1"}) {
        bench.send("up", {{"instance", instance}, {"service", "shop"}}, 1,
                   *instance == 'b' ? 0 : 1);
    }
    bench.advance(1);
    CHECK(bench.take().size() == 1);
    bench.send("up", {{"instance", "b:1"}, {"service", "shop"}}, 2, 1);
    bench.advance(2);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(!found.front().firing);
}

TEST_CASE("rules: age tells of series that stopped, markers included", "[detectors]") {
    Bench bench({rule_of("heartbeat", Aggregation::kAge, Comparison::kAbove, 30)});
    for (int s = 0; s < 100; ++s) {
        if (s < 20) bench.send("heartbeat", kShop, s, 1);
        if (s == 20) {
            const std::vector<schemas::TimeSeries> batch{stale("heartbeat", kShop, at(s))};
            bench.detector->observe(batch, bench.out);
        }
        bench.advance(s);
        INFO(s);
        const auto found = bench.take();
        CHECK(found.size() == (s == 50 ? 1 : 0));
    }
    bench.send("heartbeat", kShop, 100, 1);
    bench.advance(100);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(!found.front().firing);
}

TEST_CASE("rules: nothing resolves on missing data, and nothing fires for ever without",
          "[detectors]") {
    Bench bench({rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100)});
    bench.send("queue", kShop, 0, 150);
    bench.advance(0);
    CHECK(bench.take().size() == 1);
    for (int s = 1; s < 300; ++s) bench.advance(s);
    CHECK(bench.take().empty());
    for (int s = 300; s < 320; ++s) bench.advance(s);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(!found.front().firing);
    CHECK(found.front().reason == "no data for 5 min: no longer judged");
    CHECK(said(found) == "silent");
}

TEST_CASE("rules: what fell silent is over once there is data again, and calm", "[detectors]") {
    Rule rule = rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100);
    rule.hold = 2s;
    rule.keep_firing = 3s;
    rule.selection.window = 1s;
    Bench bench({rule});
    const auto play = [&bench](int from, int to, double value) {
        for (int s = from; s < to; ++s) {
            if (value >= 0) bench.send("queue", kShop, s, value);
            bench.advance(s);
        }
        return said(bench.take());
    };
    CHECK(play(0, 10, 150) == "firing");
    CHECK(play(10, 5000, -1) == "silent");  // Its series is forgotten by then.
    SECTION("calm, for as long as it must be") {
        CHECK(play(5000, 5003, 50).empty());
        CHECK(play(5003, 5004, 50) == "calm");
        CHECK(play(5004, 5100, 50).empty());
    }
    SECTION("calm for too short, and no data again") {
        CHECK(play(5000, 5002, 50).empty());
        CHECK(play(5002, 5020, -1).empty());
        CHECK(play(5020, 5023, 50).empty());
        CHECK(play(5023, 5024, 50) == "calm");
    }
    SECTION("firing still") {
        CHECK(play(5000, 5010, 150) == "firing");
        CHECK(play(5010, 5020, 50) == "calm");
    }
    SECTION("an odd moment is not calm") {
        CHECK(play(5000, 5001, 150).empty());
        CHECK(play(5001, 5010, 50) == "calm");
    }
    SECTION("after a restart") {
        Bench again({rule});
        REQUIRE(again.detector->load(bench.detector->save()));
        std::swap(bench.detector, again.detector);
        CHECK(play(5000, 5010, 50) == "calm");
    }
}

TEST_CASE("rules: a window that runs empty is not calm, unless the rule looks for that",
          "[detectors]") {
    const auto play = [](Aggregation aggregation, Comparison comparison, double threshold) {
        Bench bench({rule_of("m", aggregation, comparison, threshold)});
        for (int s = 0; s < 20; ++s) {
            bench.send("m", kShop, s, s);
            bench.advance(s);
        }
        for (int s = 20; s < 400; ++s) bench.advance(s);
        bench.send("m", kShop, 400, 20);
        bench.advance(400);
        bench.send("m", kShop, 401, 20);
        bench.advance(401);
        return said(bench.take());
    };
    CHECK(play(Aggregation::kCount, Comparison::kAbove, 5) == "firing silent calm");
    CHECK(play(Aggregation::kSum, Comparison::kAbove, 50) == "firing silent calm");
    CHECK(play(Aggregation::kIncrease, Comparison::kAbove, 5) == "firing silent calm");
    CHECK(play(Aggregation::kCount, Comparison::kBelow, 1) == "firing calm");
    CHECK(play(Aggregation::kAge, Comparison::kAbove, 30) == "firing calm");
}

TEST_CASE("rules: no failed request among those there are is none, not missing data",
          "[detectors]") {
    Rule rule = rule_of("http_requests_total", Aggregation::kRate, Comparison::kAbove, 0.1);
    rule.selection.matchers = {"code=~5??"};
    rule.divide_by = rule.selection;
    rule.divide_by->matchers.clear();
    const auto play = [](const Rule& judged, const std::string& failed) {
        Bench bench({judged});
        for (int s = 0; s < 400; ++s) {
            bench.send("http_requests_total", {{"code", "200"}, {"service", "shop"}}, s, 9.0 * s);
            // From then on new instances, which count no failed request before the first.
            if (s < 20) bench.send(failed, {{"code", "500"}, {"service", "shop"}}, s, 3.0 * s);
            bench.advance(s);
        }
        return said(bench.take());
    };
    CHECK(play(rule, "http_requests_total") == "firing calm");
    rule.selection.metric = "http_failed_total";  // Another metric may be one that stopped.
    CHECK(play(rule, "http_failed_total") == "firing silent");
}

TEST_CASE("rules: what fell silent is bounded", "[detectors]") {
    Bench bench({rule_of("m", Aggregation::kLast, Comparison::kAbove, 0)}, 10);
    double now = 0;
    for (int i = 0; i < 25; ++i) {
        bench.send("m", {{"service", "s" + std::to_string(i)}}, ++now, 1);
        bench.advance(now);
        for (int s = 0; s < 4000; s += 50) bench.advance(now += 50);
    }
    CHECK(said(bench.take()).ends_with("firing silent firing silent"));
    CHECK(bench.detector->counts().dropped.at("forgotten") == 15);
    const auto back = [&bench, &now](int i) {
        bench.send("m", {{"service", "s" + std::to_string(i)}}, now + 5, 0);
        bench.advance(now += 5);
        return said(bench.take());
    };
    CHECK(back(24) == "calm");
    CHECK(back(0).empty());  // Forgotten.
}

TEST_CASE("rules: late, doubled and absurd points do not count; series are bounded",
          "[detectors]") {
    Bench bench({rule_of("m", Aggregation::kSum, Comparison::kAbove, 0)}, 5);
    bench.send("m", kShop, 5, 1);
    bench.send("m", kShop, 5, 100);
    bench.send("m", kShop, 4, 100);
    bench.send("m", kShop, 6, std::nan(""));
    bench.send("m", kShop, 6, std::numeric_limits<double>::infinity());
    bench.detector->observe(
        std::vector<schemas::TimeSeries>{series("m", kShop, EventTime::max(), 1)}, bench.out);
    for (int i = 0; i < 100; ++i) bench.send("m", {{"i", std::to_string(i)}}, 5, 0);
    bench.advance(7);
    const auto found = bench.take();
    REQUIRE(found.size() == 1);
    CHECK(found.front().observed == 1);
    CHECK(bench.detector->counts().tracked == 5);
    const auto dropped = bench.detector->counts().dropped;
    CHECK(dropped.at("late") == 2);
    CHECK(dropped.at("not_finite") == 2);
    CHECK(dropped.at("bad_time") == 1);
    CHECK(dropped.at("series_max") == 96);
}

TEST_CASE("rules: points of a series are bounded", "[detectors]") {
    RuleOptions options;
    options.rules = {rule_of("m", Aggregation::kCount, Comparison::kAbove, 0)};
    options.points_per_series_max = 100;
    const auto detector = *make_rule_detector(options);
    Findings out;
    for (int i = 0; i < 1000; ++i) {
        const std::vector<schemas::TimeSeries> batch{series("m", kShop, at(1 + i * 1e-3), 1)};
        detector->observe(batch, out);
    }
    detector->advance(at(3), out);
    REQUIRE(out.anomalies.size() == 1);
    CHECK(out.anomalies.front().observed == 100);
    CHECK(detector->counts().dropped.at("points_per_series_max") == 900);
}

TEST_CASE("rules: the anomaly of a rule that was removed ends", "[detectors]") {
    Bench before({rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100)});
    before.send("queue", kShop, 0, 150);
    before.advance(0);
    Bench after({});
    REQUIRE(after.detector->load(before.detector->save()));
    after.advance(1);
    const auto found = after.take();
    REQUIRE(found.size() == 1);
    CHECK(!found.front().firing);
    CHECK(found.front().key == before.out.anomalies.front().key);
    CHECK(said(found) == "silent");
    CHECK(found.front().reason == "the rule was removed");
    // The rule is back, and so is its data.
    Bench back({rule_of("queue", Aggregation::kLast, Comparison::kAbove, 100)});
    REQUIRE(back.detector->load(after.detector->save()));
    back.send("queue", kShop, 2, 50);
    back.advance(2);
    CHECK(said(back.take()) == "calm");
}

TEST_CASE("rules: bad rules are refused by name", "[detectors]") {
    const auto message = [](auto change) {
        Rule rule = rule_of("m", Aggregation::kQuantile, Comparison::kAbove, 1);
        change(rule);
        const auto made = make_rule_detector({.rules = {rule}});
        REQUIRE(!made);
        CHECK(made.error().kind == ErrorKind::kInvalid);
        CHECK_THAT(made.error().message, Catch::Contains("rule '" + rule.name + "'"));
        return made.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(message([](Rule& r) { r.name = ""; }), Contains("name"));
    CHECK_THAT(message([](Rule& r) { r.selection.metric = ""; }), Contains("metric"));
    CHECK_THAT(message([](Rule& r) { r.selection.window = 0s; }), Contains("window"));
    CHECK_THAT(message([](Rule& r) { r.selection.quantile = 95; }), Contains("quantile"));
    CHECK_THAT(message([](Rule& r) { r.selection.matchers = {"code"}; }), Contains("'code'"));
    CHECK_THAT(message([](Rule& r) { r.threshold = std::nan(""); }), Contains("threshold"));
    CHECK_THAT(message([](Rule& r) { r.hold = -1s; }), Contains("for"));
    CHECK_THAT(message([](Rule& r) {
                   r.divide_by = r.selection;
                   r.divide_by->metric = "";
               }),
               Contains("divide_by"));
    const Rule twice = rule_of("m", Aggregation::kAvg, Comparison::kAbove, 1);
    const auto made = make_rule_detector({.rules = {twice, twice}});
    REQUIRE(!made);
    CHECK_THAT(made.error().message, Contains("same name"));
}

TEST_CASE("rules: words of the configuration are read and written", "[detectors]") {
    for (const auto* text :
         {"avg", "max", "min", "sum", "count", "last", "increase", "rate", "quantile", "age"}) {
        REQUIRE(parse_aggregation(text));
        CHECK(to_string(*parse_aggregation(text)) == text);
    }
    for (const auto* text : {">", ">=", "<", "<=", "==", "!="}) {
        REQUIRE(parse_comparison(text));
        CHECK(to_string(*parse_comparison(text)) == text);
    }
    CHECK(parse_symptom("log_pattern") == schemas::Symptom::kLogPattern);
    CHECK(!parse_aggregation("average"));
    CHECK(!parse_comparison("=>"));
    CHECK(!parse_symptom(""));
}
