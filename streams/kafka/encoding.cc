#include "streams/kafka/encoding.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "core/bytes.h"

namespace vigie::streams::kafka {

namespace {

constexpr char kSavedFormat = 1;

std::string_view view_of(const void* bytes, std::size_t size) {
    return bytes == nullptr ? std::string_view{}
                            : std::string_view(static_cast<const char*>(bytes), size);
}

std::optional<EventTime> event_time_of(std::string_view text) {
    std::int64_t micros = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), micros);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return event_time_from_micros(micros);
}

EventTime timestamp_of(const rd_kafka_message_t& message) {
    rd_kafka_timestamp_type_t type{};
    const std::int64_t ms = rd_kafka_message_timestamp(&message, &type);
    constexpr std::int64_t kMicros = 1000;
    if (ms < 0 || ms > INT64_MAX / kMicros) return {};
    return event_time_from_micros(ms * kMicros);
}

}  // namespace

Outgoing outgoing_of(Message message, std::string topic, std::int32_t partition) {
    message.headers.emplace_back(kEventTimeHeader, std::to_string(micros_of(message.event_time)));
    return {std::move(topic), partition, std::move(message.key), std::move(message.value),
            std::move(message.headers)};
}

Record record_of(const rd_kafka_message_t& message, Partition partition) {
    Record record;
    record.offset = message.offset;
    record.message.topic = partition.topic;
    record.partition = std::move(partition);
    record.message.key = view_of(message.key, message.key_len);
    record.message.value = view_of(message.payload, message.len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                RD_KAFKA_RESP_ERR_NO_ERROR;
             ++i) {
            record.message.headers.emplace_back(name, view_of(value, size));
        }
    }
    // Ours is the last one; a header of that name in front of it is the sender's own.
    auto& ours = record.message.headers;
    const auto at = ours.empty() || ours.back().first != kEventTimeHeader
                        ? std::nullopt
                        : event_time_of(ours.back().second);
    if (at) ours.pop_back();
    record.message.event_time = at ? *at : timestamp_of(message);
    return record;
}

std::string state_topic(std::string_view group) {
    return fmt::format("vigie.state.{}", group);
}

std::size_t state_parts(std::size_t value_bytes) {
    return std::max<std::size_t>(1, (value_bytes + kPartBytes - 1) / kPartBytes);
}

std::vector<Outgoing> encode_state(const StateChange& change, const std::string& topic,
                                   std::int32_t partition) {
    const std::size_t parts = change.value ? state_parts(change.value->size()) : 0;
    std::vector<Outgoing> records;
    for (std::size_t part = 0; part < std::max(parts, change.parts_before); ++part) {
        Outgoing record{topic, partition, to_string(change.input), std::nullopt, {}};
        record.key.push_back('\0');
        put_u32(record.key, static_cast<std::uint32_t>(part));
        record.key += change.key;
        if (part < parts) {
            std::string& value = record.value.emplace(1, kStateFormat);
            if (part == 0) put_u32(value, static_cast<std::uint32_t>(parts));
            value.append(*change.value, part * kPartBytes, kPartBytes);
        }
        records.push_back(std::move(record));
    }
    return records;
}

std::optional<StateDecoder::Key> StateDecoder::parse_key(std::string_view key) {
    const std::size_t end = key.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view rest = key.substr(end + 1);
    const auto part = take_u32(rest);
    if (!part) return std::nullopt;
    return Key{std::string(key.substr(0, end)), *part, std::string(rest)};
}

Status StateDecoder::add(const Key& key, std::optional<std::string_view> value) {
    if (!value) {
        const auto row = parts_.find(key.row);
        if (row == parts_.end()) return {};
        row->second.erase(key.part);
        if (row->second.empty()) parts_.erase(row);
        return {};
    }
    if (value->empty() || value->front() != kStateFormat) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("a state row of {} has an unknown format", key.input));
    }
    parts_[key.row][key.part] = value->substr(1);
    return {};
}

Result<StateDecoder::Rows> StateDecoder::finish() && {
    Rows rows;
    for (auto& [key, parts] : parts_) {
        std::string_view first = parts.contains(0) ? parts.at(0) : std::string_view{};
        const auto count = take_u32(first);
        // The parts come in order: so many, the last one numbered so, leave no room for a gap.
        if (!count || *count != parts.size() || parts.rbegin()->first + 1 != *count) {
            return fail(ErrorKind::kCorrupt,
                        fmt::format("a state row of {} parts is not whole", parts.size()));
        }
        std::string& value = rows[key];
        value = first;
        for (auto part = std::next(parts.begin()); part != parts.end(); ++part) {
            value += part->second;
        }
    }
    return rows;
}

void StateDecoder::start_from(Rows rows) {
    for (auto& [key, value] : rows) {
        auto& parts = parts_[key];
        const auto count = static_cast<std::uint32_t>(state_parts(value.size()));
        put_u32(parts[0], count);
        parts[0].append(value, 0, kPartBytes);
        for (std::uint32_t part = 1; part < count; ++part) {
            parts[part] = value.substr(part * kPartBytes, kPartBytes);
        }
        value.clear();
        value.shrink_to_fit();
    }
}

std::string encode_saved_state(std::string_view cluster_id, WallTime at, Offset next,
                               const StateDecoder::Rows& rows) {
    std::string bytes(1, kSavedFormat);
    put_text(bytes, cluster_id);
    put_u64(bytes, static_cast<std::uint64_t>(at.time_since_epoch().count()));
    put_u64(bytes, static_cast<std::uint64_t>(next));
    for (const auto& [key, value] : rows) {
        put_text(bytes, key);
        put_text(bytes, value);
    }
    return bytes;
}

std::optional<SavedState> decode_saved_state(std::string_view bytes) {
    if (bytes.empty() || bytes.front() != kSavedFormat) return std::nullopt;
    bytes.remove_prefix(1);
    const auto cluster_id = take_text(bytes);
    const auto at = take_u64(bytes);
    const auto next = take_u64(bytes);
    if (!cluster_id || !at || !next) return std::nullopt;
    SavedState saved{std::string(*cluster_id),
                     WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(*at)}},
                     static_cast<Offset>(*next),
                     {}};
    while (!bytes.empty()) {
        const auto key = take_text(bytes);
        const auto value = take_text(bytes);
        if (!key || !value) return std::nullopt;
        saved.rows.emplace_hint(saved.rows.end(), *key, *value);
    }
    return saved;
}

}  // namespace vigie::streams::kafka
