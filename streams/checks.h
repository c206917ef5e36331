#pragma once

#include <cstddef>
#include <string_view>

#include "core/result.h"
#include "streams/bus.h"

// What every bus refuses, in the same words.
namespace vigie::streams {

std::unexpected<Error> no_such_topic(std::string_view topic);
std::unexpected<Error> no_such_partition(const Partition& partition);

// kInvalid when the message is larger than `bytes_max`.
Status check_size(const Message& message, std::size_t bytes_max);

// kInvalid for a name or a number that no bus takes, and when the topic exists already with
// another number of partitions; `partitions_now` is 0 when it does not exist.
Status check_topic(const TopicOptions& wanted, std::int32_t partitions_now);

}  // namespace vigie::streams
