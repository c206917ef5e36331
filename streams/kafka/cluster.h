#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "streams/kafka/client.h"
#include "streams/kafka/kafka_bus.h"

namespace vigie::streams::kafka {

class LeavingMembers;
class Reader;

// What the bus, its consumers and its appender share: names, handles that only ask, what is
// known of topics. Safe from any thread.
class Cluster {
public:
    static Result<std::unique_ptr<Cluster>> open(KafkaBus::Options options, const Clock& clock,
                                                 MetricsRegistry& metrics, Log& log);
    // As KafkaBus::check.
    static Status check_options(const KafkaBus::Options& options);
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    // Towards Kafka: with the prefix.
    std::string group_name(std::string_view group) const {
        return options.prefix + "vigie." + std::string(group);
    }
    std::string full_name(std::string_view name) const {
        return options.foreign_topics.contains(name) ? std::string(name)
                                                     : options.prefix + std::string(name);
    }
    // The other way round.
    std::string own_name(std::string_view topic) const {
        const bool foreign = options.foreign_topics.contains(topic);
        return std::string(foreign ? topic : topic.substr(options.prefix.size()));
    }

    // Handles with the caller's properties over the site's.
    Result<Handle> open_producer(const std::string& transactional_id, Hooks& hooks) const;
    Result<Handle> open_consumer(const Properties& ours, Hooks& hooks) const;

    // kNotFound when there is no such topic or partition. A count is asked for once.
    Result<std::int32_t> partition_count(std::string_view topic) const;
    Status check(const Partition& partition) const;
    // nullopt when the topic does not exist. Always asks.
    struct Shape {
        std::int32_t partitions = 0;
        std::int32_t replicas = 0;  // Of the partition that has the fewest.
    };
    Result<std::optional<Shape>> ask_shape(std::string_view topic) const;

    // kStable ends where everything is decided; kWritten also counts transactions under way.
    enum class End : std::uint8_t { kStable, kWritten };
    Result<Bus::Range> range(const Partition& partition, End end) const;
    Result<Bus::Range> range(const Partition& partition, End end, SteadyTime until) const;

    // A reader of its own for the caller; given back by destroying the lease.
    class Lease;
    Result<Lease> lease_reader() const;

    // A consumer that knows what a group has committed and is no member of it. Stays the cluster's.
    Result<rd_kafka_t*> observer(std::string_view group) const;

    // The largest record that may lie on a topic: a message, or a part of a row of state.
    std::size_t record_room() const;

    // Every wait of the bus ends here: `answer_wait_max` from now, or soon once it closes.
    SteadyTime deadline() const;
    bool over(SteadyTime deadline) const;
    // How long one call of librdkafka may wait, in its unit.
    int slice_ms(SteadyTime deadline) const;
    void close_soon();

    // The name of a member or of the appender towards Kafka: unique, and the same after a
    // restart when the installation has an instance name. Free again with the slot.
    class Slot;
    Slot take_slot(std::string purpose) const;

    LeavingMembers& leaving_members() const { return *leaving_members_; }
    rd_kafka_t& client() const { return *client_; }
    // The cluster's own name for itself; empty when it did not say.
    const std::string& id() const { return id_; }

    const KafkaBus::Options options;
    const Clock& clock;
    MetricsRegistry& metrics;
    Log& log;

private:
    Cluster(KafkaBus::Options opened, const Clock& its_clock, MetricsRegistry& its_metrics,
            Log& its_log);
    Status connect();
    Properties with_defaults(Properties defaults) const;
    Result<Offset> ask_offset(rd_kafka_t& handle, const Partition& partition, Offset which,
                              SteadyTime until) const;
    void refresh_leaders(rd_kafka_t& handle, const std::string& topic, SteadyTime until) const;

    const std::string unique_;  // Of this bus: in names that must not meet those of others.
    std::atomic<std::int64_t> close_at_ns_{-1};
    std::string id_;
    mutable Hooks hooks_;
    mutable Hooks observer_hooks_;
    Handle client_;                 // Sees what is written; for metadata and administration too.
    Handle stable_;                 // Sees what is decided.
    mutable std::mutex mutex_;      // Protects everything below.
    std::optional<Error> trouble_;  // Why we are not connected.
    mutable std::map<std::string, std::int32_t, std::less<>> partition_counts_;
    mutable std::vector<std::unique_ptr<Reader>> idle_readers_;
    mutable std::set<std::pair<std::string, int>> slots_;
    mutable std::map<std::string, Handle, std::less<>> observers_;

    const std::unique_ptr<LeavingMembers> leaving_members_;  // Last: their threads use the rest.
};

class Cluster::Lease {
public:
    Lease(const Cluster& cluster, std::unique_ptr<Reader> reader);
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Reader* operator->() const { return reader_.get(); }

private:
    const Cluster& cluster_;
    std::unique_ptr<Reader> reader_;
};

class Cluster::Slot {
public:
    Slot(const Cluster& cluster, std::string purpose, int number)
        : cluster_(&cluster), purpose_(std::move(purpose)), number_(number) {}
    Slot(Slot&& other) noexcept;
    Slot& operator=(Slot&&) = delete;
    ~Slot();

    std::string transactional_id() const;
    // Empty without an instance name.
    std::string instance_id() const;

private:
    const Cluster* cluster_;
    std::string purpose_;
    int number_;
};

}  // namespace vigie::streams::kafka
