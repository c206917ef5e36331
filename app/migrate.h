#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "app/log_access.h"
#include "core/result.h"
#include "streams/bus.h"

namespace vigie::app {

// What was copied, and found to be the same on both sides.
struct Migration {
    struct Part {
        streams::Partition partition;
        std::size_t records = 0;
        std::uint64_t hash = 0;  // Of keys, values, headers and event times, in order.
    };
    std::vector<Part> parts;
    std::size_t positions = 0;
    std::size_t rows = 0;  // Of keyed state; a snapshot of bulk state counts as one.
};

// Copies a log, the positions of its readers and their state from one bus to another, in the
// same partitions and order, then reads both again and compares. Offsets may differ: a position
// is moved to the same record. Nobody may use either bus meanwhile. `from` is not changed.
//
// kInvalid, before anything is written: a topic has another number of partitions than `topics`
// says. kConflict, before anything is written: `to` has records or positions already. kCorrupt
// names the first partition that differs. After any later error `to` is half full.
// `before_writing` is asked first; what it says ends the move.
Result<Migration> migrate(
    streams::Bus& from, streams::Bus& to, std::span<const streams::TopicOptions> topics,
    std::span<const Reader> readers,
    const std::function<Status()>& before_writing = [] { return Status{}; });

// What a data folder remembers of a move, in its file "migration", so that no Vigie starts on
// half of a log: it would do again what was done.
Status mark_move(const std::string& data, bool finished);
// kConflict says what to do: a move was begun and not finished, or the folder has a log that was
// not moved.
Status check_move(const std::string& data);

}  // namespace vigie::app
