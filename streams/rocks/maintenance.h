#pragma once

#include <atomic>
#include <map>
#include <stop_token>

#include <rocksdb/db.h>

#include "streams/rocks/engine.h"
#include "streams/runtime.h"

namespace vigie::streams::rocks {

// What the log needs now and then, on a thread of its own. Merges small files: each start, and each
// log file that is full, makes one file for every family with something in memory, and RocksDB
// never merges files that do not overlap: a quiet partition would have thousands after some weeks.
// Files above kSmallBytes stay as they are. Also compacts the compacted topics: each time as much
// was appended as was kept the last time.
class Maintenance {
public:
    static constexpr std::uint64_t kSmallBytes = std::uint64_t{2} << 20U;
    static constexpr std::size_t kFilesMin = 32;  // So many in a row are worth merging.

    explicit Maintenance(Engine& engine);
    // Gives a merge under way up.
    ~Maintenance();

private:
    void run(const std::stop_token& stop);
    void merge_all(const std::stop_token& stop);
    std::size_t merge(rocksdb::ColumnFamilyHandle& family);
    void compact_all(const std::stop_token& stop);

    struct Compacted {
        Offset end = 0;
        std::size_t kept = 0;
    };
    Engine& engine_;
    Gauge& files_;
    Counter& compacted_;
    Counter& merges_failed_;
    Counter& compactions_failed_;
    std::map<Partition, Compacted> last_;
    std::atomic<bool> canceled_{false};
    Thread thread_;  // Last: it uses the rest until joined.
};

}  // namespace vigie::streams::rocks
