#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "streams/kafka/client.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

class Cluster;

// One member of a consumer group (cooperative-sticky), as librdkafka sees it, and how it leaves.
// Not thread-safe.
class Member {
public:
    // `hooks`: what the owner wants to be called for. It answers a rebalance with accept() or
    // give_up(). kInvalid, kUnavailable.
    static Result<std::unique_ptr<Member>> open(const Cluster& cluster, const std::string& group,
                                                const std::string& instance_id, Hooks hooks);
    // Destroys the handle; without leave() the group waits for session.timeout.ms. Where that
    // would crash or hang the handle stays for as long as the process, and is counted.
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    rd_kafka_t* handle() const { return handle_.get(); }
    // What the group knows it by; empty while it does not.
    std::string id() const;

    Status accept(const rd_kafka_topic_partition_list_t& partitions) const;
    Status give_up(const rd_kafka_topic_partition_list_t& partitions) const;

    // Calls the owner's hooks no more and leaves the group, so that others need not wait; with an
    // instance name it does not, because it comes back. False when `over` was sooner: call it
    // again, or others wait.
    bool leave(const std::function<bool()>& over);

private:
    Member(const Cluster& cluster, std::string group, bool comes_back, Hooks hooks);
    void on_rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t& partitions);
    bool is_known();
    bool has_partitions() const;
    bool stop_working(const std::function<bool()>& over);
    bool close(const std::function<bool()>& over);
    bool may_be_destroyed() const;

    const Cluster& cluster_;
    const std::string group_;
    const bool comes_back_;
    bool was_known_ = false;
    bool given_ = false;  // Partitions, at least once; maybe none of them.
    Hooks owner_;
    std::unique_ptr<Hooks> hooks_;
    Handle handle_;                    // It calls the hooks.
    Owned<rd_kafka_queue_t> closing_;  // Where it asks while it closes.
};

// Members that could not leave in their owners' time, each with a thread that sees to it. Safe
// from any thread.
class LeavingMembers {
public:
    explicit LeavingMembers(const Cluster& cluster);
    ~LeavingMembers();  // Waits for them until Cluster::close_soon() ends.
    LeavingMembers(const LeavingMembers&) = delete;
    LeavingMembers& operator=(const LeavingMembers&) = delete;

    void take(std::unique_ptr<Member> member);

private:
    struct Leaving;

    const Cluster& cluster_;
    std::mutex mutex_;  // Protects the next one.
    std::vector<std::unique_ptr<Leaving>> leaving_;
};

}  // namespace vigie::streams::kafka
