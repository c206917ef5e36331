#include "streams/runtime.h"

#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "core/system_clock.h"
#include "tests/streams/fixture.h"

namespace vigie::streams {

using namespace std::chrono_literals;

namespace {

// Real threads are at work: waits until `done`, at most 30 s.
bool eventually(const std::function<bool()>& done) {
    const SystemClock clock;
    const SteadyTime deadline = clock.steady() + 30s;
    while (!done()) {
        if (clock.steady() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

}  // namespace

TEST_CASE("runtime: two workers of a stage share the work and stop cleanly", "[streams]") {
    Fixture f(4);
    SystemClock clock;
    Runtime runtime(f.bus, f.metrics, f.log, clock);
    CHECK(runtime.healthy());
    const auto options = f.options([](const Record& record, Context& context) -> Status {
        context.emit(message("", record.message.value, 0, "out"));
        return {};
    });
    runtime.start(options);
    runtime.start(options);
    std::multiset<std::string> sent;
    for (int i = 0; i < 500; ++i) {
        sent.insert(std::to_string(i));
        f.send({message(std::to_string(i), std::to_string(i), i)});
    }
    REQUIRE(eventually([&] { return f.bus.range({"out", 0})->end >= 500; }));
    REQUIRE(eventually([&] { return runtime.healthy(); }));
    runtime.stop();
    const auto values = f.values("out");
    CHECK(std::multiset<std::string>(values.begin(), values.end()) == sent);
}

TEST_CASE("runtime: a failing stage is tried again, said once, and recovers", "[streams]") {
    Fixture f;
    SystemClock clock;
    std::atomic<bool> broken{true};
    std::atomic<int> tries{0};
    Runtime runtime(f.bus, f.metrics, f.log, clock);
    runtime.start(f.options([&](const Record& record, Context& context) -> Status {
        ++tries;
        if (broken) return fail(ErrorKind::kUnavailable, "target is away");
        context.emit(message("", record.message.value, 0, "out"));
        return {};
    }));
    f.send({message("", "1", 1)});
    REQUIRE(eventually([&] { return tries >= 3; }));
    CHECK_FALSE(runtime.healthy());
    broken = false;
    REQUIRE(eventually([&] { return f.bus.range({"out", 0})->end == 1; }));
    REQUIRE(eventually([&] { return runtime.healthy(); }));
    runtime.stop();
    const auto lines = f.log.lines();
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] ==
          "error stage failed and is tried again stage=test kind=unavailable "
          "reason=\"in/0: target is away\"");
    CHECK(lines[1] == "info stage works again stage=test");
}

TEST_CASE("runtime: a stage that cannot open does not stop the others", "[streams]") {
    Fixture f;
    SystemClock clock;
    Runtime runtime(f.bus, f.metrics, f.log, clock);
    auto missing = f.options([](const Record&, Context&) -> Status { return {}; });
    missing.subscription = {"other", {"missing"}};
    runtime.start(missing);
    runtime.start(f.options([](const Record& record, Context& context) -> Status {
        context.emit(message("", record.message.value, 0, "out"));
        return {};
    }));
    f.send({message("", "1", 1)});
    REQUIRE(eventually([&] { return f.bus.range({"out", 0})->end == 1; }));
    CHECK_FALSE(runtime.healthy());
}

}  // namespace vigie::streams
