#pragma once

#include <atomic>
#include <cstddef>

#include "core/result.h"
#include "streams/rocks/engine.h"

namespace vigie::streams::rocks {

// Removes from a partition of a compacted topic the records below `end` that a later one below it,
// with the same key, replaces. What stays keeps its offset, in chunks that leave holes between
// them. Chunk by chunk: readers and a crash see each of them before or after. How many stay; fewer
// are counted when `canceled` becomes true meanwhile. kCorrupt names a record that cannot be read,
// kUnavailable: the disk does not take it; what was done until then stays done.
Result<std::size_t> compact(Engine& engine, const TopicLog& topic, std::int32_t index, Offset end,
                            const std::atomic<bool>& canceled);

}  // namespace vigie::streams::rocks
