#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/kafka/cluster.h"
#include "streams/kafka/encoding.h"

// Snapshots of bulk state that are too large for one transaction. A group has a compacted topic for
// them, `vigie.bulk.GROUP`, partitioned as its changelog. An input has two slots there and writes
// them in turn: the one that the committed row of state names is whole while the other is written,
// a transaction for a few parts at a time, each fenced as a step is. So a takeover finds a whole
// snapshot whenever the old owner ended, and compaction keeps about two of each input.
//
// Key: "topic/partition", NUL, the slot (one byte), the part (u32). Value: the format, the bytes.
namespace vigie::streams::kafka {

// Which snapshot a row of state means.
struct BulkReference {
    std::string file;             // In the state folder of who wrote it (BulkFiles); or empty.
    std::int32_t partition = -1;  // Of the topic; -1: it lies in the file alone.
    std::uint8_t slot = 0;        // 0 or 1
    Offset first = 0;             // No part of it lies below.
    std::uint64_t bytes = 0;
    std::uint32_t check = 0;  // CRC-32C of the bytes.
};
std::string encode_bulk_reference(const BulkReference& reference);
// nullopt when it is not one of ours, or of another format.
std::optional<BulkReference> decode_bulk_reference(std::string_view text);

std::string bulk_topic(std::string_view group);

// Calls `write` with the records of a few parts at a time, in order, until it fails. `topic` is the
// full name.
using WriteParts = std::function<Status(const std::vector<Outgoing>&)>;
Status write_bulk(std::string_view bytes, const Partition& input, std::uint8_t slot,
                  const std::string& topic, std::int32_t partition, const WriteParts& write);

// The bytes, read from the group's topic. kInvalid: they are not there whole; kUnavailable: no
// broker answers, or a transaction stays open for too long.
Result<std::string> read_bulk(const Cluster& cluster, std::string_view group,
                              const Partition& input, const BulkReference& reference);

}  // namespace vigie::streams::kafka
