#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "streams/record.h"
#include "streams/store.h"

// The bus is an ordered, partitioned, replayable log, and the place where a step becomes
// durable. This header says what the pipeline needs and nothing of how: streams/memory/,
// streams/rocks/ and streams/kafka/ implement it and pass tests/contract/.
namespace vigie::streams {

struct TopicOptions {
    std::string name;
    std::int32_t partitions = 1;
    std::int64_t retention_bytes = std::int64_t{1} << 30;  // 0: without limit
    std::chrono::seconds retention{std::chrono::hours{24 * 7}};
    // Keeps at least the newest record of each key, for ever; others leave some time later, and
    // leave holes.
    bool compacted = false;
};

// What a bus takes when nothing else is asked for.
inline constexpr std::size_t kMessageBytesMax = std::size_t{8} << 20U;

struct PollLimits {
    std::size_t records_max = 500;
    std::chrono::milliseconds wait_max{100};
};

// Everything that one step of a processor changes. It becomes durable together or not at all.
struct Step {
    Partition input;
    // The offset of the first input record not yet processed. nullopt leaves the position where
    // it was: a processor with bulk state publishes outputs before its next snapshot that way.
    std::optional<Offset> next;
    Changes state;  // Timers are rows of it.
    std::vector<Message> outputs;
};

// What the group protocol asks of a member. Called from inside poll(), on the member's thread.
class AssignmentListener {
public:
    virtual ~AssignmentListener() = default;

    virtual Status on_assigned(std::span<const Partition> partitions) = 0;
    virtual void on_revoked(std::span<const Partition> partitions) = 0;
};

// One member of a consumer group, with the stores of the partitions it was given. Not
// thread-safe: one worker owns it. Destroying it gives the partitions to other members.
class Consumer {
public:
    Consumer() = default;
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;
    virtual ~Consumer() = default;

    // At most `records_max` records, in offset order within each partition, never the same
    // record twice unless the consumer was reopened; empty when nothing arrived within
    // `wait_max`. Assignments happen in here, and may take longer than that. kUnavailable when the
    // bus does not answer: poll again later. kCorrupt when a stored record fails its check: the
    // message names topic, partition and offset.
    virtual Result<std::vector<Record>> poll(const PollLimits& limits) = 0;

    // The state of this group for an assigned partition. Valid until the partition is revoked.
    virtual const Store& store(const Partition& partition) const = 0;

    // The committed position of an assigned partition.
    virtual Result<Offset> position(const Partition& partition) const = 0;

    // Makes the step durable: state, outputs and position, all or nothing. After kUnavailable
    // the outcome is unknown: destroy the consumer, subscribe again and continue from what the
    // store says. kConflict when the partition now belongs to another member (fenced); nothing
    // was written. kOverloaded when the disk or a limit is full; nothing was written. kInvalid
    // when an output is larger than the bus allows; nothing was written.
    virtual Status commit(Step step) = 0;

    // A snapshot of bulk state, for an assigned partition. save_bulk keeps the bytes and gives a
    // reference for a row of the next step; keep_bulk says after the commit that older ones may
    // go. Both fail as commit() does. load_bulk is kInvalid when the bytes are gone: the stage
    // starts from the oldest record. Whoever has a reference loads it before they save another.
    // These hold the bytes in the reference; a bus with a folder writes files (BulkFiles).
    virtual Result<std::string> save_bulk(const Partition& partition, std::string_view bytes);
    virtual Result<std::string> load_bulk(const Partition& partition, std::string_view reference);
    virtual void keep_bulk(const Partition&, std::string_view /*reference*/) {}
};

struct Subscription {
    std::string group;
    std::vector<std::string> topics;
};

// All members are safe to call from any thread.
class Bus {
public:
    Bus() = default;
    Bus(const Bus&) = delete;
    Bus& operator=(const Bus&) = delete;
    virtual ~Bus() = default;

    // Creates what is missing. kInvalid when a topic exists with another number of partitions, or
    // otherwise so that it cannot be used; then nothing is created.
    virtual Status ensure_topics(std::span<const TopicOptions> topics) = 0;

    // `listener` must outlive the consumer. kNotFound names the topic that does not exist.
    virtual Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                        AssignmentListener& listener) = 0;

    // Appends all messages atomically and calls `done` exactly once, when they are durable or
    // known not to be; possibly on the bus's own thread, so `done` must be quick. kOverloaded:
    // the queue or the disk is full, try later. kInvalid: a message is too large. kNotFound:
    // no such topic. kUnavailable: the outcome is unknown.
    using AppendDone = std::function<void(Status)>;
    virtual void append(std::vector<Message> messages, AppendDone done) = 0;

    // Reads without a group and without leaving a trace: for views, replay and the command
    // line. Starts at `from`, or at the oldest record kept when that is later; waits at most
    // `wait_max` for the first record, and longer only for a bus that answers late. An empty
    // result says that nothing but holes lies between `from` and the end.
    virtual Result<std::vector<Record>> read(const Partition& partition, Offset from,
                                             const PollLimits& limits) const = 0;

    // The same in place, one record after the other, on the caller's thread, until `visit` says
    // false. An error may come after some records were visited. Fewer than records_max do not say
    // that it was the last: go on behind it until there is none.
    using Visitor = std::function<bool(const RecordView&)>;
    virtual Status scan(const Partition& partition, Offset from, const PollLimits& limits,
                        const Visitor& visit) const;

    // [oldest kept, next to be written). Because of holes it may be larger than the number of
    // its records, and the last offset before the end may have none.
    struct Range {
        Offset begin = 0;
        Offset end = 0;
    };
    virtual Result<Range> range(const Partition& partition) const = 0;

    virtual Result<std::int32_t> partition_count(std::string_view topic) const = 0;

    // The largest message (bytes_of) that append and commit take.
    virtual std::size_t message_bytes_max() const { return kMessageBytesMax; }

    // The group's committed position; 0 when it never committed one. For lag and `vigie topics`.
    virtual Result<Offset> group_position(std::string_view group,
                                          const Partition& partition) const = 0;
};

// The first record of the partition with this event time or a later one, by looking at all before
// it; the end when there is none.
Result<Offset> find_offset(const Bus& bus, const Partition& partition, EventTime time);

// Appends and waits until the answer is there. For threads that may block, never for stages.
Status append_and_wait(Bus& bus, std::vector<Message> messages);

}  // namespace vigie::streams
