#include "streams/kafka/bulk_topic.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/crc32c.h"
#include "streams/kafka/reader.h"

namespace vigie::streams::kafka {

namespace {

constexpr char kReferenceFormat = 'k';
constexpr char kPartFormat = 1;
// Of one transaction: far below what a broker takes in the time that a transaction has.
constexpr std::size_t kPartsAtOnce = 16;
constexpr std::chrono::milliseconds kSlice{100};

std::string key_of(const Partition& input, std::uint8_t slot) {
    std::string key = to_string(input);
    key.push_back('\0');
    key.push_back(static_cast<char>(slot));
    return key;
}

std::unexpected<Error> not_whole(const Partition& input, std::string_view why) {
    return fail(ErrorKind::kInvalid,
                fmt::format("the snapshot of {} on Kafka {}", to_string(input), why));
}

// Puts the parts together, which lie in the order in which they were written.
class Parts {
public:
    Parts(const Partition& input, const BulkReference& reference)
        : input_(input), reference_(reference), key_(key_of(input, reference.slot)) {}

    bool done() const { return bytes_.size() >= reference_.bytes; }

    // A record of another input or slot is none of ours.
    Status add(const rd_kafka_message_t& record) {
        std::string_view key(static_cast<const char*>(record.key), record.key_len);
        if (!key.starts_with(key_)) return {};
        key.remove_prefix(key_.size());
        const auto part = take_u32(key);
        if (!part || !key.empty()) return {};
        std::string_view value(static_cast<const char*>(record.payload), record.len);
        if (value.empty() || value.front() != kPartFormat) {
            return not_whole(input_, "has an unknown format");
        }
        value.remove_prefix(1);
        // What an attempt before this one left begins with part 0 too.
        if (*part == 0) bytes_.clear();
        if (*part * kPartBytes != bytes_.size()) return not_whole(input_, "lacks a part");
        bytes_ += value;
        return {};
    }

    Result<std::string> take() && {
        if (bytes_.size() != reference_.bytes) {
            return not_whole(input_,
                             fmt::format("has {} of {} bytes", bytes_.size(), reference_.bytes));
        }
        if (crc32c(bytes_) != reference_.check) return not_whole(input_, "fails its check");
        return std::move(bytes_);
    }

private:
    const Partition& input_;
    const BulkReference& reference_;
    const std::string key_;
    std::string bytes_;
};

}  // namespace

std::string bulk_topic(std::string_view group) {
    return fmt::format("vigie.bulk.{}", group);
}

std::string encode_bulk_reference(const BulkReference& reference) {
    std::string text(1, kReferenceFormat);
    text.push_back(static_cast<char>(reference.slot));
    put_u32(text, static_cast<std::uint32_t>(reference.partition));
    put_u64(text, static_cast<std::uint64_t>(reference.first));
    put_u64(text, reference.bytes);
    put_u32(text, reference.check);
    put_text(text, reference.file);
    return text;
}

std::optional<BulkReference> decode_bulk_reference(std::string_view text) {
    if (text.size() < 2 || text.front() != kReferenceFormat) return std::nullopt;
    const auto slot = static_cast<std::uint8_t>(text[1]);
    text.remove_prefix(2);
    const auto partition = take_u32(text);
    const auto first = take_u64(text);
    const auto bytes = take_u64(text);
    const auto check = take_u32(text);
    const auto file = take_text(text);
    if (slot > 1 || !partition || !first || !bytes || !check || !file || !text.empty())
        return std::nullopt;
    return BulkReference{std::string(*file),
                         static_cast<std::int32_t>(*partition),
                         slot,
                         static_cast<Offset>(*first),
                         *bytes,
                         *check};
}

Status write_bulk(std::string_view bytes, const Partition& input, std::uint8_t slot,
                  const std::string& topic, std::int32_t partition, const WriteParts& write) {
    const std::string key = key_of(input, slot);
    std::vector<Outgoing> records;
    records.reserve(kPartsAtOnce);
    for (std::size_t part = 0; part * kPartBytes < bytes.size(); ++part) {
        Outgoing record{topic, partition, key, std::string(1, kPartFormat), {}};
        put_u32(record.key, static_cast<std::uint32_t>(part));
        record.value->append(bytes.substr(part * kPartBytes, kPartBytes));
        records.push_back(std::move(record));
        if (records.size() < kPartsAtOnce && (part + 1) * kPartBytes < bytes.size()) continue;
        VIGIE_TRY(write(records));
        records.clear();
    }
    return {};
}

Result<std::string> read_bulk(const Cluster& cluster, std::string_view group,
                              const Partition& input, const BulkReference& reference) {
    const Partition from{bulk_topic(group), reference.partition};
    VIGIE_TRY_ASSIGN(const auto shape, cluster.ask_shape(from.topic));
    if (!shape || from.index < 0 || from.index >= shape->partitions) {
        return not_whole(input, "has no topic, or not that partition");
    }
    cluster.log.info("reading a snapshot from Kafka", {{"partition", to_string(input)},
                                                       {"from", to_string(from)},
                                                       {"bytes", std::to_string(reference.bytes)}});
    // Written, not stable: the marks of its transactions may be on their way.
    VIGIE_TRY_ASSIGN(const auto range, cluster.range(from, Cluster::End::kWritten));
    if (reference.first < range.begin || reference.first > range.end) {
        return not_whole(input, "is not in its topic: was that created anew?");
    }
    VIGIE_TRY_ASSIGN(const auto reader, cluster.lease_reader());
    VIGIE_TRY(reader->start(from, reference.first));
    Parts parts(input, reference);
    SteadyTime silent_until = cluster.deadline();
    while (!parts.done()) {
        VIGIE_TRY_ASSIGN(const auto next, reader->next(kSlice));
        if ((next.end && *next.end >= range.end) ||
            (next.record && next.record->offset >= range.end)) {
            break;
        }
        if (next.record) {
            VIGIE_TRY(parts.add(*next.record));
            silent_until = cluster.deadline();
        } else if (cluster.over(silent_until)) {
            return fail(ErrorKind::kUnavailable,
                        fmt::format("read the snapshot of {}: a transaction is under way, or no "
                                    "broker answers",
                                    to_string(input)));
        }
    }
    return std::move(parts).take();
}

}  // namespace vigie::streams::kafka
