#include "streams/rocks/merger.h"

#include <algorithm>
#include <string>
#include <vector>

#include "streams/rocks/metrics.h"

namespace vigie::streams::rocks {

namespace {

constexpr std::chrono::minutes kInterval{1};

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
                             file.size < Merger::kSmallBytes && !file.being_compacted});
        }
    }
    std::sort(files.begin(), files.end(),
              [](const File& a, const File& b) { return a.first < b.first; });
    return files;
}

}  // namespace

Merger::Merger(Engine& engine)
    : engine_(engine),
      files_(engine.metrics.gauge(metrics::kFiles)),
      thread_("log-merger", [this](const std::stop_token& stop) { run(stop); }) {}

Merger::~Merger() {
    canceled_ = true;
}

void Merger::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
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
        wait_for(kInterval, stop);
    }
}

// Every row of small files that is long enough. How many files the family had before.
std::size_t Merger::merge(rocksdb::ColumnFamilyHandle& family) {
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
            // When it fails the next round tries again.
            db.CompactRange(options, &family, &first, &last).PermitUncheckedError();
        }
        start = end;
    }
    return files.size();
}

}  // namespace vigie::streams::rocks
