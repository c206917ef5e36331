#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::app {

// What the agent said again when it was given the recorded signals.
struct Replay {
    std::vector<streams::Message> incidents;  // In order
    std::vector<streams::Message> actions;
    std::vector<streams::Message> audit;
    std::size_t signals = 0;
    // Of the recorded incident transitions, how many came out byte for byte the same; and how
    // many were recorded that this replay could repeat.
    std::size_t same = 0;
    std::size_t recorded = 0;
};

// Reads vigie.signals of `bus` up to `until` and runs the agent over it from nothing, in memory.
// Two replays of the same log give the same bytes. Errors are those of reading the log.
Result<Replay> replay_signals(const streams::Bus& bus, EventTime until);

}  // namespace vigie::app
