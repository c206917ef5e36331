#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "streams/bus.h"

// The bytes of the embedded log: docs/adr/0002-bus-and-store-layout.md has the layout. All
// numbers are big-endian, so that keys sort as numbers do.
namespace vigie::streams::rocks {

inline constexpr char kFormat = 1;  // First byte of every value.
inline constexpr char kPacked = 2;  // Of a chunk whose records are packed.

// Key of a chunk in its topic's column family.
std::string chunk_key(std::int32_t partition, Offset base);
struct ChunkKey {
    std::int32_t partition = 0;
    Offset base = 0;
};
std::optional<ChunkKey> parse_chunk_key(std::string_view key);

// Keys of the state family: everything of a group behind a partition begins with the prefix;
// then 'p' is the position and 's' + key a row of state.
std::string group_prefix(std::string_view group, const Partition& partition);
// The first key after all keys that start with `prefix`; empty when there is none.
std::string prefix_end(std::string prefix);

// A piece of a partition: the unit of retention.
struct Segment {
    Offset base = 0;
    Offset end = 0;
    std::uint64_t bytes = 0;
    std::int64_t first_ms = 0;  // Wall time of the first and last append.
    std::int64_t last_ms = 0;

    bool empty() const { return base == end; }
};

// Rows of the default family.
// The folder's layout, one byte: what a program must know to open it. 2: a topic may have a column
// family for each partition. 3: chunks may be packed. Who opens an older one to write makes it the
// newest: an older program that read half of it would be worse than one that does not start.
inline constexpr std::string_view kFormatKey = "v";
inline constexpr char kLayoutOldest = 1;
inline constexpr char kLayout = 3;
inline constexpr char kTopicRow = 't';    // + name
inline constexpr char kSegmentRow = 'g';  // + segment_key
std::string topic_key(std::string_view topic);
std::string encode_topic(const TopicOptions& topic);
Result<TopicOptions> decode_topic(std::string_view name, std::string_view value);
// All segments of a partition begin with this.
std::string segment_prefix(const Partition& partition);
std::string segment_key(const Partition& partition, Offset base);
std::string encode_segment(const Segment& segment);
Result<Segment> decode_segment(const Partition& partition, std::string_view value);

// Appends one record as it lies in a chunk: length, CRC-32C of the body, body.
void append_record(std::string& chunk, const Message& message);

// The value of a chunk of `count` records, as append_record() wrote them, in place of `value`. They
// are packed as one LZ4 block (the lz4 project's doc/lz4_Block_format.md) if that saves an eighth,
// and of many KB only when a few from the middle say that it saves a quarter.
void encode_chunk(std::uint32_t count, std::string_view records, std::string& value);

// Reads a chunk: the records of one group commit on one partition.
class ChunkReader {
public:
    // `where` is for messages. Packed records are unpacked into `buffer`, which may be used again
    // for the next chunk. kCorrupt for an unknown format and for what cannot be unpacked.
    static Result<ChunkReader> open(std::string_view bytes, Partition where, Offset base,
                                    std::string& buffer);

    Offset next_offset() const { return next_; }
    Offset end_offset() const { return end_; }
    Status skip();
    // The next record, valid until the next call. kCorrupt, with topic, partition and offset, when
    // its check fails. Not at the end.
    Result<RecordView> next();
    // kCorrupt when bytes are left over after the last record.
    Status finish() const;

private:
    ChunkReader(std::string_view rest, Partition where, Offset base, Offset end)
        : rest_(rest), where_(std::move(where)), next_(base), end_(end) {}
    Result<std::string_view> take_body(std::uint32_t& crc);
    std::unexpected<Error> corrupt(std::string_view what) const;

    std::string_view rest_;  // Of the bytes or the buffer given to open: both outlive the reader.
    Partition where_;
    Offset next_;
    Offset end_;
    std::vector<std::pair<std::string_view, std::string_view>> headers_;
};

}  // namespace vigie::streams::rocks
