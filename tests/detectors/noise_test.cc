#include "detectors/noise.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "detectors/histogram_quantiles.h"
#include "detectors/metrics.h"
#include "support.h"

// What keeps true but useless alarms from people, and how single series are judged otherwise.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

const EntityId kShop{"service:shop"};

Claim claim(double seconds, double score, double rarity = 0, double rows = 0) {
    return {"seasonal|x", kShop, at(seconds), score, rarity, rows};
}

MetricsOptions quick() {
    MetricsOptions options;
    options.warmup_points = 20;
    options.warmup_span = 15s;
    return options;
}

class Feed {
public:
    explicit Feed(const MetricsOptions& options) : detector(*make_metrics_detector(options)) {}

    void value(double value, const std::string& metric = "queue_depth") {
        now += 1;
        const std::vector<schemas::TimeSeries> batch{gauge(metric, at(now), value)};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    void noise(int rows, double level, double spread) {
        for (int i = 0; i < rows; ++i) value(level + spread * normal(rng_));
    }

    std::unique_ptr<Detector> detector;
    Findings out;
    double now = 0;

private:
    Rng rng_{7};
};

schemas::Event verdict(double seconds, std::string key, std::string value) {
    schemas::Decision decision;
    decision.kind = schemas::DecisionKind::kVerdict;
    decision.scope = std::move(key);
    decision.value = std::move(value);
    return {{{"v"}, "/test", at(seconds), {"d"}}, decision};
}

schemas::Event deployment(double seconds, const EntityId& entity) {
    schemas::Change change;
    change.kind = schemas::ChangeKind::kDeployment;
    change.entity = entity;
    change.version = "1.5.0";
    change.at = at(seconds);
    return {{{"c"}, "/test", at(seconds), {"d"}}, change};
}

}  // namespace

