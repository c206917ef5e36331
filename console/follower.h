#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "core/result.h"
#include "streams/bus.h"

namespace vigie::console {

// Whether the record only moves time on.
bool is_tick(const streams::Message& message);

// Follows topics from their beginning, or from their last so many records on, without a group and
// without leaving a trace. Owned by one thread.
class Follower {
public:
    struct Topic {
        std::string name;
        std::int64_t records_max = 0;  // 0: from the beginning
    };
    using Apply = std::function<void(const streams::Record&)>;

    // `bus` and `metrics` must outlive it.
    Follower(std::vector<Topic> topics, const streams::Bus& bus, MetricsRegistry& metrics)
        : topics_(std::move(topics)), bus_(bus), metrics_(metrics) {}

    // Reads what is new, of each partition at most `records_max`; only when all are quiet is the
    // first of them waited for, so that a quiet one holds back no other. Returns how many records
    // were applied. An error is the bus's own; call again later, nothing is lost.
    Result<std::size_t> read(const streams::PollLimits& limits, const Apply& apply);

    // Reads until everything is applied that was there when it began, however much comes meanwhile.
    Status read_to_end(std::size_t records_per_read, const Apply& apply);

    // Whether nothing that is there now is still to be read.
    Result<bool> at_end() const;

private:
    struct Source {
        streams::Partition partition;
        streams::Offset next = 0;
    };

    Status find_sources();
    Result<std::size_t> read_one(Source& source, const streams::PollLimits& limits,
                                 const Apply& apply);

    const std::vector<Topic> topics_;
    const streams::Bus& bus_;
    MetricsRegistry& metrics_;
    std::vector<Source> sources_;
};

}  // namespace vigie::console
