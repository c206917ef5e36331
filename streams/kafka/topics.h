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

// A topic of a group's own, with so many partitions when it is missing. How many it has.
Result<std::int32_t> ensure_compacted_topic(const Cluster& cluster, std::string name,
                                            std::int32_t partitions);

// How many members a group has now, also those that went without a word not long ago.
Result<std::size_t> member_count(const Cluster& cluster, std::string_view group);

// The position that a group has committed; nullopt when it never did. `asked`: a consumer of that
// group, member or not. Waits for transactions under way that hold one.
Result<std::optional<Offset>> committed_position(const Cluster& cluster, std::string_view group,
                                                 rd_kafka_t& asked, const Partition& partition);

}  // namespace vigie::streams::kafka