TEST_CASE("noise: a calibrated claim must be rarer than the budget allows", "[detectors]") {
    NoiseOptions options;
    options.false_alarms_per_day = 0.1;
    const NoiseGate gate(options);
    // 5,760 rows a day of ten series: one in 576,000.
    CHECK(gate.hold(claim(0, 1, 5.7, 57'600)) == Hold::kBudget);
    CHECK(gate.hold(claim(0, 1, 5.8, 57'600)) == Hold::kNone);
    CHECK(gate.hold(claim(0, 1)) == Hold::kNone);
}

TEST_CASE("noise: each alarm beyond the budget raises the bar, and is forgotten", "[detectors]") {
    NoiseGate gate({});
    for (int i = 0; i < 5; ++i) gate.told(claim(3600.0 * i, 1));
    CHECK(gate.hold(claim(5 * 3600, 1)) == Hold::kBudget);
    CHECK(gate.hold(claim(5 * 3600, 2)) == Hold::kNone);
    // With an alarm that was just told it is one.
    CHECK(gate.hold(claim(4 * 3600 + 60, 1)) == Hold::kNone);
    CHECK(gate.hold(claim(7 * 86'400, 1)) == Hold::kNone);
}

TEST_CASE("noise: verdicts move the bar of one key", "[detectors]") {
    NoiseGate gate({});
    gate.learn("seasonal|x", AlarmVerdict::kFalse, at(0));
    CHECK(gate.hold(claim(0, 1.2)) == Hold::kVerdict);
    CHECK(gate.hold(claim(0, 1.3)) == Hold::kNone);
    CHECK(gate.hold({"seasonal|y", kShop, at(0), 1, 0, 0}) == Hold::kNone);
    gate.learn("seasonal|x", AlarmVerdict::kFalse, at(0));
    CHECK(gate.hold(claim(0, 1.5)) == Hold::kVerdict);
    gate.learn("seasonal|x", AlarmVerdict::kTrue, at(0));
    CHECK(gate.hold(claim(0, 1.3)) == Hold::kNone);
    gate.told(claim(0, 4));
    gate.learn("seasonal|x", AlarmVerdict::kKnown, at(0));
    CHECK(gate.hold(claim(10, 5)) == Hold::kVerdict);
    CHECK(gate.hold(claim(10, 7)) == Hold::kNone);
    CHECK(gate.hold(claim(31 * 86'400, 5)) == Hold::kNone);
}

TEST_CASE("noise: what it remembers is bounded, verdicts last", "[detectors]") {
    NoiseOptions options;
    options.verdicts_max = 3;
    options.entities_max = 2;
    NoiseGate gate(options);
    gate.learn("seasonal|x", AlarmVerdict::kFalse, at(0));
    for (int i = 0; i < 10; ++i) {
        const std::string key = "k" + std::to_string(i);
        const EntityId entity{"service:s" + std::to_string(i)};
        gate.told({key, entity, at(i + 1), 1, 0, 0});
    }
    CHECK(gate.forgotten() == 8 + 8);
    CHECK(gate.hold(claim(20, 1.1)) == Hold::kVerdict);
    Encoder out;
    gate.save(out);
    const std::string saved = std::move(out).seal('1');
    NoiseGate fresh(options);
    auto in = *Decoder::open(saved, '1', "test");
    fresh.load(in);
    REQUIRE(in.finish());
    CHECK(fresh.hold(claim(20, 1.1)) == Hold::kVerdict);
}

TEST_CASE("noise: known events of the calendar are not told, once or again", "[detectors]") {
    NoiseOptions options;
    options.calendar = {{"backup", "service:s*", at(1000), 600s, 86'400s},
                        {"move", "*", at(500'000), 60s, 0s}};
    const NoiseGate gate(options);
    CHECK(gate.hold(claim(999, 9)) == Hold::kNone);
    CHECK(gate.hold(claim(1000, 9)) == Hold::kCalendar);
    CHECK(gate.hold(claim(1600, 9)) == Hold::kNone);
    CHECK(gate.hold(claim(1000 + 3 * 86'400 + 599, 9)) == Hold::kCalendar);
    CHECK(gate.hold({"x", {"host:a"}, at(1000), 9, 0, 0}) == Hold::kNone);
    CHECK(gate.hold({"x", {"host:a"}, at(500'059), 9, 0, 0}) == Hold::kCalendar);
    CHECK(gate.hold({"x", {"host:a"}, at(586'459), 9, 0, 0}) == Hold::kNone);
}

TEST_CASE("noise: the detector holds back what people called false, and says nothing of its end",
          "[detectors]") {
    Feed feed(quick());
    const std::string key = "seasonal|queue_depth{service=\"shop\"}";
    for (int i = 0; i < 6; ++i) feed.detector->learn(verdict(0, key, "false"));
    feed.noise(60, 100, 1);
    feed.noise(10, 120, 1);  // About 1.4 thresholds.
    feed.noise(20, 100, 1);
    CHECK(feed.out.anomalies.empty());
    CHECK(feed.detector->counts().events.at("held_verdict") == 1);
    feed.noise(10, 300, 1);
    feed.noise(20, 100, 1);
    CHECK(said(feed.out.anomalies) == "firing calm");
}

TEST_CASE("noise: what is held and still stands after the calendar's event is told",
          "[detectors]") {
    MetricsOptions options = quick();
    options.noise.calendar = {{"batch", "*", at(60), 60s, 0s}};
    Feed feed(options);
    feed.noise(60, 100, 1);
    feed.noise(50, 200, 1);
    CHECK(feed.out.anomalies.empty());
    feed.noise(20, 200, 1);
    REQUIRE(said(feed.out.anomalies) == "firing");
    CHECK(feed.out.anomalies.front().first_seen < at(70));
}

TEST_CASE("noise: shortly after a deployment the bar is higher, and the reason names it",
          "[detectors]") {
    Feed feed(quick());
    feed.noise(60, 100, 1);
    feed.detector->learn(deployment(60, {"service:shop"}));
    feed.noise(4, 114, 0.2);  // Just above the threshold.
    feed.noise(20, 100, 1);
    CHECK(feed.out.anomalies.empty());
    CHECK(feed.detector->counts().events.at("held_deployment") == 1);
    feed.noise(5, 200, 1);
    REQUIRE(said(feed.out.anomalies) == "firing");
    CHECK(feed.out.anomalies.front().reason.find("; 1.5.0 was deployed ") != std::string::npos);
}

TEST_CASE("noise: rules of the configuration: direction, deviation, bounds", "[detectors]") {
    MetricsOptions options = quick();
    SeriesRule rule;
    rule.select = {"queue_*"};
    rule.direction = Direction::kUp;
    rule.deviation_min = 50;
    rule.bound_high = 500;
    options.rules = {rule};
    Feed feed(options);
    // Beyond its bound from the first row on, and never the new normal.
    feed.noise(3, 600, 1);
    REQUIRE(said(feed.out.anomalies) == "firing");
    CHECK(feed.out.anomalies.front().reason.find("beyond its bound") != std::string::npos);
    feed.noise(2000, 600, 1);
    CHECK(said(feed.out.anomalies) == "firing");
    feed.noise(60, 100, 1);
    REQUIRE(said(feed.out.anomalies) == "firing calm");
    feed.noise(10, 140, 1);  // Less than the least deviation,
    feed.noise(10, 100, 1);
    feed.noise(10, 10, 1);  // and the side nobody asked for.
    feed.noise(10, 100, 1);
    CHECK(said(feed.out.anomalies) == "firing calm");
    feed.noise(200, 100, 1);
    feed.noise(10, 400, 1);
    CHECK(said(feed.out.anomalies) == "firing calm firing");
}

TEST_CASE("noise: bad rules and events are refused by name", "[detectors]") {
    const auto refused = [](const MetricsOptions& options) {
        const auto made = make_metrics_detector(options);
        return made ? std::string("taken") : made.error().message;
    };
    MetricsOptions options;
    options.rules.emplace_back();
    CHECK(refused(options).find("rule 1: select is missing") != std::string::npos);
    options.rules.front().select = {"x{"};
    CHECK(refused(options).find("rule 1") != std::string::npos);
    options.rules.front().select = {"x"};
    options.rules.front().bound_low = 5;
    options.rules.front().bound_high = 4;
    CHECK(refused(options).find("bound") != std::string::npos);
    options = {};
    options.noise.calendar = {{"night", "*", at(0), 3600s, 60s}};
    CHECK(refused(options).find("night lasts longer") != std::string::npos);
    options = {};
    options.noise.false_alarms_per_day = 0;
    CHECK(refused(options).find("false_alarms_per_day") != std::string::npos);
}

TEST_CASE("noise: a young series is judged by its pool once enough are like it", "[detectors]") {
    for (const bool pooled : {false, true}) {
        auto detector = *make_metrics_detector({});
        Rng rng(9);
        Findings out;
        const auto feed = [&](const std::string& pod, double now, double value) {
            const std::vector<schemas::TimeSeries> batch{{"heap_used",
                                                          {{"job", "shop"}, {"pod", pod}},
                                                          schemas::MetricKind::kGauge,
                                                          {{at(now), value}}}};
            detector->observe(batch, out);
            detector->advance(at(now), out);
        };
        for (int row = 0; row < 300 && pooled; ++row) {
            for (int pod = 0; pod < 8; ++pod) {
                feed("old" + std::to_string(pod), 60.0 * row, 1000 + 30 * normal(rng));
            }
        }
        const double begin = 60.0 * 300;
        for (int row = 0; row < 20; ++row) feed("new", begin + 60.0 * row, 500 + 15 * normal(rng));
        CHECK(out.anomalies.empty());
        for (int row = 20; row < 30; ++row) feed("new", begin + 60.0 * row, 900);
        CHECK(firing(out).size() == (pooled ? 1 : 0));
    }
}

TEST_CASE("histograms: the quantile of each interval is a gauge", "[detectors]") {
    HistogramQuantiles quantiles(10);
    double counts[4] = {};
    const auto scrape = [&](double now, double first, double second, double third) {
        const double fresh[4] = {first, first + second, first + second + third,
                                 first + second + third};
        std::vector<schemas::TimeSeries> batch;
        const char* bounds[4] = {"0.1", "0.5", "1", "+Inf"};
        for (std::size_t i = 0; i < 4; ++i) {
            counts[i] += fresh[i];
            batch.push_back(series("latency_seconds_bucket",
                                   {{"le", bounds[i]}, {"service", "shop"}}, at(now), counts[i]));
        }
        return quantiles.take(batch);
    };
    CHECK(scrape(0, 100, 0, 0).empty());
    CHECK(scrape(15, 90, 0, 10).empty());  // The first interval has no beginning.
    const auto one = scrape(30, 0, 100, 0);
    REQUIRE(one.size() == 1);
    CHECK(one[0].metric == "latency_seconds");
    CHECK(schemas::label(one[0].labels, "quantile") == "0.95");
    CHECK(schemas::label(one[0].labels, "le").empty());
    CHECK(one[0].points[0].at == at(15));
    CHECK(one[0].points[0].value == Approx(0.75));
    const auto two = scrape(45, 5, 0, 0);
    REQUIRE(two.size() == 1);
    CHECK(two[0].points[0].value == Approx(0.48));
    CHECK(scrape(60, 100, 0, 0).empty());  // Five observations are too few.
    for (double& count : counts) count = 0;
    REQUIRE(scrape(75, 50, 0, 0).size() == 1);
    CHECK(scrape(90, 50, 0, 0).empty());  // A restart.
    CHECK(scrape(105, 50, 0, 0).size() == 1);
}

TEST_CASE("histograms: a slower one is told by the metrics detector", "[detectors]") {
    auto detector = *make_metrics_detector({});
    Rng rng(11);
    Findings calm;
    Findings odd;
    std::map<std::string, double> counts;
    for (int row = 0; row < 400; ++row) {
        const double now = 60.0 * row;
        const bool slow = row >= 380;
        std::vector<schemas::TimeSeries> batch;
        for (const auto& [le, share] : std::vector<std::pair<std::string, double>>{
                 {"0.1", slow ? 0.1 : 0.8}, {"0.5", slow ? 0.2 : 0.99}, {"5", 1}, {"+Inf", 1}}) {
            counts[le] += std::floor(share * (300 + static_cast<double>(rng.below(5))));
            batch.push_back(series("latency_seconds_bucket", {{"le", le}, {"service", "shop"}},
                                   at(now), counts[le]));
        }
        Findings& out = slow ? odd : calm;
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    CHECK(calm.anomalies.empty());
    REQUIRE(!odd.anomalies.empty());
    CHECK(odd.anomalies.front().key ==
          "seasonal|latency_seconds{quantile=\"0.95\",service=\"shop\"}");
    CHECK(odd.anomalies.front().unit == "s");
}
