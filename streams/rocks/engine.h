#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "streams/bulk_files.h"
#include "streams/groups.h"
#include "streams/rocks/database.h"
#include "streams/rocks/encoding.h"
#include "streams/rocks/rocks_bus.h"

namespace vigie::streams::rocks {

// Never empty: the last segment is the one being written.
struct PartitionLog {
    std::deque<Segment> segments;

    Offset begin() const { return segments.front().base; }
    Offset end() const { return segments.back().end; }
};

struct TopicLog {
    TopicLog(TopicOptions wanted, Families chunks)
        : name(wanted.name),
          partitions(wanted.partitions),
          families(std::move(chunks)),
          options(std::move(wanted)),
          logs(static_cast<std::size_t>(partitions), PartitionLog{{Segment{}}}) {}

    const std::string name;
    const std::int32_t partitions;
    const Families families;  // Of each partition.
    // Under Engine::mutex.
    TopicOptions options;
    std::vector<PartitionLog> logs;

    PartitionLog& log(std::int32_t index) { return logs[static_cast<std::size_t>(index)]; }
    rocksdb::ColumnFamilyHandle* family(std::int32_t index) const {
        return families[static_cast<std::size_t>(index)];
    }
};

// What the bus, its consumers and its committer share.
struct Engine {
    Engine(RocksBus::Options opened, const Clock& its_clock, MetricsRegistry& its_metrics)
        : options(std::move(opened)),
          clock(its_clock),
          metrics(its_metrics),
          bulk_files(options.path + "/bulk", options.sync) {}

    // Reads topics and segments; the database is open.
    Status load();

    // These three: with `mutex` held.
    Result<TopicLog*> find_topic(std::string_view topic) const;
    Result<PartitionLog*> find_log(const Partition& partition) const;
    Status load_segments(TopicLog& topic);

    // Records of one partition, at most up to `end`, which a caller has seen under the lock.
    struct ReadLimits {
        Offset from = 0;
        Offset end = 0;
        std::size_t records_max = 0;
        std::size_t bytes_max = std::size_t{16} << 20U;  // Passed by at most one record.
    };
    Status scan(const Partition& partition, const ReadLimits& limits,
                const Bus::Visitor& visit) const;
    Result<std::vector<Record>> read(const Partition& partition, const ReadLimits& limits) const;

    // kOverloaded when the disk would have less than disk_free_bytes_min left after so many bytes.
    Status room_for(std::size_t bytes) const;

    // True when retention has removed the record.
    bool removed(const Partition& partition, Offset offset) const;

    Result<Offset> position(std::string_view group, const Partition& partition) const;

    const RocksBus::Options options;
    const Clock& clock;
    MetricsRegistry& metrics;
    std::unique_ptr<Database> database;
    BulkFiles bulk_files;

    // Held while a batch is checked and written, and while a member takes over partitions: so a
    // new owner reads the position after the last write of the old one. Taken before `mutex`.
    std::mutex apply_mutex;
    mutable std::mutex mutex;                 // Protects everything below.
    mutable std::condition_variable changed;  // New records, or members came or went.
    std::map<std::string, std::unique_ptr<TopicLog>, std::less<>> topics;  // Only grows.
    Groups groups;
};

}  // namespace vigie::streams::rocks
