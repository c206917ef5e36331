#include "core/step_guard.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using namespace vigie;

namespace {

struct LeapingClock final : Clock {
    WallTime wall() const override { return wall_now; }
    SteadyTime steady() const override { return steady_now; }
    void pass(std::chrono::milliseconds time) {
        wall_now += time;
        steady_now += time;
    }

    WallTime wall_now{1'700'000'000'000ms};
    SteadyTime steady_now{1h};
};

}  // namespace

TEST_CASE("step guard: time that passes is time that passed", "[core]") {
    LeapingClock clock;
    const StepGuard guard({}, clock);
    for (int i = 0; i < 100; ++i) {
        clock.pass(10min);
        CHECK(guard.wall() == clock.wall());
        CHECK(guard.steady() == clock.steady());
        CHECK(guard.check().has_value());
    }
}

TEST_CASE("step guard: a long time without a look is no step", "[core]") {
    LeapingClock clock;
    const StepGuard guard({}, clock);
    clock.pass(72h);
    CHECK(guard.wall() == clock.wall());
}

TEST_CASE("step guard: a leap forward is held back, and forgotten when it was a mistake",
          "[core]") {
    LeapingClock clock;
    const StepGuard guard({}, clock);
    const WallTime before = clock.wall();
    clock.wall_now += 24h * 365;
    CHECK(guard.wall() == before);
    clock.pass(59s);
    CHECK(guard.wall() == before + 59s);
    const auto held = guard.check();
    REQUIRE_FALSE(held.has_value());
    CHECK(held.error().kind == ErrorKind::kUnavailable);
    CHECK(held.error().message.find("leapt forward by 52w1d") != std::string::npos);

    clock.wall_now -= 24h * 365;
    CHECK(guard.wall() == clock.wall());
    CHECK(guard.check().has_value());
    // A later leap has its own minute.
    clock.wall_now += 2h;
    clock.pass(5s);
    CHECK(guard.wall() == clock.wall() - 2h);
}

TEST_CASE("step guard: a leap that lasts is the time", "[core]") {
    LeapingClock clock;
    const StepGuard guard({}, clock);
    clock.wall_now += 8h;
    CHECK_FALSE(guard.check().has_value());
    clock.pass(60s);
    CHECK(guard.wall() == clock.wall());
    CHECK(guard.check().has_value());
}

TEST_CASE("step guard: small steps and steps back pass at once", "[core]") {
    LeapingClock clock;
    const StepGuard guard({}, clock);
    clock.wall_now += 1h;
    CHECK(guard.wall() == clock.wall());
    clock.wall_now -= 24h;
    CHECK(guard.wall() == clock.wall());
    CHECK(guard.check().has_value());
}
