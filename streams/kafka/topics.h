#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "streams/kafka/cluster.h"

// Administration of topics and groups.
namespace vigie::streams::kafka {

// As KafkaBus::ensure_topics.
Status ensure_topics(const Cluster& cluster, std::span<const TopicOptions> topics);

// The group's changelog, with so many partitions when it is missing. How many it has.
Result<std::int32_t> ensure_state_topic(const Cluster& cluster, std::string_view group,
                                        std::int32_t partitions);

// How many members a group has now, also those that went without a word not long ago.
Result<std::size_t> member_count(const Cluster& cluster, std::string_view group);

// The position that the group of a consumer's handle has committed; nullopt when it never did.
// Waits for transactions under way that hold one.
Result<std::optional<Offset>> committed_position(const Cluster& cluster, rd_kafka_t& of_group,
                                                 const Partition& partition);

}  // namespace vigie::streams::kafka
