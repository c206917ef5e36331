#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/kafka/client.h"
#include "streams/kafka/cluster.h"

namespace vigie::streams::kafka {

// Reads one partition at a time, without a group, only what transactions committed. Costs
// threads and connections, so the cluster keeps some for the next reader. One user at a time.
class Reader {
public:
    static Result<std::unique_ptr<Reader>> open(const Cluster& cluster);

    // From `from` on, which must not be below the oldest record kept.
    Status start(const Partition& partition, Offset from);
    void stop();

    // A record, or the end: every offset below it has been read or is a hole. Neither when
    // nothing came within `wait_max`. kUnavailable, kRefused, kCorrupt: as kind_of() says;
    // kNotFound: retention overtook the reader, which starts again at the oldest record.
    struct Next {
        Owned<rd_kafka_message_t> record;
        std::optional<Offset> end;
    };
    Result<Next> next(std::chrono::milliseconds wait_max);

private:
    explicit Reader(const Cluster& cluster) : cluster_(cluster), hooks_(cluster.log) {}

    const Cluster& cluster_;
    Hooks hooks_;
    Handle handle_;
    Partition partition_;
};

// What Bus::read promises.
Result<std::vector<Record>> read(const Cluster& cluster, const Partition& partition, Offset from,
                                 const PollLimits& limits);

}  // namespace vigie::streams::kafka
