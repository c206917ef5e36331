#pragma once

#include <chrono>
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
    // A sentence for each stage and partition whose snapshot could not be read: it has no state
    // there and begins at the oldest record, as it would have done here.
    std::vector<std::string> begun_anew;
};

struct MigrateOptions {
    // An earlier move to the same place was not finished: what it wrote is compared, and this one
    // goes on behind it.
    bool resume = false;
    // Asked when everything was checked; what it says ends the move.
    std::function<Status()> before_writing = [] { return Status{}; };
    // Hears how far it is, now and then, and of every failure that is tried again.
    std::function<void(const std::string& sentence)> tell = [](const std::string&) {};
    // While a side does not answer, for so long since it last did.
    std::chrono::milliseconds patience = std::chrono::minutes{10};
    // Before something is tried again or resumed, and for records that cannot be read yet: longer
    // than the transaction of a writer that died stays undecided.
    std::chrono::milliseconds settle_wait = std::chrono::seconds{30};
};

// Copies a log, the positions of its readers and their state from one bus to another, in the
// same partitions and order, then reads both again and compares. Offsets may differ: a position
// is moved to the same record. Nobody may use either bus meanwhile. `from` is not changed.
//
// kInvalid, before anything is written: a topic has another number of partitions than `topics`
// says. kConflict, before anything is written: `to` has records or positions already, to resume:
// others than `from` has. kCorrupt names the first partition that differs. After any later error
// the move can be resumed.
Result<Migration> migrate(streams::Bus& from, streams::Bus& to,
                          std::span<const streams::TopicOptions> topics,
                          std::span<const Reader> readers, const MigrateOptions& options = {});

// What a data folder remembers of a move, in its file "migration", so that no Vigie starts on
// half of a log: it would do again what was done. `target` is one line.
Status begin_move(const std::string& data, const std::string& target);
Status finish_move(const std::string& data);
// True when a move to this target was begun and not finished.
Result<bool> is_unfinished(const std::string& data, const std::string& target);
// kConflict says what to do: a move was begun and not finished, or the folder has a log that was
// not moved.
Status check_move(const std::string& data);

}  // namespace vigie::app
