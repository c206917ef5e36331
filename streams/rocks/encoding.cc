#include "streams/rocks/encoding.h"

#include <array>

#include <fmt/format.h>
#include <lz4.h>

#include "core/bytes.h"
#include "core/crc32c.h"

namespace vigie::streams::rocks {

namespace {

std::uint64_t as_unsigned(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}

// Format, number of records, bytes of the unpacked records.
constexpr std::size_t kPackedHeader = 9;
constexpr std::size_t kPackMin = 512;
// No LZ4 block unpacks to more than this many times its bytes: damage must not ask for more.
constexpr std::size_t kUnpackTimesMax = 255;

// The records that `packed` holds after its count, as a part of `buffer`.
std::optional<std::string_view> unpack(std::string_view packed, std::string& buffer) {
    const auto size = take_u32(packed);
    if (!size || *size > packed.size() * kUnpackTimesMax || *size > LZ4_MAX_INPUT_SIZE) {
        return std::nullopt;
    }
    if (buffer.size() < *size) buffer.resize(*size);
    const int done = LZ4_decompress_safe(packed.data(), buffer.data(),
                                         static_cast<int>(packed.size()), static_cast<int>(*size));
    if (done < 0 || static_cast<std::uint32_t>(done) != *size) return std::nullopt;
    return std::string_view(buffer).substr(0, *size);
}

}  // namespace

std::string chunk_key(std::int32_t partition, Offset base) {
    std::string key;
    put_u32(key, static_cast<std::uint32_t>(partition));
    put_u64(key, as_unsigned(base));
    return key;
}

std::optional<ChunkKey> parse_chunk_key(std::string_view key) {
    const auto partition = take_u32(key);
    const auto base = take_u64(key);
    if (!partition || !base || !key.empty()) return std::nullopt;
    return ChunkKey{static_cast<std::int32_t>(*partition), static_cast<Offset>(*base)};
}

std::string group_prefix(std::string_view group, const Partition& partition) {
    std::string key;
    put_text(key, group);
    put_text(key, partition.topic);
    put_u32(key, static_cast<std::uint32_t>(partition.index));
    return key;
}

std::string prefix_end(std::string prefix) {
    while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
    if (!prefix.empty()) ++prefix.back();
    return prefix;
}

std::string topic_key(std::string_view topic) {
    return std::string(1, kTopicRow) + std::string(topic);
}

std::string encode_topic(const TopicOptions& topic) {
    std::string value(1, kFormat);
    put_u32(value, static_cast<std::uint32_t>(topic.partitions));
    put_u64(value, as_unsigned(topic.retention_bytes));
    put_u64(value, as_unsigned(topic.retention.count()));
    value += topic.compacted ? '\1' : '\0';
    return value;
}

Result<TopicOptions> decode_topic(std::string_view name, std::string_view value) {
    const auto format = take_bytes(value, 1);
    const auto partitions = take_u32(value);
    const auto bytes = take_u64(value);
    const auto seconds = take_u64(value);
    const auto compacted = take_bytes(value, 1);
    if (!format || format->front() != kFormat || !partitions || !bytes || !seconds || !compacted ||
        !value.empty()) {
        return fail(ErrorKind::kCorrupt, fmt::format("topic {} has a row of unknown format", name));
    }
    return TopicOptions{.name = std::string(name),
                        .partitions = static_cast<std::int32_t>(*partitions),
                        .retention_bytes = static_cast<std::int64_t>(*bytes),
                        .retention = std::chrono::seconds{static_cast<std::int64_t>(*seconds)},
                        .compacted = compacted->front() != '\0'};
}

std::string segment_prefix(const Partition& partition) {
    std::string key(1, kSegmentRow);
    put_text(key, partition.topic);
    put_u32(key, static_cast<std::uint32_t>(partition.index));
    return key;
}

std::string segment_key(const Partition& partition, Offset base) {
    std::string key = segment_prefix(partition);
    put_u64(key, as_unsigned(base));
    return key;
}

std::string encode_segment(const Segment& segment) {
    std::string value(1, kFormat);
    put_u64(value, as_unsigned(segment.base));
    put_u64(value, as_unsigned(segment.end));
    put_u64(value, segment.bytes);
    put_u64(value, as_unsigned(segment.first_ms));
    put_u64(value, as_unsigned(segment.last_ms));
    return value;
}

Result<Segment> decode_segment(const Partition& partition, std::string_view value) {
    const auto format = take_bytes(value, 1);
    const auto base = take_u64(value);
    const auto end = take_u64(value);
    const auto bytes = take_u64(value);
    const auto first = take_u64(value);
    const auto last = take_u64(value);
    if (!format || format->front() != kFormat || !last || !value.empty() || *base > *end) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("{} has a segment row of unknown format", to_string(partition)));
    }
    return Segment{static_cast<Offset>(*base), static_cast<Offset>(*end), *bytes,
                   static_cast<std::int64_t>(*first), static_cast<std::int64_t>(*last)};
}

