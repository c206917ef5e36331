#include "streams/checks.h"

#include <algorithm>

#include <fmt/format.h>

namespace vigie::streams {

namespace {

constexpr std::size_t kNameMax = 249;  // Kafka's limit.
constexpr std::int32_t kPartitionsMax = 10'000;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameMax &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

}  // namespace

std::unexpected<Error> no_such_topic(std::string_view topic) {
    return fail(ErrorKind::kNotFound, fmt::format("topic {} does not exist", topic));
}

std::unexpected<Error> no_such_partition(const Partition& partition) {
    return fail(ErrorKind::kNotFound,
                fmt::format("partition {} does not exist", to_string(partition)));
}

Status check_size(const Message& message, std::size_t bytes_max) {
    const std::size_t bytes = bytes_of(message);
    if (bytes <= bytes_max) return {};
    return fail(ErrorKind::kInvalid,
                fmt::format("message of {} bytes for {} is above the limit of {}", bytes,
                            message.topic, bytes_max));
}

Status check_topic(const TopicOptions& wanted, std::int32_t partitions_now) {
    if (!is_name(wanted.name)) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is not a topic name: use letters, digits, '.', '_' and '-'",
                                wanted.name.substr(0, kNameMax)));
    }
    if (wanted.partitions < 1 || wanted.partitions > kPartitionsMax) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("topic {} with {} partitions: use 1 to {}", wanted.name,
                                wanted.partitions, kPartitionsMax));
    }
    if (wanted.retention_bytes < 0 || wanted.retention.count() < 0) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("topic {} has a negative retention", wanted.name));
    }
    if (partitions_now != 0 && partitions_now != wanted.partitions) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("topic {} exists with {} partitions, not {}: they cannot change",
                                wanted.name, partitions_now, wanted.partitions));
    }
    return {};
}

}  // namespace vigie::streams
