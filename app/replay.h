#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::app {

struct Replay {
    std::size_t signals = 0;
    // What the agent said again.
    std::size_t transitions = 0;
    std::size_t actions = 0;
    std::size_t audit = 0;
    // Of the recorded incident transitions, how many came out byte for byte the same; and how
    // many were recorded that this replay could repeat.
    std::size_t same = 0;
    std::size_t recorded = 0;
    // The oldest signals are gone from the log, so the agent began without what it knew then.
    bool from_middle = false;
};

// Called with each message that the agent says again on vigie.incidents, vigie.actions and
// vigie.audit: in the order of the log within a topic.
using ReplayVisitor = std::function<void(std::string_view topic, const streams::Message&)>;

// Reads vigie.signals of `bus` up to `until` and runs the agent over it from nothing. Two replays
// of the same log give the same bytes. Holds the agent's state and a part of the log in memory,
// never all of it, and 64 bytes for each transition. Errors are those of reading the log.
Result<Replay> replay_signals(const streams::Bus& bus, EventTime until, const ReplayVisitor& visit);

}  // namespace vigie::app
