#include "detectors/metrics.h"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;

MetricsOptions quick() {
    MetricsOptions options;
    options.warmup_points = 20;
    options.warmup_span = 15s;
    return options;
}

std::unique_ptr<Detector> make(const MetricsOptions& options) {
    auto detector = make_metrics_detector(options);
    REQUIRE(detector);
    return *std::move(detector);
}

// Feeds one gauge second by second and keeps the time.
class Feed {
public:
    explicit Feed(const MetricsOptions& options) : detector_(make(options)) {}

    void value(double value) {
        now_ += 1;
        const std::vector<schemas::TimeSeries> batch{gauge("latency_seconds", at(now_), value)};
        detector_->observe(batch, out);
        detector_->advance(at(now_), out);
    }
    void noise(int points, double level, double spread) {
        for (int i = 0; i < points; ++i) value(level + spread * normal(rng_));
    }
    void wait(double seconds) {
        now_ += seconds;
        detector_->advance(at(now_), out);
    }
    double now() const { return now_; }
    Detector& detector() { return *detector_; }

    Findings out;

private:
    std::unique_ptr<Detector> detector_;
    Rng rng_{7};
    double now_ = 0;
};

}  // namespace

TEST_CASE("metrics: a jump is flagged after three points and said to be over", "[detectors]") {
    Feed feed(quick());
    feed.noise(25, 0.05, 0.002);
    CHECK(feed.out.anomalies.empty());
    const double began = feed.now() + 1;
    feed.noise(2, 0.8, 0.02);
    CHECK(feed.out.anomalies.empty());
    feed.noise(30, 0.8, 0.02);
    REQUIRE(feed.out.anomalies.size() == 1);
    const Anomaly first = feed.out.anomalies.front();
    CHECK(first.firing);
    CHECK(first.detector == "seasonal");
    CHECK(first.key == "seasonal|latency_seconds{service=\"shop\"}");
    CHECK(first.entity.value == "service:shop");
    CHECK(first.symptom == schemas::Symptom::kLatency);
    CHECK(first.severity == schemas::Severity::kInfo);
    CHECK(first.observed == Approx(0.8).epsilon(0.2));
    CHECK(first.expected == Approx(0.05).epsilon(0.1));
    CHECK(first.lower < 0.05);
    CHECK(first.upper > 0.05);
    CHECK(first.upper < 0.2);
    CHECK(first.score > 1);
    CHECK(first.unit == "s");
    CHECK(first.first_seen == at(began));
    CHECK(first.last_seen == at(began + 2));
    CHECK(first.reason.find("latency_seconds is ") == 0);
    CHECK(first.reason.find(" ms, usually ") != std::string::npos);

    feed.noise(4, 0.05, 0.002);
    CHECK(feed.out.anomalies.size() == 1);
    feed.noise(60, 0.05, 0.002);
    REQUIRE(feed.out.anomalies.size() == 2);
    const Anomaly& over = feed.out.anomalies.back();
    CHECK(!over.firing);
    CHECK(over.key == first.key);
    CHECK(over.first_seen == first.first_seen);
    CHECK(over.last_seen == at(began + 31));
    CHECK(over.reason.find("again") != std::string::npos);
    CHECK(said(feed.out.anomalies) == "firing calm");
}

TEST_CASE("metrics: single wild points are no anomaly", "[detectors]") {
    Feed feed(quick());
    feed.noise(40, 10, 0.5);
    for (int i = 0; i < 50; ++i) {
        feed.value(1000);
        feed.value(1000);
        feed.noise(8, 10, 0.5);
    }
    CHECK(feed.out.anomalies.empty());
}

TEST_CASE("metrics: two points up and two down are not four in a row", "[detectors]") {
    Feed feed(quick());
    feed.noise(40, 10, 0.5);
    for (const double value : {20.0, 20.0, 0.0, 0.0, 20.0, 20.0}) feed.value(value);
    CHECK(feed.out.anomalies.empty());
}

TEST_CASE("metrics: nothing is judged before both warm-up limits", "[detectors]") {
    SECTION("too few points") {
        MetricsOptions options = quick();
        options.warmup_points = 100;
        Feed feed(options);
        feed.noise(60, 1, 0.01);
        feed.noise(39, 50, 0.01);
        CHECK(feed.out.anomalies.empty());
    }
    SECTION("too short a time") {
        Feed feed(MetricsOptions{});  // An hour.
        feed.noise(3000, 1, 0.01);
        feed.noise(599, 50, 0.01);
        CHECK(feed.out.anomalies.empty());
    }
}

