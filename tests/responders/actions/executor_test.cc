#include <catch2/catch.hpp>

#include "responders/actions/metrics.h"
#include "tests/responders/actions/harness.h"

using namespace vigie;
using namespace vigie::actions;
using namespace vigie::actions::test;
using namespace std::chrono_literals;

TEST_CASE("executor: an intent is started, called once and its outcome ends it", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.settle();

    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.last().instance == "instance-1");
    CHECK(world.last().facts.at("answer") == "200");
    CHECK(world.target.calls == 1);
    CHECK(world.state.rows.contains("done/act-1"));
    CHECK_FALSE(world.state.rows.contains("row/execute/act-1"));
}

TEST_CASE("executor: nothing is called before started is read back and committed", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    CHECK(world.run_pool() == 0);
    CHECK(world.story("act-1") == "intended started");
    world.step_and_fail();
    CHECK(world.run_pool() == 0);
    REQUIRE(world.step());
    CHECK(world.run_pool() == 1);
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: a second intent with the same id is ignored, running or finished",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.append(intent("act-1"));
    world.settle();
    world.append(intent("act-1"));
    world.settle();

    CHECK(world.target.calls == 1);
    CHECK(world.story("act-1") == "intended intended started succeeded intended");
    CHECK(world.metrics.counter(metric::kDuplicates).value() == 2);
}

TEST_CASE("executor: started records repeated by the log do not call again", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.settle();
    auto started = world.events()[1];
    REQUIRE(started.status == ActionStatus::kStarted);
    world.append(started);
    world.settle();
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: an inspection returns facts and diff, and may be asked for again",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1", ActionPhase::kInspect));
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.last().facts == Facts{{"applied", "false"}});
    CHECK(world.last().diff == std::vector<std::string>{"- old", "+ new"});
    world.tick(1s);
    world.append(intent("act-1", ActionPhase::kInspect));
    world.settle();
    CHECK(world.target.inspections == 2);
    CHECK(world.last().status == ActionStatus::kSucceeded);
    CHECK(world.target.calls == 0);
}

TEST_CASE("executor: an inspection is tried again while the target does not answer, within bounds",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.target.inspections_failing = 2;
    world.append(intent("act-1", ActionPhase::kInspect));
    world.settle();
    CHECK(world.last().status == ActionStatus::kSucceeded);
    CHECK(world.target.inspections == 3);

    world.target.inspections_failing = 100;
    world.append(intent("act-2", ActionPhase::kInspect));
    world.settle();
    CHECK(world.last().status == ActionStatus::kFailed);
    CHECK(world.last().message == "the target does not answer");
    CHECK(world.target.inspections == 6);
}

TEST_CASE("executor: an invalid inspection is not tried again", "[actions]") {
    ActionsWorld world;
    world.start();
    auto event = intent("act-1", ActionPhase::kInspect);
    event.parameters["bad"] = "1";
    world.append(event);
    world.settle();
    CHECK(world.last().status == ActionStatus::kFailed);
    CHECK(world.target.inspections == 1);
}

TEST_CASE("executor: the kill switch refuses execution and allows inspection", "[actions]") {
    ActionsWorld world;
    world.start();
    world.kill_switch.status = fail(ErrorKind::kRefused, "the kill switch is on");
    world.append(intent("act-1"));
    world.append(intent("act-2", ActionPhase::kInspect));
    world.settle();
    CHECK(world.story("act-1") == "intended started refused");
    CHECK(world.story("act-2") == "intended started succeeded");
    CHECK(world.target.calls == 0);
}

TEST_CASE("executor: a kill switch that cannot be read counts as on", "[actions]") {
    ActionsWorld world;
    world.start();
    world.kill_switch.status = fail(ErrorKind::kUnavailable, "no such file");
    world.append(intent("act-1"));
    world.settle();
    CHECK(world.last().status == ActionStatus::kRefused);
    CHECK(world.last().message == "the kill switch cannot be read and counts as on: no such file");
    CHECK(world.target.calls == 0);
}

TEST_CASE("executor: the kill switch is read after the action was queued", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.kill_switch.status = fail(ErrorKind::kRefused, "the kill switch is on");
    CHECK(world.run_pool() == 1);
    CHECK(world.last().status == ActionStatus::kRefused);
    CHECK(world.target.calls == 0);
}

TEST_CASE("executor: an action that is not in the catalogue is refused", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1", ActionPhase::kExecute, "nobody.knows"));
    world.settle();
    CHECK(world.story("act-1") == "intended refused");
    CHECK(world.last().message.find("nobody.knows") != std::string::npos);
}

