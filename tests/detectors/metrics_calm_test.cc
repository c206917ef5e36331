#include <cmath>
#include <functional>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "detectors/metrics.h"
#include "support.h"

// With default options calm series do not alarm, however they scatter; and each of them is
// then made odd, because a detector that never alarms passes the first half too.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

constexpr int kSeries = 20;
constexpr double kDay = 86'400;
constexpr double kTwoPi = 6.283185307179586;

using Source = std::function<double(Rng&, double seconds, int series)>;

struct Outcome {
    std::size_t calm_alarms = 0;  // Beginnings of anomalies in the calm days.
    std::size_t found = 0;        // Series found odd in the hour after.
};

// Each series has its own noise; after the calm days `shift` is added for an hour.
Outcome watch(double days, double step, const Source& source, double shift) {
    auto made = make_metrics_detector({});
    REQUIRE(made);
    Detector& detector = **made;
    std::vector<Rng> rngs;
    for (int i = 0; i < kSeries; ++i) rngs.emplace_back(1000 + static_cast<std::uint64_t>(i));
    Findings calm;
    Findings odd;
    for (double now = 0; now < days * kDay + 3600; now += step) {
        std::vector<schemas::TimeSeries> batch;
        const bool shifted = now >= days * kDay;
        for (int i = 0; i < kSeries; ++i) {
            const double value = source(rngs[static_cast<std::size_t>(i)], now, i);
            batch.push_back(
                gauge("value" + std::to_string(i), at(now), value + (shifted ? shift : 0)));
        }
        Findings& out = shifted ? odd : calm;
        detector.observe(batch, out);
        detector.advance(at(now), out);
    }
    // A series may be found by both detectors, and all of them together.
    std::set<std::string> found;
    for (const auto& anomaly : firing(odd)) {
        if (anomaly.detector != "joint") found.insert(anomaly.signal);
    }
    return {firing(calm).size(), found.size()};
}

}  // namespace

TEST_CASE("metrics: two weeks of normal noise at a minute's step are calm", "[detectors]") {
    const auto outcome =
        watch(14, 60, [](Rng& rng, double, int) { return 100 + 10 * normal(rng); }, 120);
    CHECK(outcome.calm_alarms == 0);
    CHECK(outcome.found == kSeries);
}

TEST_CASE("metrics: half a day of normal noise at a second's step is calm", "[detectors]") {
    const auto outcome =
        watch(0.5, 1, [](Rng& rng, double, int) { return 100 + 10 * normal(rng); }, 120);
    CHECK(outcome.calm_alarms == 0);
    CHECK(outcome.found == kSeries);
}

TEST_CASE("metrics: a daily pattern is calm", "[detectors]") {
    const auto outcome = watch(
        14, 60,
        [](Rng& rng, double now, int i) {
            return 1000 + 800 * std::sin(kTwoPi * (now / kDay + i / 20.0)) + 30 * normal(rng);
        },
        900);
    CHECK(outcome.calm_alarms == 0);
    CHECK(outcome.found == kSeries);
}

TEST_CASE("metrics: heavy tails are calm", "[detectors]") {
    SECTION("log-normal") {
        const auto outcome =
            watch(14, 60, [](Rng& rng, double, int) { return std::exp(normal(rng)); }, 50);
        CHECK(outcome.calm_alarms <= 1);  // In 14 days of a service whose budget is one in 20.
        CHECK(outcome.found == kSeries);
    }
    SECTION("Pareto with a variance that is not finite") {
        const auto outcome =
            watch(14, 60, [](Rng& rng, double, int) { return pareto(rng, 1.5); }, 100);
        CHECK(outcome.calm_alarms == 0);
        CHECK(outcome.found == kSeries);
    }
}

TEST_CASE("metrics: noise that remembers and walks is calm most days", "[detectors]") {
    std::map<int, double> state;
    SECTION("autoregressive") {
        const auto outcome = watch(
            14, 60,
            [&state](Rng& rng, double, int i) {
                state[i] = 0.9 * state[i] + normal(rng);
                return 100 + state[i];
            },
            60);
        CHECK(outcome.calm_alarms <= 3);  // Of 280 days of series.
        CHECK(outcome.found == kSeries);
    }
    SECTION("random walk") {
        const auto outcome = watch(
            14, 60,
            [&state](Rng& rng, double, int i) {
                state[i] += normal(rng);
                return 10'000 + state[i];
            },
            2000);
        CHECK(outcome.calm_alarms <= 14);
        CHECK(outcome.found == kSeries);
    }
}

TEST_CASE("metrics: rare events and constants are calm", "[detectors]") {
    const auto outcome = watch(
        14, 60,
        [](Rng& rng, double, int i) { return i % 2 == 0 ? (rng.chance(20) ? 1.0 : 0.0) : 5.0; },
        20);
    CHECK(outcome.calm_alarms == 0);
    CHECK(outcome.found == kSeries);
}

TEST_CASE("metrics: a peak that comes every day at its time is learned", "[detectors]") {
    auto made = make_metrics_detector({});
    REQUIRE(made);
    Detector& detector = **made;
    Rng rng(5);
    std::map<int, std::size_t> alarms;  // By day.
    const auto feed = [&](int day, double hour_from, double hour_to, double level) {
        for (double s = hour_from * 3600; s < hour_to * 3600; s += 300) {
            Findings out;
            const std::vector<schemas::TimeSeries> batch{
                gauge("jobs", at(day * kDay + s), level + normal(rng))};
            detector.observe(batch, out);
            alarms[day] += firing(out).size();
        }
    };
    // The backup runs from two to four, but neither on the first day nor on the last.
    for (int day = 0; day < 21; ++day) {
        feed(day, 0, 2, 20);
        feed(day, 2, 4, day == 0 || day == 20 ? 20 : 200);
        feed(day, 4, 24, 20);
    }
    CHECK(alarms[1] > 0);
    for (int day = 10; day < 20; ++day) {
        INFO(day);
        CHECK(alarms[day] == 0);
    }
    CHECK(alarms[20] > 0);
}
