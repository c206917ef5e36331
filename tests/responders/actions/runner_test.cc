#include "responders/actions/runner.h"

#include <catch2/catch.hpp>

#include "tests/responders/actions/harness.h"

using namespace vigie;
using namespace vigie::actions;
using namespace vigie::actions::test;

TEST_CASE("runner: takes a key once, and gives it back when the pool had no room", "[actions]") {
    ActionsWorld world;
    world.pool_queue_max = 1;
    world.start();
    const auto submit = [&](const std::string& key) {
        return world.runner().submit(Runner::Job::kExecute, key, intent("act-1"), kStart);
    };
    CHECK(submit("one").has_value());
    const auto full = submit("two");
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().kind == ErrorKind::kOverloaded);
    CHECK(world.runner().knows("one"));
    CHECK_FALSE(world.runner().knows("two"));
    CHECK(world.run_pool() == 1);
    const auto again = submit("one");
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().kind == ErrorKind::kConflict);
    CHECK(submit("two").has_value());
    CHECK(world.run_pool() == 1);
    CHECK(world.target.calls == 2);
}

TEST_CASE("runner: what goes on the log is bounded", "[actions]") {
    auto event = intent("act-1");
    event.message = std::string(5000, 'x') + "\nsecond line";
    for (int i = 0; i < 300; ++i) {
        event.diff.push_back(std::string(2000, 'y'));
        event.facts.emplace("fact" + std::to_string(i), std::string(10'000, 'z'));
    }
    bound(event);
    CHECK(event.message.size() <= 1024);
    CHECK(event.message.ends_with("…"));
    CHECK(event.diff.size() == 200);
    CHECK(event.diff.front().size() <= 1024);
    CHECK(event.facts.size() == 64);
    CHECK(event.facts.begin()->second.size() <= 4096);
}
