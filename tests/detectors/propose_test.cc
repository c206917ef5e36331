#include "detectors/rules/propose.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "detectors/rules/rules.h"
#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

using Points = std::vector<RulePoint>;

Points noise(std::uint64_t seed, int minutes, double spikes_per_day) {
    Rng rng(seed);
    std::vector<RulePoint> points;
    for (int m = 0; m < minutes; ++m) {
        const bool spike = rng.uniform() < spikes_per_day / 1440;
        points.push_back(
            {at(m * 60.0), 50 + 5 * normal(rng) + (spike ? 100 + 20 * rng.uniform() : 0)});
    }
    return points;
}

// How often the rule detector itself fires.
std::size_t fired(const std::vector<RulePoint>& points, const Proposal& proposal,
                  const ProposeOptions& options) {
    Rule rule;
    rule.name = "X";
    rule.selection.metric = "m";
    rule.selection.window = 61s;
    rule.comparison = options.above ? Comparison::kAbove : Comparison::kBelow;
    rule.threshold = proposal.threshold;
    rule.hold = options.hold;
    RuleOptions rules;
    rules.rules = {rule};
    const auto detector = *make_rule_detector(rules);
    Findings out;
    for (const auto& point : points) {
        const std::vector batch{series("m", {{"job", "a"}}, point.at, point.value)};
        detector->observe(batch, out);
        detector->advance(point.at, out);
    }
    return firing(out).size();
}

}  // namespace

TEST_CASE("propose: the alarms it tells of are those the rule raises", "[detectors]") {
    const auto points = noise(1, 20 * 1440, 3);
    for (const bool above : {true, false}) {
        for (const auto hold : {0min, 2min}) {
            ProposeOptions options;
            options.above = above;
            options.hold = hold;
            const auto proposals = propose_thresholds(std::vector<Points>{points}, options);
            REQUIRE(proposals);
            REQUIRE(proposals->size() >= 2);
            for (const auto& each : *proposals) {
                INFO(each.threshold << " " << hold.count());
                CHECK(each.alarms == fired(points, each, options));
                CHECK(each.alarms_per_day <= each.budget_per_day);
                CHECK(each.alarms_per_day ==
                      Approx(static_cast<double>(each.alarms) / 20).epsilon(0.001));
            }
            CHECK(proposals->front().alarms == 0);
            // The more alarms are allowed, the more sensitive.
            for (std::size_t i = 1; i < proposals->size(); ++i) {
                const double before = (*proposals)[i - 1].threshold;
                const double now = (*proposals)[i].threshold;
                CHECK((above ? now < before : now > before));
            }
        }
    }
}

TEST_CASE("propose: what was chosen from the past is told of the time after it", "[detectors]") {
    auto points = noise(2, 20 * 1440, 0);
    for (std::size_t i = points.size() / 2; i < points.size(); i += 720) points[i].value = 200;
    const auto proposals = propose_thresholds(std::vector<Points>{points}, {.alarms_per_day = {0}});
    REQUIRE(proposals);
    REQUIRE(proposals->size() == 1);
    CHECK(proposals->front().threshold == 200);
    CHECK(proposals->front().alarms == 0);
    CHECK(proposals->front().later_per_day == Approx(2).epsilon(0.01));
}

TEST_CASE("propose: a counter gives its increase per second, resets included", "[detectors]") {
    const Points counts{{at(0), 100}, {at(10), 150}, {at(30), 150}, {at(40), 20}};
    const auto rates = rates_of(counts);
    REQUIRE(rates.size() == 3);
    CHECK(rates[0].at == at(10));
    CHECK(rates[0].value == Approx(5));
    CHECK(rates[1].value == 0);
    CHECK(rates[2].value == Approx(2));
    CHECK(rates_of(Points{}).empty());
}

TEST_CASE("propose: several series share one threshold", "[detectors]") {
    const std::vector<Points> series{noise(3, 5000, 2), noise(4, 5000, 2), noise(5, 5000, 2)};
    const auto proposals = propose_thresholds(series, {.alarms_per_day = {0, 1}});
    REQUIRE(proposals);
    REQUIRE(proposals->size() == 2);
    CHECK(proposals->back().alarms > 0);
    CHECK(proposals->back().alarms <= 10);  // In 3 series of 3.5 days.
}

TEST_CASE("propose: what cannot be used is refused", "[detectors]") {
    const auto points = noise(1, 100, 0);
    CHECK(!propose_thresholds(std::vector<Points>{}, {}));
    CHECK(!propose_thresholds(std::vector<Points>{Points(points.begin(), points.begin() + 5)}, {}));
    CHECK(!propose_thresholds(std::vector<Points>{points}, {.alarms_per_day = {-1}}));
    CHECK(
        !propose_thresholds(std::vector<Points>{points}, {.hold = std::chrono::milliseconds(-1)}));
    auto backwards = points;
    std::swap(backwards[3], backwards[4]);
    CHECK(!propose_thresholds(std::vector<Points>{backwards}, {}));
    const std::vector<RulePoint> constant(50, RulePoint{at(0), 1});
    CHECK(!propose_thresholds(std::vector<Points>{constant}, {}));
    auto flat = points;
    for (auto& point : flat) point.value = -3;
    const auto proposals = propose_thresholds(std::vector<Points>{flat}, {});
    REQUIRE(proposals);
    REQUIRE(proposals->size() == 1);
    CHECK(proposals->front().threshold == -3);
}
