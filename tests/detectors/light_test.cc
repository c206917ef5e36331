#include "detectors/light_series.h"

#include <catch2/catch.hpp>

#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using Turn = Episode::Turn;

constexpr double kStep = 60;

ModelOptions quick() {
    ModelOptions options;
    options.warmup_points = 60;
    options.warmup_span = 15min;
    return options;
}

// Feeds rows a minute apart and writes down what begins and ends.
struct Feed {
    void value(double value) {
        now += kStep;
        verdict = series.observe(at(now), value, 0, options);
        if (verdict.turn == Turn::kBegan) said += "began ";
        if (verdict.turn == Turn::kEnded) {
            said += verdict.adapted ? "adapted " : "calm ";
        }
    }
    void noise(int rows, double level, double spread) {
        for (int i = 0; i < rows; ++i) value(level + spread * normal(rng));
    }

    ModelOptions options = quick();
    LightSeries series;
    Judgement verdict;
    std::string said;
    Rng rng{5};
    double now = 0;
};

}  // namespace

TEST_CASE("light: a jump begins after three rows and ends when it is over", "[detectors]") {
    Feed feed;
    feed.noise(300, 10, 0.5);
    feed.noise(2, 30, 0.5);
    CHECK(feed.said.empty());
    feed.noise(8, 30, 0.5);
    CHECK(feed.said == "began ");
    CHECK(feed.verdict.expected == Approx(10).margin(1));
    CHECK(feed.verdict.upper < 20);
    feed.noise(20, 10, 0.5);
    CHECK(feed.said == "began calm ");
}

TEST_CASE("light: single wild rows are nothing, and so is calm noise", "[detectors]") {
    Feed feed;
    for (int i = 0; i < 200; ++i) {
        feed.noise(50, 10, 0.5);
        feed.value(1000);
        feed.value(-1000);
    }
    CHECK(feed.said.empty());
}

TEST_CASE("light: two rows that agree are enough once the series is known", "[detectors]") {
    Feed feed;
    feed.noise(1200, 100, 3);
    feed.value(115.5);
    CHECK(feed.said.empty());
    feed.value(114.5);
    CHECK(feed.said == "began ");
    CHECK(feed.verdict.score >= 1);
    CHECK(feed.series.episode().first_seen() == at(feed.now - kStep));
    feed.noise(20, 100, 3);
    CHECK(feed.said == "began calm ");
    // The rows after it did not bear it out, and single odd rows come by chance: not again.
    for (int i = 0; i < 20; ++i) {
        feed.noise(20, 100, 3);
        feed.value(140);
        feed.noise(20, 100, 3);
        feed.value(116);
        feed.value(116);
    }
    CHECK(feed.said == "began calm ");
}

TEST_CASE("light: a level that lasts is told once and is the new normal", "[detectors]") {
    Feed feed;
    feed.noise(300, 10, 0.5);
    feed.noise(300, 50, 0.5);
    CHECK(feed.said == "began adapted ");
    feed.noise(5, 10, 0.5);
    CHECK(feed.said == "began adapted began ");
}

TEST_CASE("light: the hours of a day are learned, and their absence seen", "[detectors]") {
    Feed feed;
    const auto day = [&](int days, double depth) {
        for (int i = 0; i < days * 1440; ++i) {
            feed.value(100 + depth * std::sin(6.28318 * feed.now / 86'400) + normal(feed.rng));
        }
    };
    day(6, 60);
    const std::string before = feed.said;
    day(2, 60);
    CHECK(feed.said == before);
    CHECK(feed.verdict.upper - feed.verdict.lower < 40);
    const std::size_t already = feed.said.size();
    for (int i = 0; i < 300; ++i) feed.value(40 + normal(feed.rng));
    CHECK(feed.said.size() > already);
}

TEST_CASE("light: a line that used to move and stands still is flat", "[detectors]") {
    Feed feed;
    feed.noise(1000, 10, 0.5);
    for (int i = 0; i < 55; ++i) feed.value(10);
    CHECK(feed.said.empty());
    for (int i = 0; i < 20; ++i) feed.value(10);
    CHECK(feed.said == "began ");
    CHECK(feed.verdict.sign == LightSign::kFlat);
    feed.noise(20, 10, 0.5);
    CHECK(feed.said == "began calm ");
}

TEST_CASE("light: a line that stands at its largest value is saturated", "[detectors]") {
    Feed feed;
    for (int i = 0; i < 1000; ++i) feed.value(std::min(11.0, 10 + 0.3 * normal(feed.rng)));
    for (int i = 0; i < 80; ++i) feed.value(11);
    CHECK(feed.said == "began ");
    CHECK(feed.verdict.sign == LightSign::kSaturated);
}

TEST_CASE("light: a constant is never odd, and warm-up is silent", "[detectors]") {
    Feed constant;
    for (int i = 0; i < 5000; ++i) constant.value(7);
    CHECK(constant.said.empty());
    Feed cold;
    cold.noise(30, 1, 0.1);
    cold.noise(30, 1000, 0.1);
    CHECK(cold.said.empty());
    CHECK(!cold.verdict.judged);
}

TEST_CASE("light: scale and level of a series do not matter", "[detectors]") {
    Feed plain;
    Feed large;
    plain.options.spread_ratio_min = large.options.spread_ratio_min = 0;
    for (int i = 0; i < 3000; ++i) {
        const double value = 8 * normal(plain.rng) + (i % 700 > 690 ? 300 : 0);
        plain.value(value);
        large.value(value * 4096);
        REQUIRE(large.verdict.score == plain.verdict.score);
    }
    CHECK(plain.said == large.said);
    CHECK(!plain.said.empty());
}

TEST_CASE("light: only the side that is asked for can be odd", "[detectors]") {
    for (const bool up : {true, false}) {
        Feed feed;
        feed.options.up = up;
        feed.options.down = !up;
        feed.noise(300, 10, 0.5);
        feed.noise(10, up ? -30 : 50, 0.5);
        CHECK(feed.said.empty());
        feed.noise(300, 10, 0.5);
        feed.noise(10, up ? 50 : -30, 0.5);
        CHECK(feed.said == "began ");
    }
}

TEST_CASE("light: a restart changes nothing", "[detectors]") {
    Feed feed;
    feed.noise(2000, 10, 0.5);
    feed.noise(4, 40, 0.5);
    Encoder out;
    feed.series.save(out);
    const std::string saved = std::move(out).seal('1');
    auto in = Decoder::open(saved, '1', "test");
    REQUIRE(in);
    LightSeries again;
    again.load(*in);
    REQUIRE(in->finish());
    for (int i = 0; i < 500; ++i) {
        const double value = 10 + normal(feed.rng);
        feed.value(value);
        const auto verdict = again.observe(at(feed.now), value, 0, feed.options);
        REQUIRE(verdict.score == feed.verdict.score);
        REQUIRE(verdict.turn == feed.verdict.turn);
    }
}

TEST_CASE("light: extremes do not break it, and it is small", "[detectors]") {
    CHECK(sizeof(LightSeries) <= 600);
    Feed feed;
    for (int i = 0; i < 3000; ++i) {
        feed.value(i % 97 == 0 ? 1e200 : i % 89 == 0 ? -1e200 : normal(feed.rng));
        REQUIRE(std::isfinite(feed.verdict.score));
        REQUIRE(std::isfinite(feed.verdict.expected));
    }
    Encoder out;
    feed.series.save(out);
    const std::string saved = std::move(out).seal('1');
    auto in = Decoder::open(saved, '1', "test");
    LightSeries again;
    again.load(*in);
    CHECK(in->finish());
}
