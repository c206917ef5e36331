#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"

// What travels on the bus.
namespace vigie::streams {

// Position in one partition. Offsets ascend and never repeat; between two records there may be
// holes, offsets that no record ever had (on Kafka, the marks that end transactions).
using Offset = std::int64_t;

struct Partition {
    std::string topic;
    std::int32_t index = 0;

    auto operator<=>(const Partition&) const = default;
    bool operator==(const Partition&) const = default;
};
std::string to_string(const Partition& partition);  // "vigie.alerts/0"

using Headers = std::vector<std::pair<std::string, std::string>>;

// What is sent. Equal keys go to the same partition, so records of one key stay in order.
struct Message {
    std::string topic;
    std::string key;    // Any bytes, may be empty.
    std::string value;  // Any bytes: schemas/ knows the format.
    Headers headers;    // Few and short: content type, source.
    EventTime event_time;

    bool operator==(const Message&) const = default;
};

// What counts against the largest message a bus takes: key, value and headers.
std::size_t bytes_of(const Message& message);

// What is received: a message and where it was.
struct Record {
    Partition partition;
    Offset offset = 0;
    Message message;
    // Offsets in front of it that retention removed before this consumer had read them.
    Offset removed_before = 0;
};

// A record where the bus has it, for readers of much who keep little. Its views, headers included,
// are valid during the visit only.
struct RecordView {
    const Partition& partition;
    Offset offset = 0;
    EventTime event_time;
    std::string_view key;
    std::string_view value;
    std::span<const std::pair<std::string_view, std::string_view>> headers;

    std::size_t bytes() const;  // As bytes_of() counts.
    Message message() const;
};

// The partition of a key: murmur2 with Kafka's seed, as Kafka's default partitioner does, so
// that other clients agree (org.apache.kafka.common.utils.Utils.murmur2).
std::int32_t partition_of(std::string_view key, std::int32_t partitions);

}  // namespace vigie::streams
