#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "streams/bus.h"
#include "streams/groups.h"

namespace vigie::streams {

// What may go wrong, each with its chance per thousand calls, drawn from the bus's seed.
struct Faults {
    std::uint32_t poll_unavailable = 0;
    std::uint32_t commit_lost_before = 0;  // kUnavailable; nothing was written.
    std::uint32_t commit_lost_after = 0;   // kUnavailable; everything was written.
    std::uint32_t append_lost_before = 0;
    std::uint32_t append_lost_after = 0;
    std::uint32_t disk_full = 0;      // kOverloaded from append or commit; nothing was written.
    std::uint32_t short_batch = 0;    // poll returns fewer records than there are.
    bool shuffle_partitions = false;  // poll serves partitions in a random order.
};

// The bus in memory: the whole contract, without durability beyond the object's life. What was
// committed stays when consumers and workers are destroyed, which is how tests crash them.
// With `wait_max` 0 and one thread everything it does is a function of its seed and the calls.
// Retention by size is applied record by record; retention by time and compaction are not.
class MemoryBus final : public Bus {
public:
    struct Options {
        std::uint64_t seed = 1;
        Faults faults{};
        std::size_t message_bytes_max = kMessageBytesMax;
    };

    MemoryBus();
    explicit MemoryBus(Options options);
    // Every consumer must be gone.
    ~MemoryBus() override;

    Status ensure_topics(std::span<const TopicOptions> topics) override;
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                AssignmentListener& listener) override;
    void append(std::vector<Message> messages, AppendDone done) override;
    Result<std::vector<Record>> read(const Partition& partition, Offset from,
                                     const PollLimits& limits) const override;
    Result<Range> range(const Partition& partition) const override;
    Result<std::int32_t> partition_count(std::string_view topic) const override;
    std::size_t message_bytes_max() const override { return options_.message_bytes_max; }
    Result<Offset> group_position(std::string_view group,
                                  const Partition& partition) const override;

    // For tests. Faults from now on; {} switches them off.
    void set_faults(const Faults& faults);
    // Everything kept on a topic, partition by partition.
    std::vector<Record> records(std::string_view topic) const;
    // The rows of a group behind a partition, the worker's own included.
    std::map<std::string, std::string> state(std::string_view group,
                                             const Partition& partition) const;

private:
    friend class MemoryConsumer;
    friend class MemoryStore;

    struct PartitionLog {
        Offset begin = 0;
        std::deque<Message> messages;
        std::size_t bytes = 0;

        Offset end() const { return begin + static_cast<Offset>(messages.size()); }
    };
    struct Topic {
        TopicOptions options;
        std::vector<PartitionLog> logs;
    };
    struct GroupState {
        Offset position = 0;
        std::map<std::string, std::string, std::less<>> rows;
    };
    using GroupKey = std::pair<std::string, Partition>;

    // All of these: with `mutex_` held.
    const PartitionLog* find_log(const Partition& partition) const;
    Status check(const std::vector<Message>& messages) const;
    void write(std::vector<Message> messages);
    void take(const Partition& partition, Offset from, std::size_t records_max,
              std::vector<Record>& records) const;

    const Options options_;
    mutable std::mutex mutex_;                 // Protects everything below.
    mutable std::condition_variable changed_;  // New records, or members came or went.
    Faults faults_;
    Rng rng_;
    std::map<std::string, Topic, std::less<>> topics_;
    std::map<GroupKey, GroupState> group_states_;
    Groups groups_;
};

}  // namespace vigie::streams
