#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "streams/bus.h"
#include "streams/groups.h"
#include "streams/memory/faults.h"

namespace vigie::streams {

// The bus in memory: the whole contract, without durability beyond the object's life. What was
// committed stays when consumers and workers are destroyed, which is how tests crash them.
// With `wait_max` 0 and one thread everything it does is a function of its seed and the calls.
// Retention by size and compaction are applied record by record; retention by time is not.
class MemoryBus final : public Bus {
public:
    struct Options {
        std::uint64_t seed = 1;
        Faults faults{};
        std::size_t message_bytes_max = kMessageBytesMax;
    };

    MemoryBus();
    explicit MemoryBus(Options options);
    // Every consumer must be gone. As crash() for appends that still wait.
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

    // For tests. Faults from now on; {} switches them off. What waits for a sync gets it.
    void set_faults(const Faults& faults);
    std::size_t counted(Fault fault) const;

    // Where a member is paused, on its own thread and without a lock held, before it commits.
    // `pause` may move time on and let other members work, not destroy the paused one. Set it
    // before the first consumer.
    enum class Pause : std::uint8_t {
        kSlowDisk,
        kStalled,  // The group has already given its partitions to others.
    };
    void set_pause(std::function<void(Pause)> pause) { pause_ = std::move(pause); }

    // Writes what waits for a sync, and answers it. With a slow disk a single thread that waits
    // for the answer to an append must call it.
    void sync();

    // The process dies. Appends that wait for a sync are kept up to some point in their order,
    // each whole or not at all, and so is the step whose commit was under way, as the last of
    // them: what one log on one disk, or a transaction, allows. Nobody was told that they are
    // durable: their answer is kUnavailable. Every other call is kUnavailable until recover().
    void crash();
    bool crashed() const;
    void recover();

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
        std::deque<std::optional<Message>> messages;  // nullopt: a later one replaced it.
        std::size_t bytes = 0;
        std::map<std::string, Offset> newest;  // Of each key, when the topic is compacted.

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

    struct Waiting {
        std::vector<Message> messages;
        AppendDone done;
    };
    // Given with no lock held.
    using Answers = std::vector<std::pair<AppendDone, Status>>;
    static void give(Answers& answers);

    // All of these: with `mutex_` held.
    Groups::MemberId join(const Subscription& subscription);
    Status check_alive() const;
    Status check_reachable(const Partition& partition) const;
    std::vector<Partition> partitions_of(const std::vector<Message>& messages) const;
    std::optional<Status> append_now(Waiting& request, Answers& answers);
    void sync(Answers& answers);
    // `step`: writes the step that is under way.
    void crash(Answers& answers, const std::function<void()>& step);
    const PartitionLog* find_log(const Partition& partition) const;
    Status check(const std::vector<Message>& messages) const;
    void write(std::vector<Message> messages);
    static void compact(PartitionLog& log, const std::string& key);
    void take(const Partition& partition, Offset from, std::size_t records_max,
              std::vector<Record>& records) const;

    const Options options_;
    std::function<void(Pause)> pause_;
    mutable std::mutex mutex_;                 // Protects everything below.
    mutable std::condition_variable changed_;  // New records, or members came or went.
    FaultSource faults_;
    bool crashed_ = false;
    std::deque<Waiting> waiting_;
    std::map<std::string, Topic, std::less<>> topics_;
    std::map<GroupKey, GroupState> group_states_;
    Groups groups_;
};

}  // namespace vigie::streams
