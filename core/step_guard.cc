#include "core/step_guard.h"

namespace vigie {

using std::chrono::milliseconds;

StepGuard::StepGuard(Options options, const Clock& clock)
    : options_(options), clock_(clock), good_{clock.wall(), clock.steady()} {}

WallTime StepGuard::wall() const {
    const std::scoped_lock lock(mutex_);
    const Reading now{clock_.wall(), clock_.steady()};
    const WallTime expected =
        good_.wall + std::chrono::duration_cast<milliseconds>(now.steady - good_.steady);
    if (now.wall - expected > options_.step_max) {
        if (!held_since_) held_since_ = now.steady;
        if (now.steady - *held_since_ < options_.believe_after) return expected;
    }
    held_since_.reset();
    good_ = now;
    return now.wall;
}

Status StepGuard::check() const {
    const WallTime shown = wall();
    const milliseconds step = clock_.wall() - shown;
    if (step <= options_.step_max) return {};
    return fail(ErrorKind::kUnavailable, "the machine's clock leapt forward by " + to_string(step) +
                                             "; believed when it lasts " +
                                             to_string(options_.believe_after));
}

}  // namespace vigie
