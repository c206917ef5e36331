#include <catch2/catch.hpp>

#include "tests/world/story.h"

using vigie::sim::all_hazards;
using vigie::sim::Hazards;
using vigie::sim::run_story;

namespace {

constexpr std::uint64_t kSeeds = 200;

}  // namespace

TEST_CASE("simulation: without hazards the story ends well", "[sim]") {
    const auto outcome = run_story(1, Hazards{});
    CHECK(outcome.broken == std::vector<std::string>{});
    CHECK(outcome.rollbacks == 1);
    CHECK(!outcome.handed_over);
}

TEST_CASE("simulation: crashes, lost answers and reordering break no promise", "[sim]") {
    std::size_t crashes = 0;
    int rollbacks = 0;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        INFO("replay it with ./dev sim " << seed);
        const auto outcome = run_story(seed, all_hazards());
        REQUIRE(outcome.broken == std::vector<std::string>{});
        crashes += outcome.crashes;
        rollbacks += outcome.rollbacks;
    }
    // The hazards were really there, and the story was really told.
    CHECK(crashes > 10 * kSeeds);
    CHECK(rollbacks > static_cast<int>(kSeeds) * 3 / 4);
}

TEST_CASE("simulation: a seed is one run, to the byte", "[sim]") {
    CHECK(run_story(7, all_hazards()).trace == run_story(7, all_hazards()).trace);
}
