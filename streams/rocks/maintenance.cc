#include "streams/rocks/maintenance.h"

#include <algorithm>
#include <string>
#include <vector>

#include "streams/rocks/compaction.h"
#include "streams/rocks/metrics.h"

namespace vigie::streams::rocks {

namespace {

constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::minutes kMergeInterval{1};
constexpr std::size_t kCompactMin = 1000;  // Records appended since the last time.

struct File {
    std::string first;
    std::string last;
    bool is_small = false;
};

// In the order of their keys.
std::vector<File> files_of(rocksdb::DB& db, rocksdb::ColumnFamilyHandle& family) {
    rocksdb::ColumnFamilyMetaData meta;
    db.GetColumnFamilyMetaData(&family, &meta);
    std::vector<File> files;
    for (const auto& level : meta.levels) {
        for (const auto& file : level.files) {
            files.push_back({file.smallestkey, file.largestkey,
                             file.size < Maintenance::kSmallBytes && !file.being_compacted});
        }
    }
    std::sort(files.begin(), files.end(),
              [](const File& a, const File& b) { return a.first < b.first; });
    return files;
}

}  // namespace

Maintenance::Maintenance(Engine& engine)
    : engine_(engine),
      files_(engine.metrics.gauge(metrics::kFiles)),
      compacted_(engine.metrics.counter(metrics::kCompacted)),
      merges_failed_(engine.metrics.counter(metrics::kMaintenanceFailed, {{"of", "merge"}})),
      compactions_failed_(
          engine.metrics.counter(metrics::kMaintenanceFailed, {{"of", "compaction"}})),
      thread_("log-maintenance", [this](const std::stop_token& stop) { run(stop); }) {}

Maintenance::~Maintenance() {
    canceled_ = true;
}

void Maintenance::run(const std::stop_token& stop) {
    SteadyTime merge_at = engine_.clock.steady();
    while (!stop.stop_requested()) {
        if (engine_.options.retain) compact_all(stop);
        if (engine_.clock.steady() >= merge_at) {
            merge_all(stop);
            merge_at = engine_.clock.steady() + kMergeInterval;
        }
        wait_for(kInterval, stop);
    }
}

void Maintenance::compact_all(const std::stop_token& stop) {
    struct Due {
        TopicLog* topic = nullptr;
        std::int32_t index = 0;
        Bus::Range range;
    };
    std::vector<Due> due;
    {
        const std::scoped_lock lock(engine_.mutex);
        for (const auto& [name, topic] : engine_.topics) {
            for (std::int32_t i = 0; topic->options.compacted && i < topic->partitions; ++i) {
                due.push_back({topic.get(), i, {topic->log(i).begin(), topic->log(i).end()}});
            }
        }
    }
    for (const auto& [topic, index, range] : due) {
        Compacted& last = last_[{topic->name, index}];
        const auto appended = static_cast<std::size_t>(range.end - std::max(last.end, range.begin));
        if (appended < std::max(kCompactMin, last.kept)) continue;
        const auto kept = compact(engine_, *topic, index, range.end, canceled_);
        if (stop.stop_requested()) return;
        // When it fails, readers will say why; not again before there is more to do.
        last = {range.end, kept ? *kept : last.kept};
        (kept ? compacted_ : compactions_failed_).add();
    }
}

void Maintenance::merge_all(const std::stop_token& stop) {
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    {
        const std::scoped_lock lock(engine_.mutex);
        for (const auto& [name, topic] : engine_.topics) {
            families.insert(families.end(), topic->families.begin(), topic->families.end());
        }
    }
    // Partitions may share one.
    std::sort(families.begin(), families.end());
    families.erase(std::unique(families.begin(), families.end()), families.end());
    std::size_t files = 0;
    for (auto* family : families) {
        if (!stop.stop_requested()) files += merge(*family);
    }
    files_.set(static_cast<double>(files));
}

// Every row of small files that is long enough. How many files the family had before.
std::size_t Maintenance::merge(rocksdb::ColumnFamilyHandle& family) {
    rocksdb::DB& db = engine_.database->db();
    const auto files = files_of(db, family);
    for (auto start = files.begin(); start != files.end();) {
        start = std::find_if(start, files.end(), [](const File& file) { return file.is_small; });
        const auto end =
            std::find_if(start, files.end(), [](const File& file) { return !file.is_small; });
        if (static_cast<std::size_t>(end - start) >= kFilesMin) {
            rocksdb::CompactRangeOptions options;
            options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
            options.exclusive_manual_compaction = false;
            options.canceled = &canceled_;
            const rocksdb::Slice first(start->first);
            const rocksdb::Slice last((end - 1)->last);
            const auto merged = db.CompactRange(options, &family, &first, &last);
            // Without success the next round tries again.
            if (!merged.ok() && !canceled_) merges_failed_.add();
        }
        start = end;
    }
    return files.size();
}

}  // namespace vigie::streams::rocks