TEST_CASE("executor: intents above the bound are refused", "[actions]") {
    ActionsWorld world;
    world.executor_options.rows_max = 2;
    world.start();
    for (const auto* id : {"act-1", "act-2", "act-3"}) world.append(intent(id));
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.story("act-2") == "intended started succeeded");
    CHECK(world.story("act-3") == "intended refused");
    CHECK(world.metrics.counter(metric::kRowsFull).value() == 1);
    for (const auto& event : world.events()) {
        if (event.status != ActionStatus::kRefused) continue;
        CHECK(event.facts.at("applied") == "no");
    }
}

TEST_CASE("executor: what the pool has no room for is handed over at a later tick", "[actions]") {
    ActionsWorld world;
    world.pool_queue_max = 1;
    world.start();
    world.append(intent("act-1"));
    world.append(intent("act-2"));
    while (world.step()) {
    }
    CHECK(world.run_pool() == 1);
    CHECK(world.target.calls == 1);
    world.tick(1s);
    world.settle();
    CHECK(world.target.calls == 2);
    CHECK(world.story("act-2") == "intended started succeeded");
}

TEST_CASE("executor: what the pool has no room for in time is refused, and never called",
          "[actions]") {
    ActionsWorld world;
    world.pool_queue_max = 1;
    world.start();
    world.append(intent("act-1"));
    world.append(intent("act-2"));
    while (world.step()) {
    }
    world.tick(61s);
    REQUIRE(world.step());
    CHECK(world.story("act-2") == "intended started refused");
    world.settle();
    CHECK(world.target.calls == 1);
    CHECK(world.story("act-1") == "intended started succeeded");
}

TEST_CASE("executor: an intent that is too old is refused", "[actions]") {
    ActionsWorld world;
    world.runner_options.intent_age_max = 30s;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.clock.now += 31s;
    world.run_pool();
    CHECK(world.last().status == ActionStatus::kRefused);
    CHECK(world.target.calls == 0);

    world.append(intent("act-2"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.clock.now += 30s;
    world.run_pool();
    CHECK(world.last().status == ActionStatus::kSucceeded);
}

TEST_CASE("executor: a call in doubt is settled by a look, both ways", "[actions]") {
    const bool arrived = GENERATE(true, false);
    ActionsWorld world;
    world.start();
    world.target.says = arrived ? std::optional(Fate::kUnknown) : std::nullopt;
    world.target.drop = !arrived;
    world.append(intent("act-1"));
    world.settle();
    CHECK(world.target.calls == 1);
    CHECK(world.target.looks == 1);
    CHECK(world.last().facts.at("applied") == (arrived ? "yes" : "no"));
    CHECK(world.story("act-1") ==
          (arrived ? "intended started succeeded" : "intended started failed"));
    // Not before the request can have arrived.
    CHECK(world.waiter.waited() == world.runner_options.settle_wait);
}

TEST_CASE("executor: a call that looking does not settle stays in doubt, and is not repeated",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.target.drop = true;
    world.target.sight = Sight::kUnknown;
    world.append(intent("act-1"));
    world.settle();
    CHECK(world.story("act-1") == "intended started in_doubt");
    CHECK(world.last().facts.at("applied") == "unknown");
    CHECK(world.target.looks == world.runner_options.looks_max);
    world.append(intent("act-1"));
    world.tick(1h);
    world.settle();
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: an outcome that cannot be published is published at a later tick",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.publish_works = false;
    world.settle();
    CHECK(world.story("act-1") == "intended started");
    world.tick(1s);
    world.settle();
    CHECK(world.story("act-1") == "intended started");
    world.publish_works = true;
    world.tick(1s);
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.target.calls == 1);
    world.tick(1h);
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
}

TEST_CASE("executor: a process that died before it read started back left nothing in doubt",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    world.start();
    world.settle();
    CHECK(world.story("act-1") == "intended started started succeeded");
    CHECK(world.last().instance == "instance-2");
    CHECK(world.target.calls == 1);
    CHECK(world.target.looks == 0);
}

TEST_CASE("executor: what a dead process started is looked at, never called again", "[actions]") {
    const bool called = GENERATE(true, false);
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    if (called) {
        world.publish_works = false;
        world.run_pool();
        world.publish_works = true;
    }
    world.start();
    world.tick(1s);
    world.settle();
    CHECK(world.target.looks == 0);  // Not before orphan_wait.
    world.tick(5s);
    world.settle();
    CHECK(world.target.looks == 1);
    CHECK(world.target.calls == (called ? 1 : 0));
    CHECK(world.story("act-1") ==
          (called ? "intended started succeeded" : "intended started failed"));
    CHECK(world.last().instance == "instance-2");
    world.tick(1h);
    world.settle();
    CHECK(world.target.looks == 1);
}

TEST_CASE("executor: a repeated started of a dead process is no reason to start again",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.publish_works = false;
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.run_pool();
    world.publish_works = true;
    REQUIRE(world.target.calls == 1);
    const auto started = world.last();
    REQUIRE(started.status == ActionStatus::kStarted);
    world.start();
    world.append(started);
    world.tick(1s);
    world.tick(6s);
    world.settle();
    CHECK(world.target.calls == 1);
    CHECK(world.last().status == ActionStatus::kSucceeded);
}

TEST_CASE("executor: a tick before started is read back hands nothing over", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    world.tick(1s);  // On the log before "started" is.
    REQUIRE(world.step());
    REQUIRE(world.step());
    CHECK(world.run_pool() == 0);
    world.settle();
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: an inspection of a dead process is repeated", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1", ActionPhase::kInspect));
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.start();
    world.tick(1s);
    world.tick(5s);
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.target.inspections == 1);
}

