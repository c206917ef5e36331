#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"

// How records and state lie on Kafka.
namespace vigie::streams::kafka {

// The event time in microseconds since 1970, as decimal text. Kafka's own timestamp is the
// wall time of the append, which is what its retention must go by.
inline constexpr std::string_view kEventTimeHeader = "vigie.event_time";

struct Outgoing {
    std::string topic;  // With the prefix.
    std::int32_t partition = 0;
    std::string key;
    std::optional<std::string> value;  // nullopt: a tombstone.
    Headers headers;
};
Outgoing outgoing_of(Message message, std::string topic, std::int32_t partition);

// A record of another client has no event time of its own: Kafka's timestamp takes its place.
Record record_of(const rd_kafka_message_t& message, Partition partition);

// A group's changelog. Key: "topic/partition", NUL, the part as u32, the row's key. Value: the
// format, in part 0 the number of parts as u32, and the bytes. A row larger than kPartBytes lies
// in several records, so that no row is too large for a broker.
inline constexpr char kStateFormat = 1;
inline constexpr std::size_t kPartBytes = std::size_t{512} << 10U;
std::string state_topic(std::string_view group);
std::size_t state_parts(std::size_t value_bytes);

// The records that put or erase a row which had `parts_before` parts; 0: it was not there.
struct StateChange {
    Partition input;
    std::string key;
    std::optional<std::string> value;
    std::size_t parts_before = 0;
};
std::vector<Outgoing> encode_state(const StateChange& change, const std::string& topic,
                                   std::int32_t partition);

// Puts the rows of one input partition together again from its changelog's records.
class StateDecoder {
public:
    struct Key {
        std::string input;  // "topic/partition"
        std::uint32_t part = 0;
        std::string row;
    };
    // nullopt when it is no key of ours.
    static std::optional<Key> parse_key(std::string_view key);

    // `value` nullopt: a tombstone. kCorrupt for an unknown format.
    Status add(const Key& key, std::optional<std::string_view> value);
    // kCorrupt names a row of which a part is missing.
    using Rows = std::map<std::string, std::string, std::less<>>;
    Result<Rows> finish() &&;

    // The rows of a checkpoint, before any record is added.
    void start_from(Rows rows);

private:
    std::map<std::string, std::map<std::uint32_t, std::string>, std::less<>> parts_;
};

// A checkpoint's file: the format, the cluster's id, the time in milliseconds since 1970, the
// offset of the changelog, each row's key and value. Texts follow their length (u32), numbers are
// u64; all big-endian.
struct SavedState {
    std::string cluster_id;
    WallTime at;
    Offset next = 0;
    StateDecoder::Rows rows;
};
std::string encode_saved_state(std::string_view cluster_id, WallTime at, Offset next,
                               const StateDecoder::Rows& rows);
// nullopt when it is not whole or has another format.
std::optional<SavedState> decode_saved_state(std::string_view bytes);

}  // namespace vigie::streams::kafka