void append_record(std::string& chunk, const Message& message) {
    const std::size_t start = chunk.size();
    put_u32(chunk, 0);
    put_u32(chunk, 0);
    put_u64(chunk, as_unsigned(micros_of(message.event_time)));
    put_text(chunk, message.key);
    put_text(chunk, message.value);
    put_u32(chunk, static_cast<std::uint32_t>(message.headers.size()));
    for (const auto& [name, text] : message.headers) {
        put_text(chunk, name);
        put_text(chunk, text);
    }
    const std::string_view body = std::string_view(chunk).substr(start + 8);
    store_u32(chunk.data() + start, static_cast<std::uint32_t>(body.size()));
    store_u32(chunk.data() + start + 4, crc32c(body));
}

namespace {

// What senders compressed themselves does not pack, and finding that out costs more than anything
// else in an append: a few KB from the middle tell.
bool worth_packing(std::string_view records) {
    if (records.size() < kPackMin || records.size() > LZ4_MAX_INPUT_SIZE) return false;
    constexpr std::size_t kProbe = 4096;
    if (records.size() < 4 * kProbe) return true;
    std::array<char, kProbe> out{};
    // Less than a quarter is not worth an eighth of the time that taking a sample in takes.
    const auto room = static_cast<int>(kProbe - kProbe / 4);
    return LZ4_compress_default(records.data() + records.size() / 2, out.data(),
                                static_cast<int>(kProbe), room) > 0;
}

}  // namespace

void encode_chunk(std::uint32_t count, std::string_view records, std::string& value) {
    const bool pack = worth_packing(records);
    const std::size_t room = records.size() - records.size() / 8;
    value.resize_and_overwrite(pack ? kPackedHeader + room : 0, [&](char* out, std::size_t size) {
        if (size == 0) return size;
        const int packed =
            LZ4_compress_default(records.data(), out + kPackedHeader,
                                 static_cast<int>(records.size()), static_cast<int>(room));
        if (packed <= 0) return std::size_t{0};
        *out = kPacked;
        store_u32(out + 1, count);
        store_u32(out + 5, static_cast<std::uint32_t>(records.size()));
        return kPackedHeader + static_cast<std::size_t>(packed);
    });
    if (!value.empty()) return;
    value += kFormat;
    put_u32(value, count);
    value += records;
}

Result<ChunkReader> ChunkReader::open(std::string_view bytes, Partition where, Offset base,
                                      std::string& buffer) {
    const auto format = take_bytes(bytes, 1);
    const auto count = take_u32(bytes);
    const bool packed = format && format->front() == kPacked;
    if (!format || (!packed && format->front() != kFormat) || !count || *count == 0) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("{}@{}: the chunk has an unknown format", to_string(where), base));
    }
    if (packed) {
        const auto unpacked = unpack(bytes, buffer);
        if (!unpacked) {
            return fail(ErrorKind::kCorrupt,
                        fmt::format("{}@{}: the chunk cannot be unpacked", to_string(where), base));
        }
        bytes = *unpacked;
    }
    return ChunkReader(bytes, std::move(where), base, base + static_cast<Offset>(*count));
}

std::unexpected<Error> ChunkReader::corrupt(std::string_view what) const {
    return fail(ErrorKind::kCorrupt, fmt::format("{}@{}: {}", to_string(where_), next_, what));
}

Result<std::string_view> ChunkReader::take_body(std::uint32_t& crc) {
    VIGIE_ASSERT(next_ < end_);
    const auto size = take_u32(rest_);
    const auto check = take_u32(rest_);
    const auto body = size && check ? take_bytes(rest_, *size) : std::nullopt;
    if (!body) return corrupt("the chunk is cut short");
    crc = *check;
    return *body;
}

Status ChunkReader::skip() {
    std::uint32_t crc = 0;
    VIGIE_TRY(take_body(crc));
    ++next_;
    return {};
}

Result<RecordView> ChunkReader::next() {
    std::uint32_t crc = 0;
    VIGIE_TRY_ASSIGN(std::string_view body, take_body(crc));
    if (crc32c(body) != crc) return corrupt("the record fails its check");
    const auto time = take_u64(body);
    const auto key = take_text(body);
    const auto value = take_text(body);
    const auto headers = take_u32(body);
    bool whole = time && key && value && headers;
    headers_.clear();
    for (std::uint32_t i = 0; whole && i < *headers; ++i) {
        const auto name = take_text(body);
        const auto text = take_text(body);
        whole = name && text;
        if (whole) headers_.emplace_back(*name, *text);
    }
    if (!whole || !body.empty()) return corrupt("the record cannot be decoded");
    return RecordView{where_, next_++, event_time_from_micros(static_cast<std::int64_t>(*time)),
                      *key,   *value,  headers_};
}

Status ChunkReader::finish() const {
    if (next_ == end_ && !rest_.empty()) return corrupt("bytes follow the last record of a chunk");
    return {};
}

}  // namespace vigie::streams::rocks
