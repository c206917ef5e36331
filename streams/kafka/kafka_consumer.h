#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/kafka/bulk_topic.h"
#include "streams/kafka/changelog.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/member.h"
#include "streams/kafka/producer.h"
#include "streams/kafka/standby.h"

namespace vigie::streams::kafka {

// One member of a Kafka consumer group (cooperative-sticky) and the producer of its steps. Each
// step is a transaction that the group's coordinator refuses when the member is not of the
// current generation: so a member that was thought dead cannot write.
class KafkaConsumer final : public Consumer {
public:
    static Result<std::unique_ptr<KafkaConsumer>> open(const Cluster& cluster,
                                                       const Subscription& subscription,
                                                       AssignmentListener& listener);
    // Says goodbye to the group, so that others need not wait, but not for long.
    ~KafkaConsumer() override;

    Result<std::vector<Record>> poll(const PollLimits& limits) override;
    const Store& store(const Partition& partition) const override;
    Result<Offset> position(const Partition& partition) const override;
    Status commit(Step step) override;
    // A large snapshot goes to the group's bulk topic, where every machine finds it, and into the
    // state folder, where this one finds it sooner. One of the two is enough.
    Result<std::string> save_bulk(const Partition& partition, std::string_view bytes) override;
    Result<std::string> load_bulk(const Partition& partition, std::string_view reference) override;
    void keep_bulk(const Partition& partition, std::string_view reference) override;

private:
    struct Held {
        Offset committed = 0;
        Offset next = 0;                        // The first offset not yet given out.
        Offset removed = 0;                     // By retention, before the next record.
        std::optional<std::uint8_t> bulk_slot;  // Which of the two the committed state names.
        std::unique_ptr<TableStore> store;
    };

    KafkaConsumer(const Cluster& cluster, const Subscription& subscription,
                  AssignmentListener& listener, Changelog changelog);
    Result<std::unique_ptr<Producer>> open_producer() const;
    Status start(const Subscription& subscription);
    void on_rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t& partitions);
    Status assign(rd_kafka_topic_partition_list_t& partitions);
    Status take_over(const std::vector<Partition>& partitions,
                     rd_kafka_topic_partition_list_t& starts);
    void revoke(const rd_kafka_topic_partition_list_t& partitions);
    std::vector<Partition> partitions_of(const rd_kafka_topic_partition_list_t& list) const;
    void take(const rd_kafka_message_t& message);
    Status on_poll_error(const rd_kafka_message_t& message);
    Status start_again(const Partition& partition);
    Result<std::vector<Outgoing>> prepare(Step& step, const Held& held) const;
    // One transaction of the owner of `input`: without a new position the old one is sent, which is
    // what fences it.
    Status transact(const Partition& input, Offset next, const std::vector<Outgoing>& records);
    // kUnavailable after a failure, kConflict when it is not assigned.
    Result<Held*> held_for_writing(const Partition& input);
    std::unexpected<Error> not_ours(const Partition& input) const;
    // The partition of the bulk topic for this input; the topic is created when it is missing.
    Result<Partition> bulk_partition(const Partition& input);
    // A reference without a file.
    Result<BulkReference> write_bulk_to_kafka(const Partition& input, const Held& held,
                                              std::string_view bytes);
    Status after_failure(Error error);
    bool is_member() const;
    Partition partition_of(const rd_kafka_message_t& message) const;
    std::string bulk_owner(const Partition& partition) const;

    const Cluster& cluster_;
    const std::string group_;
    AssignmentListener& listener_;
    const Changelog changelog_;
    std::unique_ptr<Standby> standby_;  // Null unless KafkaBus::Options::standby.
    BulkFiles bulk_files_;
    const Cluster::Slot slot_;
    Histogram& transaction_seconds_;
    Counter& resets_;
    Counter& bulk_written_;
    Counter& bulk_read_;
    Counter& bulk_failed_;
    std::int32_t bulk_partitions_ = 0;  // Of the bulk topic; 0 until it is needed.
    std::map<Partition, Held> held_;
    std::vector<Record> batch_;  // What the poll under way has gathered.
    std::size_t batch_bytes_ = 0;
    std::string member_id_;         // The id under which the partitions were given to us.
    std::optional<Error> failure_;  // Of an assignment, inside poll.
    bool no_broker_ = false;
    bool broken_ = false;  // Only a new consumer may go on.
    std::unique_ptr<Producer> producer_;
    std::unique_ptr<Member> member_;  // Last: it calls us.
};

}  // namespace vigie::streams::kafka
