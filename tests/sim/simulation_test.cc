#include <catch2/catch.hpp>

#include "tests/world/story.h"

using vigie::sim::all_hazards;
using vigie::sim::Hazards;
using vigie::sim::run_story;

namespace {

// Of each test: ctest runs them beside each other.
constexpr std::uint64_t kSeeds = 50;

// Seeds [first, first + kSeeds): every promise holds, the hazards were really there, and the
// story was really told.
void check_seeds(std::uint64_t first) {
    std::size_t crashes = 0;
    int rollbacks = 0;
    for (std::uint64_t seed = first; seed < first + kSeeds; ++seed) {
        INFO("replay it with ./dev sim " << seed);
        const auto outcome = run_story(seed, all_hazards());
        REQUIRE(outcome.broken == std::vector<std::string>{});
        crashes += outcome.crashes;
        rollbacks += outcome.rollbacks;
    }
    CHECK(crashes > 10 * kSeeds);
    CHECK(rollbacks > static_cast<int>(kSeeds) * 3 / 4);
}

}  // namespace

TEST_CASE("simulation: without hazards the story ends well", "[sim]") {
    const auto outcome = run_story(1, Hazards{});
    CHECK(outcome.broken == std::vector<std::string>{});
    CHECK(outcome.rollbacks == 1);
    CHECK(!outcome.handed_over);
}

TEST_CASE("simulation: crashes and lost answers break no promise, seeds 1 to 50", "[sim]") {
    check_seeds(1);
}
TEST_CASE("simulation: crashes and lost answers break no promise, seeds 51 to 100", "[sim]") {
    check_seeds(51);
}
TEST_CASE("simulation: crashes and lost answers break no promise, seeds 101 to 150", "[sim]") {
    check_seeds(101);
}
TEST_CASE("simulation: crashes and lost answers break no promise, seeds 151 to 200", "[sim]") {
    check_seeds(151);
}

TEST_CASE("simulation: a bus that commits the position before the state is found out", "[sim]") {
    Hazards hazards = all_hazards();
    hazards.planted = true;
    std::uint64_t seed = 1;
    while (seed <= kSeeds && run_story(seed, hazards).broken.empty()) ++seed;
    CHECK(seed <= kSeeds);
}

TEST_CASE("simulation: a seed is one run, to the byte", "[sim]") {
    const auto first = run_story(7, all_hazards());
    const auto second = run_story(7, all_hazards());
    CHECK(first.trace == second.trace);
    CHECK(first.crashes == second.crashes);
}
