#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "core/time.h"

namespace vigie {

// A clock whose wall time does not leap forward at once. Watermarks only rise, so one wrong
// reading (a bad time server, a hypervisor's mistake) would stop every timer until the real time
// gets there. A step of more than `step_max` is therefore believed only when it lasted: until
// then wall() goes on from the last good reading at the pace of the steady clock. Steps back and
// small ones pass at once. Safe to call from any thread.
class StepGuard final : public Clock {
public:
    struct Options {
        std::chrono::seconds step_max{std::chrono::hours{1}};
        std::chrono::seconds believe_after{60};
    };

    // `clock` must outlive it. Its first reading is believed.
    StepGuard(Options options, const Clock& clock);

    WallTime wall() const override;
    SteadyTime steady() const override { return clock_.steady(); }

    // kUnavailable while a step is held back, with its size.
    Status check() const;

private:
    struct Reading {
        WallTime wall;
        SteadyTime steady;
    };

    const Options options_;
    const Clock& clock_;
    mutable std::mutex mutex_;  // Protects everything below.
    mutable Reading good_;
    mutable std::optional<SteadyTime> held_since_;
};

}  // namespace vigie
