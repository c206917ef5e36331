#include "detectors/deep_series.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

constexpr double kStep = 60;
constexpr double kDay = 86'400;

// A day's course with noise.
std::vector<double> seasonal(int rows, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<double> values;
    for (int i = 0; i < rows; ++i) {
        values.push_back(100 + 40 * std::sin(6.28318 * i * kStep / kDay) + 3 * normal(rng));
    }
    return values;
}

std::vector<DeepVerdict> judge(DeepSeries& series, const std::vector<double>& values,
                               std::size_t from = 0) {
    std::vector<DeepVerdict> out;
    for (std::size_t i = 0; i < values.size(); ++i) {
        out.push_back(series.observe(at(static_cast<double>(from + i) * kStep), values[i]));
    }
    return out;
}

std::size_t alarms(const std::vector<DeepVerdict>& verdicts) {
    return static_cast<std::size_t>(
        std::ranges::count_if(verdicts, [](const auto& each) { return each.anomaly; }));
}

bool same(const DeepVerdict& a, const DeepVerdict& b) {
    return a.expected == b.expected && a.lower == b.lower && a.upper == b.upper &&
           a.score == b.score && a.probability == b.probability && a.anomaly == b.anomaly;
}

}  // namespace

TEST_CASE("deep: a spike and a jump are told at their first row, calm days rarely", "[detectors]") {
    auto values = seasonal(5 * 1440, 3);
    values[6000] += 60;
    for (std::size_t i = 6600; i < values.size(); ++i) values[i] -= 50;
    DeepSeries series;
    const auto verdicts = judge(series, values);
    CHECK(verdicts[6000].anomaly);
    CHECK(verdicts[6600].anomaly);
    CHECK(verdicts[5999].expected == Approx(values[5999]).margin(12));
    CHECK(verdicts[5999].lower < verdicts[5999].expected);
    CHECK(verdicts[5999].upper > verdicts[5999].expected);
    CHECK(verdicts[6000].upper < values[6000]);
    CHECK(verdicts[6600].lower > values[6600]);
    CHECK(alarms({verdicts.begin(), verdicts.begin() + 6000}) <= 8);
}

TEST_CASE("deep: a score above one, probability and alarm say the same", "[detectors]") {
    auto values = seasonal(3000, 5);
    for (std::size_t i = 500; i < values.size(); i += 333) values[i] += 80;
    DeepSeries series;
    for (const DeepVerdict& each : judge(series, values)) {
        CHECK(each.anomaly == (each.probability >= 0.5));
        CHECK(each.anomaly == (each.score >= 1));
        CHECK((each.probability >= 0 && each.probability <= 1));
        CHECK((each.judged || each.score == 0));
    }
}

TEST_CASE("deep: no alarm in warm-up, and none from a constant", "[detectors]") {
    DeepSeries cold;
    std::vector<double> wild(DeepSeries::kWarmupRows, 1);
    wild.back() = 1e6;
    CHECK(alarms(judge(cold, wild)) == 0);
    for (const double value : {0.0, 1e9, -3.25}) {
        DeepSeries series;
        CHECK(alarms(judge(series, std::vector<double>(5000, value))) == 0);
    }
}

TEST_CASE("deep: neither scale nor level of a series matters", "[detectors]") {
    auto values = seasonal(4000, 7);
    for (std::size_t i = 1000; i < values.size(); i += 501) values[i] += 50;
    DeepSeries plain;
    DeepSeries scaled;
    DeepSeries shifted;
    std::vector<double> large;
    std::vector<double> high;
    for (const double value : values) {
        large.push_back(value * 1024);
        high.push_back(value + 65'536);
    }
    const auto expected = judge(plain, values);
    const auto by_scale = judge(scaled, large);
    const auto by_shift = judge(shifted, high);
    for (std::size_t i = 0; i < values.size(); ++i) {
        REQUIRE(by_scale[i].score == expected[i].score);
        REQUIRE(by_shift[i].score == Approx(expected[i].score).margin(1e-3));
    }
}

TEST_CASE("deep: what comes later changes nothing, and neither does a restart", "[detectors]") {
    auto values = seasonal(3000, 11);
    values[2500] += 70;
    DeepSeries whole;
    const auto expected = judge(whole, values);
    DeepSeries first;
    judge(first, {values.begin(), values.begin() + 2000});
    Encoder out;
    first.save(out);
    const std::string saved = std::move(out).seal('1');
    auto in = Decoder::open(saved, '1', "test");
    REQUIRE(in);
    DeepSeries second;
    second.load(*in);
    REQUIRE(in->finish());
    Encoder again;
    second.save(again);
    CHECK(std::move(again).seal('1') == saved);
    const auto rest = judge(second, {values.begin() + 2000, values.end()}, 2000);
    for (std::size_t i = 0; i < rest.size(); ++i) REQUIRE(same(rest[i], expected[2000 + i]));
}

TEST_CASE("deep: extremes, repeats of a time and gaps are rows like others", "[detectors]") {
    DeepSeries series;
    double now = 0;
    Rng rng(13);
    for (int i = 0; i < 3000; ++i) {
        now += i % 7 == 0 ? 0 : i % 100 == 99 ? 90'000 : 15;
        const double value = i % 500 == 250 ? 1e200 : i % 500 == 300 ? -1e200 : normal(rng);
        const DeepVerdict verdict = series.observe(at(now), value);
        REQUIRE(std::isfinite(verdict.score));
        REQUIRE(std::isfinite(verdict.probability));
        REQUIRE(std::isfinite(verdict.expected));
    }
}

TEST_CASE("deep: a series takes at most 48 KB", "[detectors]") {
    DeepSeries series;
    judge(series, seasonal(8 * 1440, 17));
    CHECK(series.bytes() <= 48 * 1024);
}

TEST_CASE("deep: what a weekday has of its own is learned, and nothing where there is none",
          "[detectors]") {
    for (const bool weekly : {true, false}) {
        Rng rng(8);
        DeepSeries series;
        double error = 0;
        int rows = 0;
        constexpr double kStep = 600;
        for (int row = 0; row < 6 * 7 * 144; ++row) {
            const int day = row / 144 % 7;
            const bool weekend = weekly && day >= 5;
            const double value =
                (weekend ? 40 : 100) + 10 * std::sin(row * 6.283185307 / 144) + 2 * normal(rng);
            const DeepVerdict verdict = series.observe(at(kStep * row), value);
            // The first hours of a weekend, before the last rows say so.
            if (row < 4 * 7 * 144 || day != 5 || row % 144 >= 6) continue;
            error += std::abs(value - verdict.expected);
            ++rows;
        }
        REQUIRE(rows == 12);
        CHECK(error / rows < 8);
    }
}