TEST_CASE("metrics: a level that lasts is the new normal, and so is the way back", "[detectors]") {
    MetricsOptions options = quick();
    options.adapt_after = 60s;
    Feed feed(options);
    feed.noise(60, 10, 0.5);
    feed.noise(58, 50, 0.5);
    REQUIRE(feed.out.anomalies.size() == 1);
    feed.noise(100, 50, 0.5);
    REQUIRE(feed.out.anomalies.size() == 2);
    CHECK(!feed.out.anomalies.back().firing);
    CHECK(feed.out.anomalies.back().reason.find("new normal") != std::string::npos);
    CHECK(said(feed.out.anomalies) == "firing adapted");
    feed.noise(10, 10, 0.5);
    REQUIRE(feed.out.anomalies.size() == 3);
    CHECK(feed.out.anomalies.back().firing);
}

TEST_CASE("metrics: an anomaly whose series falls silent ends and says why", "[detectors]") {
    Feed feed(quick());
    feed.noise(40, 10, 0.5);
    feed.noise(5, 50, 0.5);
    REQUIRE(feed.out.anomalies.size() == 1);
    for (int i = 0; i < 29; ++i) feed.wait(10);
    CHECK(feed.out.anomalies.size() == 1);
    for (int i = 0; i < 2; ++i) feed.wait(10);
    REQUIRE(feed.out.anomalies.size() == 2);
    CHECK(!feed.out.anomalies.back().firing);
    CHECK(feed.out.anomalies.back().reason.find("sent nothing for 5 min") != std::string::npos);
}

TEST_CASE("metrics: a series that fell silent is over once it is back and calm", "[detectors]") {
    Feed feed(quick());
    feed.noise(40, 10, 0.5);
    feed.noise(5, 50, 0.5);
    for (int i = 0; i < 400; ++i) feed.wait(10);
    CHECK(said(feed.out.anomalies) == "firing silent");
    SECTION("calm") {
        feed.noise(4, 10, 0.5);
        CHECK(said(feed.out.anomalies) == "firing silent");
        feed.noise(20, 10, 0.5);
        CHECK(said(feed.out.anomalies) == "firing silent calm");
        CHECK(feed.out.anomalies.back().key == feed.out.anomalies.front().key);
    }
    SECTION("still odd, and calm later") {
        feed.noise(5, 50, 0.5);
        CHECK(said(feed.out.anomalies) == "firing silent firing");
        feed.noise(20, 10, 0.5);
        CHECK(said(feed.out.anomalies) == "firing silent firing calm");
    }
    SECTION("after a restart") {
        Feed again(quick());
        REQUIRE(again.detector().load(feed.detector().save()));
        again.wait(feed.now());
        again.noise(20, 10, 0.5);
        CHECK(said(again.out.anomalies) == "calm");
    }
}

TEST_CASE("metrics: time nobody watched is no silence", "[detectors]") {
    Feed feed(quick());
    feed.noise(40, 10, 0.5);
    feed.noise(5, 50, 0.5);
    feed.wait(3600);
    feed.wait(100);
    CHECK(feed.out.anomalies.size() == 1);
}

TEST_CASE("metrics: counters are judged by their rate, resets included", "[detectors]") {
    const auto detector = make(quick());
    Findings out;
    Rng rng(3);
    double total = 1e6;
    const auto feed = [&](int seconds, double per_second, int from) {
        for (int i = 0; i < seconds; ++i) {
            total += static_cast<double>(poisson(rng, per_second));
            if (i == seconds / 2) total = static_cast<double>(poisson(rng, per_second));
            const std::vector<schemas::TimeSeries> batch{
                series("http_requests_total", {{"job", "shop"}}, at(from + i), total)};
            detector->observe(batch, out);
        }
    };
    feed(300, 40, 0);
    CHECK(out.anomalies.empty());
    feed(20, 200, 300);
    REQUIRE(firing(out).size() == 1);
    const Anomaly& anomaly = out.anomalies.front();
    CHECK(anomaly.unit == "1/s");
    CHECK(anomaly.symptom == schemas::Symptom::kTraffic);
    CHECK(anomaly.expected == Approx(40).epsilon(0.2));
    CHECK(anomaly.lower >= 0);
    CHECK(anomaly.reason.find("http_requests_total rate is ") == 0);
}

TEST_CASE("metrics: one error in a quiet counter is chance, many are not", "[detectors]") {
    const auto detector = make(quick());
    Findings out;
    double total = 0;
    for (int i = 0; i < 200; ++i) {
        if (i % 50 == 49) total += 1;
        if (i >= 190) total += 15;
        const std::vector<schemas::TimeSeries> batch{
            series("http_errors_total", {{"job", "shop"}}, at(i), total)};
        detector->observe(batch, out);
        if (i == 189) CHECK(out.anomalies.empty());
    }
    CHECK(firing(out).size() == 1);
}

TEST_CASE("metrics: what only rises is a counter, though nobody says so", "[detectors]") {
    const auto detector = make(quick());
    Findings out;
    Rng rng(4);
    double total = 0;
    for (int i = 0; i < 400; ++i) {
        total += static_cast<double>(poisson(rng, i < 380 ? 30 : 200));
        const std::vector<schemas::TimeSeries> batch{
            series("node_netstat_Tcp_InSegs", {{"instance", "web-1:9100"}}, at(i), total)};
        detector->observe(batch, out);
    }
    REQUIRE(firing(out).size() == 1);
    CHECK(out.anomalies.front().unit == "1/s");
    CHECK(out.anomalies.front().observed == Approx(200).epsilon(0.3));
}

