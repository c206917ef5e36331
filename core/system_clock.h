#pragma once

#include "core/time.h"

namespace vigie {

// The machine's clock.
class SystemClock final : public Clock {
public:
    WallTime wall() const override;
    SteadyTime steady() const override;
};

// Blocks the calling thread. For backoff on our own threads; never in a stage or a handler.
void sleep_for(std::chrono::milliseconds duration);

}  // namespace vigie
