#include "streams/bus.h"

#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

namespace vigie::streams {

namespace {

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

std::uint32_t murmur2(std::string_view bytes) {
    constexpr std::uint32_t kSeed = 0x9747b28c;
    constexpr std::uint32_t kM = 0x5bd1e995;
    const std::size_t length = bytes.size();
    std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(length);
    const std::size_t whole = length / 4 * 4;
    for (std::size_t at = 0; at < whole; at += 4) {
        std::uint32_t k = byte_at(bytes, at) | byte_at(bytes, at + 1) << 8U |
                          byte_at(bytes, at + 2) << 16U | byte_at(bytes, at + 3) << 24U;
        k *= kM;
        k ^= k >> 24U;
        hash = (hash * kM) ^ (k * kM);
    }
    if (length - whole >= 3) hash ^= byte_at(bytes, whole + 2) << 16U;
    if (length - whole >= 2) hash ^= byte_at(bytes, whole + 1) << 8U;
    if (length - whole >= 1) hash = (hash ^ byte_at(bytes, whole)) * kM;
    hash ^= hash >> 13U;
    hash *= kM;
    return hash ^ (hash >> 15U);
}

}  // namespace

std::string to_string(const Partition& partition) {
    return fmt::format("{}/{}", partition.topic, partition.index);
}

std::size_t bytes_of(const Message& message) {
    std::size_t bytes = message.key.size() + message.value.size();
    for (const auto& [name, value] : message.headers) bytes += name.size() + value.size();
    return bytes;
}

std::size_t RecordView::bytes() const {
    std::size_t bytes = key.size() + value.size();
    for (const auto& [name, text] : headers) bytes += name.size() + text.size();
    return bytes;
}

Message RecordView::message() const {
    Message message{partition.topic, std::string(key), std::string(value), {}, event_time};
    message.headers.reserve(headers.size());
    for (const auto& [name, text] : headers) message.headers.emplace_back(name, text);
    return message;
}

Status Bus::scan(const Partition& partition, Offset from, const PollLimits& limits,
                 const Visitor& visit) const {
    VIGIE_TRY_ASSIGN(const auto records, read(partition, from, limits));
    std::vector<std::pair<std::string_view, std::string_view>> headers;
    for (const Record& record : records) {
        const Message& message = record.message;
        headers.assign(message.headers.begin(), message.headers.end());
        const RecordView view{record.partition, record.offset, message.event_time,
                              message.key,      message.value, headers};
        if (!visit(view)) return {};
    }
    return {};
}

namespace {

constexpr char kInline = 'i';

}  // namespace

Result<std::string> Consumer::save_bulk(const Partition&, std::string_view bytes) {
    std::string reference(1, kInline);
    reference += bytes;
    return reference;
}

Result<std::string> Consumer::load_bulk(const Partition&, std::string_view reference) {
    if (!reference.starts_with(kInline)) {
        return fail(ErrorKind::kInvalid, "the snapshot is not kept with the state");
    }
    return std::string(reference.substr(1));
}

Result<Offset> find_offset(const Bus& bus, const Partition& partition, EventTime time) {
    constexpr PollLimits kMany{.records_max = 10'000, .wait_max = {}};
    VIGIE_TRY_ASSIGN(const auto range, bus.range(partition));
    Offset next = range.begin;
    bool found = false;
    const auto look = [&](const RecordView& record) {
        found = record.event_time >= time;
        next = found ? record.offset : record.offset + 1;
        return !found;
    };
    for (Offset before = -1; !found && next < range.end && next != before;) {
        before = next;
        VIGIE_TRY(bus.scan(partition, next, kMany, look));
    }
    return found ? next : range.end;
}

Status append_and_wait(Bus& bus, std::vector<Message> messages) {
    std::mutex mutex;  // Protects `answer`.
    std::condition_variable answered;
    std::optional<Status> answer;
    bus.append(std::move(messages), [&](Status status) {
        // Notifies under the lock: the waiter may destroy both as soon as it can take it.
        const std::scoped_lock lock(mutex);
        answer = std::move(status);
        answered.notify_one();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    return *std::move(answer);
}

std::int32_t partition_of(std::string_view key, std::int32_t partitions) {
    VIGIE_ASSERT(partitions >= 1);
    return static_cast<std::int32_t>(murmur2(key) & 0x7fffffffU) % partitions;
}

}  // namespace vigie::streams