TEST_CASE("metrics: select and ignore choose the series", "[detectors]") {
    MetricsOptions options = quick();
    options.select = {"http_*", "node_load1{instance=web-1}"};
    options.ignore = {"*_bucket"};
    const auto detector = make(options);
    Findings out;
    const std::vector<schemas::TimeSeries> batch{
        series("http_requests", {}, at(0), 1), series("http_seconds_bucket", {}, at(0), 1),
        series("node_load1", {{"instance", "web-1"}}, at(0), 1),
        series("node_load1", {{"instance", "web-2"}}, at(0), 1)};
    detector->observe(batch, out);
    CHECK(detector->counts().tracked == 2);
}

TEST_CASE("metrics: series are bounded; idle ones make room", "[detectors]") {
    MetricsOptions options = quick();
    options.series_max = 10;
    const auto detector = make(options);
    Findings out;
    const auto send = [&](const std::string& name, double time) {
        const std::vector<schemas::TimeSeries> batch{gauge(name, at(time), 1)};
        detector->observe(batch, out);
    };
    for (int i = 0; i < 1000; ++i) send("metric" + std::to_string(i), 0);
    CHECK(detector->counts().tracked == 10);
    CHECK(detector->counts().dropped.at("series_max") == 990);
    detector->advance(at(3000), out);
    send("metric0", 3000);
    detector->advance(at(4000), out);
    send("new", 4000);
    CHECK(detector->counts().tracked == 2);
}

TEST_CASE("metrics: a silent anomaly that makes room is counted", "[detectors]") {
    MetricsOptions options = quick();
    options.series_max = 1;
    Feed feed(options);
    feed.noise(40, 10, 0.5);
    feed.noise(5, 50, 0.5);
    for (int i = 0; i < 400; ++i) feed.wait(10);
    REQUIRE(said(feed.out.anomalies) == "firing silent");
    const std::vector<schemas::TimeSeries> batch{gauge("other", at(feed.now()), 1)};
    feed.detector().observe(batch, feed.out);
    CHECK(feed.detector().counts().tracked == 1);
    CHECK(feed.detector().counts().dropped.at("forgotten") == 1);
}

TEST_CASE("metrics: late, doubled, absurd and stale points do not disturb", "[detectors]") {
    Feed clean(quick());
    Feed dirty(quick());
    const double infinity = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 100; ++i) {
        clean.noise(1, 10, 0.5);
        dirty.noise(1, 10, 0.5);
        const double now = dirty.now();
        schemas::TimeSeries bad = gauge("latency_seconds", at(now), 1e6);
        for (const double value : {std::nan(""), infinity, -infinity, 1e300}) {
            bad.points.push_back({at(now + 0.1), value});
        }
        bad.points.push_back({at(now - 50), 1e6});
        bad.points.push_back({at(now + 1e7), 1e6});
        bad.points.push_back({EventTime::max(), 1e6});
        bad.points.push_back({EventTime::min(), 1e6});
        bad.points.push_back({at(now + 0.5), 1e6, true});
        const std::vector<schemas::TimeSeries> batch{bad};
        dirty.detector().observe(batch, dirty.out);
    }
    CHECK(clean.out.anomalies.empty());
    CHECK(dirty.out.anomalies.empty());
    const auto dropped = dirty.detector().counts().dropped;
    CHECK(dropped.at("late") == 200);
    CHECK(dropped.at("not_finite") == 400);
    CHECK(dropped.at("bad_time") == 300);
    dirty.noise(5, 50, 0.5);
    CHECK(firing(dirty.out).size() == 1);
}

TEST_CASE("metrics: options out of range are refused by name", "[detectors]") {
    const auto message = [](auto change) {
        MetricsOptions options;
        change(options);
        const auto detector = make_metrics_detector(options);
        REQUIRE(!detector);
        CHECK(detector.error().kind == ErrorKind::kInvalid);
        return detector.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(message([](auto& o) { o.series_max = 0; }), Contains("series_max"));
    CHECK_THAT(message([](auto& o) { o.threshold = std::nan(""); }), Contains("threshold"));
    CHECK_THAT(message([](auto& o) { o.warmup_points = 1; }), Contains("warmup_points"));
    CHECK_THAT(message([](auto& o) { o.adapt_after = 0s; }), Contains("adapt_after"));
    CHECK_THAT(message([](auto& o) { o.warmup_span = std::chrono::seconds::max(); }),
               Contains("warmup_span"));
    CHECK_THAT(message([](auto& o) { o.select = {"up{"}; }), Contains("select"));
}
