#include <map>
#include <string>

#include <catch2/catch.hpp>

#include "tests/world/story.h"

using vigie::sim::all_hazards;
using vigie::sim::Hazards;
using vigie::sim::run_story;

namespace {

// Of each test: ctest runs them beside each other.
constexpr std::uint64_t kSeeds = 25;

// How often each fault must have happened in kSeeds seeds, so that none is silently dead: once in
// two seeds, and the frequent ones once in each.
constexpr std::size_t kOften = kSeeds;
constexpr std::size_t kSometimes = kSeeds / 2;
const std::map<std::string, std::size_t>& met_min() {
    static const std::map<std::string, std::size_t> min{
        {"append_answer_lost", kOften},
        {"append_lost", kOften},
        {"call_in_doubt", 1},
        {"clock_jump", kOften},
        {"commit_answer_lost", kOften},
        {"commit_lost", kOften},
        {"crash", 10 * kSeeds},
        {"crash_in_call", kOften},
        {"crash_in_commit", 5 * kSeeds},
        {"disk_full", kOften},
        {"fenced", kOften},
        {"late_answer", kOften},
        {"poll_failed", kOften},
        {"rebalance", kOften},
        {"short_batch", kOften},
        {"slow_commit", kOften},
        {"stall", kOften},
        {"torn_write", kSometimes},
        {"unreachable", kOften},
        {"unreachable_only_in_part", kOften},
    };
    return min;
}

// Seeds [first, first + kSeeds): every promise holds, the hazards were really there, and the
// story was really told.
void check_seeds(std::uint64_t first) {
    std::map<std::string, std::size_t> met;
    int rollbacks = 0;
    for (std::uint64_t seed = first; seed < first + kSeeds; ++seed) {
        INFO("replay it with ./dev sim " << seed);
        const auto outcome = run_story(seed, all_hazards());
        REQUIRE(outcome.broken == std::vector<std::string>{});
        for (const auto& [fault, count] : outcome.met) met[fault] += count;
        rollbacks += outcome.rollbacks;
    }
    for (const auto& [fault, count] : met) {
        INFO(fault << " happened " << count << " times");
        REQUIRE(met_min().contains(fault));
        CHECK(count >= met_min().at(fault));
    }
    CHECK(met.size() == met_min().size());
    CHECK(rollbacks > static_cast<int>(kSeeds) * 3 / 4);
}

}  // namespace

TEST_CASE("simulation: without hazards the story ends well", "[sim]") {
    const auto outcome = run_story(1, Hazards{});
    CHECK(outcome.broken == std::vector<std::string>{});
    CHECK(outcome.rollbacks == 1);
    CHECK(!outcome.handed_over);
}

TEST_CASE("simulation: no fault breaks a promise, seeds 1 to 25", "[sim]") {
    check_seeds(1);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 26 to 50", "[sim]") {
    check_seeds(26);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 51 to 75", "[sim]") {
    check_seeds(51);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 76 to 100", "[sim]") {
    check_seeds(76);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 101 to 125", "[sim]") {
    check_seeds(101);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 126 to 150", "[sim]") {
    check_seeds(126);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 151 to 175", "[sim]") {
    check_seeds(151);
}
TEST_CASE("simulation: no fault breaks a promise, seeds 176 to 200", "[sim]") {
    check_seeds(176);
}

TEST_CASE("simulation: a bus that commits the position before the state is found out", "[sim]") {
    Hazards hazards = all_hazards();
    hazards.planted = true;
    constexpr std::uint64_t kEnough = 50;
    std::uint64_t seed = 1;
    while (seed <= kEnough && run_story(seed, hazards).broken.empty()) ++seed;
    CHECK(seed <= kEnough);
}

TEST_CASE("simulation: a seed is one run, to the byte", "[sim]") {
    const auto first = run_story(7, all_hazards());
    const auto second = run_story(7, all_hazards());
    CHECK(first.trace == second.trace);
    CHECK(first.met == second.met);
}
