// What streams/bus.h promises and only a bus inside this process can be made to show: a disk that
// is full at the right moment, and a partition that moves although its old owner never polls. Kafka
// waits for the old owner until its session times out: tests/broker/ has that case.
#include <catch2/catch.hpp>

#include "tests/contract/harness.h"

// clang-format off
#define LOCAL(name) TEMPLATE_TEST_CASE("bus: " name, "[contract]", MemoryHarness, RocksHarness)
// clang-format on

namespace vigie::streams {

using Values = std::vector<std::string>;

LOCAL("a full disk is kOverloaded, writes nothing, and passes") {
    TestType harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "before")}).has_value());
    harness.set_full(true);
    CHECK(append_and_wait(harness.bus(), {msg("", "x")}).error().kind == ErrorKind::kOverloaded);
    {
        TestListener listener;
        const auto consumer = harness.bus().subscribe({"g", {"in"}}, listener);
        REQUIRE((*consumer)->poll(kNow)->size() == 1);
        Step step{.input = {"in", 0}, .next = 1, .state = {{"k", "v"}}, .outputs = {}};
        CHECK((*consumer)->commit(step).error().kind == ErrorKind::kOverloaded);
        CHECK(*(*consumer)->store({"in", 0}).get("k") == std::nullopt);
        CHECK(*(*consumer)->position({"in", 0}) == 0);
    }
    harness.set_full(false);
    REQUIRE(append_and_wait(harness.bus(), {msg("", "after")}).has_value());
    CHECK(values_on(harness.bus(), "in") == Values{"before", "after"});
}

LOCAL("a moved partition is refused to the old owner before it has noticed") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 2).has_value());
    const std::string key = [] {
        for (int i = 0;; ++i) {
            if (partition_of(std::to_string(i), 2) == 1) return std::to_string(i);
        }
    }();
    REQUIRE(append_and_wait(bus, {msg(key, "1"), msg(key, "2")}).has_value());
    TestListener old_listener;
    TestListener new_listener;
    const auto old_member = *bus.subscribe({"g", {"in"}}, old_listener);
    REQUIRE(old_member->poll(kNow)->size() == 2);

    auto new_member = *bus.subscribe({"g", {"in"}}, new_listener);
    CHECK(values_of(*new_member->poll(kNow)) == Values{"1", "2"});
    const Step stale{.input = {"in", 1},
                     .next = 2,
                     .state = {{"k", "stale"}},
                     .outputs = {msg("", "stale", "out")}};
    CHECK(old_member->commit(stale).error().kind == ErrorKind::kConflict);
    Step good = stale;
    good.outputs[0].value = "good";
    REQUIRE(new_member->commit(good).has_value());
    CHECK(values_on(bus, "out") == Values{"good"});

    // It comes back before the old owner polls: it must start from the store all the same.
    new_member.reset();
    CHECK(old_member->commit(stale).error().kind == ErrorKind::kConflict);
    CHECK(old_member->poll(kNow)->empty());
    CHECK(old_listener.assigned == 3);
    CHECK(*old_member->position({"in", 1}) == 2);
    CHECK(*old_member->store({"in", 1}).get("k") == "stale");
    REQUIRE(old_member->commit({.input = {"in", 1}, .next = 2, .state = {}, .outputs = {}})
                .has_value());
}

}  // namespace vigie::streams