TEST_CASE("executor: a failed step after a call does not call again", "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.tick(1s);
    world.run_pool();
    // The tick is before the outcome on the log: at the tick the row has none.
    world.step_and_fail();
    world.settle();
    CHECK(world.target.calls == 1);
    CHECK(world.story("act-1") == "intended started succeeded");
}

TEST_CASE("executor: work whose commit was durable but reported lost is found by a tick",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.append(intent("act-1"));
    REQUIRE(world.step());
    world.step_without_acknowledgement();
    CHECK(world.run_pool() == 0);
    world.tick(1s);
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: a stop in the middle of a call leaves the row to the next start",
          "[actions]") {
    ActionsWorld world;
    world.start();
    world.target.says = Fate::kUnknown;
    // The pool's token is asked to stop while the request is under way.
    world.append(intent("act-1"));
    REQUIRE(world.step());
    REQUIRE(world.step());
    world.target.on_call = [&world] { world.stop_pool(); };
    world.run_pool();
    CHECK(world.story("act-1") == "intended started");
    world.target.on_call = [] {};
    world.start();
    world.tick(1s);
    world.tick(6s);
    world.settle();
    CHECK(world.story("act-1") == "intended started succeeded");
    CHECK(world.target.calls == 1);
}

TEST_CASE("executor: finished ids are forgotten by age, and by number the oldest first",
          "[actions]") {
    ActionsWorld world;
    world.executor_options.finished_age = 1h;
    world.executor_options.finished_max = 2;
    world.start();
    for (const auto* id : {"act-1", "act-2", "act-3"}) {
        world.append(intent(id));
        world.tick(1s);
        world.settle();
    }
    world.tick(1s);
    world.settle();
    CHECK_FALSE(world.state.rows.contains("done/act-1"));
    CHECK(world.state.rows.contains("done/act-2"));
    CHECK(world.state.rows.at("finished") == "2");
    world.tick(1h);
    world.settle();
    CHECK_FALSE(world.state.rows.contains("done/act-3"));
    CHECK(world.state.rows.at("finished") == "0");
    CHECK(world.state.rows.size() == 1);
}

TEST_CASE("executor: a damaged row is an error of the state, not a call", "[actions]") {
    ActionsWorld world;
    world.start();
    world.state.rows["row/execute/act-1"] = "not a row";
    const auto out = world.executor().on_tick(kStart, world.state);
    REQUIRE_FALSE(out.has_value());
    CHECK(world.target.calls == 0);
}

// Dies after every possible number of actions of the world, in every place where a process can:
// the target is changed at most once, and there is exactly one outcome.
TEST_CASE("executor: whatever moment it dies, the target is called at most once", "[actions]") {
    const int steps_before = GENERATE(range(0, 8));
    const bool pool_ran = GENERATE(true, false);
    const bool published = GENERATE(true, false);
    const bool drop = GENERATE(true, false);
    CAPTURE(steps_before, pool_ran, published, drop);
    ActionsWorld world;
    world.start();
    world.target.drop = drop;
    world.append(intent("act-1"));
    for (int i = 0; i < steps_before; ++i) {
        if (!world.step()) world.tick(1s);
        if (pool_ran) {
            world.publish_works = published;
            world.run_pool();
            world.publish_works = true;
        }
    }
    world.start();
    for (int i = 0; i < 20; ++i) {
        world.tick(1s);
        world.settle();
    }
    CHECK(world.target.calls <= 1);
    int outcomes = 0;
    for (const auto& event : world.events()) {
        outcomes +=
            event.status != ActionStatus::kIntended && event.status != ActionStatus::kStarted ? 1
                                                                                              : 0;
    }
    CHECK(outcomes == 1);
    const bool applied = world.last().status == ActionStatus::kSucceeded;
    CHECK(applied == world.target.applied);
}
