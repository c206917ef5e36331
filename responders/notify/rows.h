#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "responders/notify/channel.h"

// The notifier's state. Only it includes this.
namespace vigie::notify {

// Where one notice stands on one channel.
struct Leg {
    enum class Status : std::uint8_t { kPending, kDelivered, kFailed };

    Status status = Status::kPending;
    int attempts = 0;
    EventTime due;  // Not before this
};

// One notice that is not yet delivered everywhere.
struct Row {
    Message message;
    std::map<std::string, Leg> legs;  // By channel name
    bool lost = false;                // Reported as having reached nobody

    bool has(Leg::Status status) const;
};

// Rows sort by the time of their notice: "notice/MICROS/ID".
inline constexpr std::string_view kRowPrefix = "notice/";
std::string row_key(const Message& message);
std::string encode(const Row& row);
Result<Row> decode_row(std::string_view bytes);  // kCorrupt for what encode did not write

}  // namespace vigie::notify
