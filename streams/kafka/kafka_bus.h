#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::streams::kafka {

class Appender;
class Cluster;

// The bus on Apache Kafka (2.5 or later), through librdkafka. Appends that wait at the same moment
// share one transaction; each step of a member is one transaction of its own, with the state's
// changelog and the group's position in it (docs/adr/0008-kafka-bus.md).
//
// What Kafka does differently, and the contract allows: offsets have holes, because a
// transaction ends with a marker that has an offset; a range's end is the last stable offset,
// below which every transaction is decided. Retention and compaction are the brokers' work.
//
// kUnavailable comes within `answer_wait_max` when no broker answers. Everything a broker refuses
// for good is kRefused (not allowed), kNotFound (no such topic) or kInvalid (too large).
class KafkaBus final : public Bus {
public:
    struct Options {
        // librdkafka's properties under their own names: bootstrap.servers (needed),
        // security.protocol, sasl.*, ssl.*, … Those that exactly-once rests on are refused.
        std::map<std::string, std::string, std::less<>> properties;
        // In front of the names of topics, groups and transactions, for a cluster that several
        // installations share: "acme." keeps vigie.alerts in acme.vigie.alerts.
        std::string prefix;
        // Topics of others that are only read: their names have no prefix.
        std::set<std::string, std::less<>> foreign_topics;
        // Static membership: unique to this process and the same after a restart, which then
        // moves no partition as long as it takes less than session.timeout.ms. Empty: dynamic.
        std::string instance;
        // Where copies of state lie, so that a takeover reads only what the changelog got since;
        // of this process alone. Empty: every takeover reads the whole changelog.
        std::string state_folder;
        // Each member also follows the state of the partitions that others own: whoever takes one
        // over then reads only what the changelog got in the last second. Costs that state's
        // memory.
        bool standby = false;
        std::int16_t replication_factor = -1;  // Of new topics; -1: the brokers' default.
        // An append beyond either limit of what waits is refused with kOverloaded.
        std::size_t append_queue_max = 50'000;  // Records.
        std::size_t append_queue_bytes_max = std::size_t{64} << 20U;
        std::size_t record_bytes_max = kMessageBytesMax;
        std::chrono::milliseconds answer_wait_max{10'000};
    };

    // What can be said of the options without a broker: kInvalid names a property that is
    // missing, unknown, of a wrong value, or ours.
    static Status check(const Options& options);

    // `clock`, `metrics` and `log` must outlive the bus. kInvalid as check(); kUnavailable when no
    // broker answers, kRefused when it does not want us.
    static Result<std::unique_ptr<KafkaBus>> open(Options options, const Clock& clock,
                                                  MetricsRegistry& metrics, Log& log);
    // Answers everything that waits, within seconds also when no broker lives. Every consumer
    // must be gone.
    ~KafkaBus() override;

    // Also kInvalid, naming what differs, when a topic exists with another clean-up policy, takes
    // only smaller records or has fewer replicas than asked for; when there is more than one, the
    // log has a line for each. The retention of a topic that exists stays as it is: it belongs to
    // whoever runs the cluster; a difference is logged.
    Status ensure_topics(std::span<const TopicOptions> topics) override;
    // Creates the group's state topic vigie.state.GROUP when it is missing.
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                AssignmentListener& listener) override;
    void append(std::vector<Message> messages, AppendDone done) override;
    Result<std::vector<Record>> read(const Partition& partition, Offset from,
                                     const PollLimits& limits) const override;
    Result<Range> range(const Partition& partition) const override;
    Result<std::int32_t> partition_count(std::string_view topic) const override;
    std::size_t message_bytes_max() const override;
    Result<Offset> group_position(std::string_view group,
                                  const Partition& partition) const override;

    // How many members a group has, of any process; those that died, and those with an instance
    // name that stopped, stay members for session.timeout.ms.
    Result<std::size_t> group_members(std::string_view group) const;

private:
    KafkaBus(std::unique_ptr<Cluster> cluster, std::unique_ptr<Appender> appender);

    const std::unique_ptr<Cluster> cluster_;
    const std::unique_ptr<Appender> appender_;  // Last: its thread uses the cluster.
};

}  // namespace vigie::streams::kafka
