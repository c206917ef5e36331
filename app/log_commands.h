#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/log_access.h"
#include "app/render.h"
#include "streams/record.h"

// `vigie topics` and `vigie deadletter`: looks at the log of an installation, and mends it.
// What only looks may run beside a running Vigie; in a folder it sees what was on disk when it
// began, and what changes something needs the folder for itself. Each returns the exit code: 0
// done, 1 failed.
namespace vigie::app {

struct LogCommand {
    LogPlace place;
    Format format = Format::kTable;
    std::string topic;
    std::optional<std::int32_t> partition;  // All of them without
    std::optional<streams::Offset> from;    // The oldest kept without
    std::optional<std::string> since;       // RFC 3339; instead of `from`
    std::size_t records_max = 20;
    bool ticks = false;  // Read the ticks too
    // For reset: the stage whose position moves, where to, and whether it is meant.
    std::string group;
    std::string to;  // "begin", "end", an offset, or a time (RFC 3339)
    bool confirmed = false;
    bool keep_state = false;  // To skip a record that is damaged.
    // For dead letters.
    streams::Offset letter = 0;
    bool raw = false;
    std::string which;  // For retry: an offset, or "all"
};

// Every topic with its partitions, records and limits.
int run_topics_list(const LogCommand& command);
// One topic: offsets of each partition, and how far each stage that reads it has come.
int run_topics_describe(const LogCommand& command);
// Records, oldest first, one JSON object a line; bytes that are not UTF-8 in hexadecimal.
int run_topics_read(const LogCommand& command);
// Moves a stage to another position and forgets its state there: it begins anew from that
// record; or keeps it, to go past a damaged one. Needs `confirmed`; without it, says what would
// happen.
int run_topics_reset(const LogCommand& command);

// Dead letters with reason and origin, oldest first.
int run_deadletter_list(const LogCommand& command);
// One letter with its headers and bytes; with `raw` the bytes alone, as they came.
int run_deadletter_show(const LogCommand& command);
// Puts the record of a letter back on the topic it came from. A letter that a receiver refused
// has no topic: it is told how to send it again.
int run_deadletter_retry(const LogCommand& command);

}  // namespace vigie::app
