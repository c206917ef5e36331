#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/metrics.h"
#include "core/time.h"
#include "streams/bus.h"

namespace rocksdb {
class Env;
}

namespace vigie::streams::rocks {

class Committer;
class Maintenance;
struct Engine;

// The embedded bus: everything in one folder, on one RocksDB. Appends and steps that wait at
// the same moment share one synced write (docs/adr/0002-bus-and-store-layout.md). Records leave
// by retention, whole segments at a time, or, on compacted topics, when a later one with their key
// is there, some time later.
class RocksBus final : public Bus {
public:
    struct Options {
        std::string path;  // Created when missing.
        // An append beyond either limit of what waits is refused with kOverloaded.
        std::size_t append_queue_max = 50'000;  // Records.
        std::size_t append_queue_bytes_max = std::size_t{64} << 20U;
        std::size_t record_bytes_max = kMessageBytesMax;
        // False: nothing is removed, however old or often replaced it is.
        bool retain = true;
        // Below so much free space nothing is written: kOverloaded, while all still works.
        std::uint64_t disk_free_bytes_min = std::uint64_t{64} << 20U;
        // False: an acknowledged record survives the process, but not a power cut.
        bool sync = true;
        // Reads what is there at this moment, also beside the process that writes it; every
        // write is refused with kUnavailable. kNotFound when there is no log.
        bool read_only = false;
        // The files below, for tests; must outlive the bus. nullptr: the machine's.
        rocksdb::Env* env = nullptr;
    };

    // `clock` and `metrics` must outlive the bus. kConflict when another process has the folder
    // open, kCorrupt when its content fails a check or is of a newer format, kUnavailable when
    // the folder cannot be used.
    static Result<std::unique_ptr<RocksBus>> open(Options options, const Clock& clock,
                                                  MetricsRegistry& metrics);
    // Answers everything that waits. Every consumer must be gone.
    ~RocksBus() override;

    Status ensure_topics(std::span<const TopicOptions> topics) override;
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                AssignmentListener& listener) override;
    void append(std::vector<Message> messages, AppendDone done) override;
    Result<std::vector<Record>> read(const Partition& partition, Offset from,
                                     const PollLimits& limits) const override;
    Status scan(const Partition& partition, Offset from, const PollLimits& limits,
                const Visitor& visit) const override;
    Result<Range> range(const Partition& partition) const override;
    Result<std::int32_t> partition_count(std::string_view topic) const override;
    std::size_t message_bytes_max() const override;
    Result<Offset> group_position(std::string_view group,
                                  const Partition& partition) const override;

private:
    explicit RocksBus(std::unique_ptr<Engine> engine);
    // What a read from `from` on finds, after waiting for it.
    Result<Range> range_for(const Partition& partition, Offset from,
                            const PollLimits& limits) const;

    const std::unique_ptr<Engine> engine_;
    // Last: their threads use the engine. None when read only.
    const std::unique_ptr<Maintenance> maintenance_;
    const std::unique_ptr<Committer> committer_;
};

}  // namespace vigie::streams::rocks
