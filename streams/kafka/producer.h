#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/kafka/client.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/encoding.h"

namespace vigie::streams::kafka {

// One idempotent, transactional producer. Not thread-safe.
class Producer {
public:
    // Ends what an earlier producer of that id left open, which fences it. kUnavailable,
    // kRefused.
    static Result<std::unique_ptr<Producer>> open(const Cluster& cluster,
                                                  const std::string& transactional_id,
                                                  std::string watched_topic = {});
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    struct Offsets {
        rd_kafka_topic_partition_list_t* positions = nullptr;
        rd_kafka_consumer_group_metadata_t* member = nullptr;
    };
    // One transaction: all records and the group's positions, or nothing. kUnavailable: the
    // outcome is unknown. After every other error nothing was written: kConflict (fenced),
    // kOverloaded (a local queue is full), and what the brokers refuse: kInvalid, kNotFound,
    // kRefused.
    Status run(const std::vector<Outgoing>& records, std::optional<Offsets> offsets);

    // Behind the last record that the last transaction wrote to the watched topic (with the
    // prefix); nullopt when it wrote none.
    std::optional<Offset> watched_end() const { return watched_end_; }

    // False after an error that only a new producer gets over.
    bool usable() const { return usable_; }

private:
    Producer(const Cluster& cluster, std::string watched_topic);
    void on_delivery(const rd_kafka_message_t& message);
    Status init();
    Status produce(const Outgoing& record, SteadyTime until);
    Status send(const Offsets& offsets, SteadyTime until);
    Status commit(SteadyTime until);
    // Says `cause`, or what the brokers said of a record before that.
    Status abort(Error cause);

    const Cluster& cluster_;
    const std::string watched_topic_;
    Hooks hooks_;
    std::optional<Offset> watched_end_;
    std::optional<Error> refused_;  // The first record that was not delivered, and why.
    bool usable_ = true;
    Handle handle_;  // Last: it calls the hooks.
};

}  // namespace vigie::streams::kafka
