#include "streams/rocks/database.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/sst_file_manager.h>
#include <rocksdb/table.h>

#include "streams/rocks/manifest.h"

namespace vigie::streams::rocks {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;
// What a family with one row takes: with many partitions there are hundreds of families.
constexpr std::size_t kArenaBytes = std::size_t{64} << 10U;

rocksdb::CompressionType compression() {
    const auto supported = rocksdb::GetSupportedCompressions();
    for (const auto wanted : {rocksdb::kLZ4Compression, rocksdb::kSnappyCompression}) {
        if (std::find(supported.begin(), supported.end(), wanted) != supported.end()) return wanted;
    }
    return rocksdb::kNoCompression;
}

rocksdb::DBOptions database_options() {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // Sized for a small machine: memtables of all topics together, log files, open files.
    options.db_write_buffer_size = 64 * kMiB;
    options.max_total_wal_size = 128 * kMiB;
    options.max_open_files = 256;
    options.max_background_jobs = 2;
    // The log is read in long runs: the kernel may read ahead.
    options.advise_random_on_open = false;
    // New files reach the disk little by little: a sync of the log file waits for what they wrote.
    options.bytes_per_sync = kMiB / 2;
    options.keep_log_file_num = 4;
    options.max_log_file_size = 8 * kMiB;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    // What follows the last synced write may be damaged by a power cut: it was acknowledged to
    // nobody and is cut off.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    return options;
}

// Deletes files in small pieces: with online discard a file of 35 MB deleted at once held up every
// sync of the log for 50 ms (ext4 on a virtual disk).
std::shared_ptr<rocksdb::SstFileManager> little_by_little(rocksdb::Env& env) {
    constexpr std::int64_t kBytesPerSecond = 128 * static_cast<std::int64_t>(kMiB);
    constexpr double kShareMax = 1e9;  // Of the data: never at once, however much there is.
    rocksdb::Status status;
    return std::shared_ptr<rocksdb::SstFileManager>(rocksdb::NewSstFileManager(
        &env, nullptr, "", kBytesPerSecond, true, &status, kShareMax, kMiB / 4));
}

rocksdb::ColumnFamilyOptions family_options() {
    rocksdb::ColumnFamilyOptions options;
    options.write_buffer_size = 16 * kMiB;
    options.arena_block_size = kArenaBytes;
    options.compression = compression();
    static const auto cache = rocksdb::NewLRUCache(32 * kMiB);
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

constexpr std::string_view kTopicFamily = "topic:";

std::string family_name(const std::string& topic, std::int32_t index) {
    std::string name = std::string(kTopicFamily) + topic;
    if (index != 0) name += "/" + std::to_string(index);
    return name;
}

// For chunks: written once, in the order of their keys, read in long runs, dropped from the old
// end by retention.
rocksdb::ColumnFamilyOptions log_options() {
    rocksdb::ColumnFamilyOptions options;
    options.write_buffer_size = 32 * kMiB;
    options.arena_block_size = kArenaBytes;
    options.max_write_buffer_number = 4;  // Appends go on while a full one is written out.
    options.compression = compression();
    // RocksDB would write old files again to look for deleted keys: there are none.
    options.ttl = 0;
    options.periodic_compaction_seconds = 0;
    // Few shards: a chunk must fit in one.
    static const auto cache = rocksdb::NewLRUCache(16 * kMiB, 2);
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.block_size = 64 * 1024;       // Small chunks compress better together.
    table.max_auto_readahead_size = 0;  // Blocks are large: it would only copy them once more.
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

// What stays damaged RocksDB says better when it opens.
bool mend(rocksdb::Env& env, const std::string& path) {
    rocksdb::FileLock* lock = nullptr;
    if (!env.LockFile(path + "/LOCK", &lock).ok()) return false;  // Another process has it.
    const auto cut = cut_torn_manifest(path);
    env.UnlockFile(lock);
    return cut.has_value() && *cut;
}

}  // namespace

Error error_of(const rocksdb::Status& status, std::string_view doing) {
    const std::string text = status.ToString();
    ErrorKind kind = ErrorKind::kUnavailable;
    if (status.IsCorruption() || status.IsInvalidArgument()) kind = ErrorKind::kCorrupt;
    // RocksDB has no code for it, only these two texts: another process, this process.
    for (const char* taken : {"While lock file", "lock hold by current process"}) {
        if (text.find(taken) == std::string::npos) continue;
        return Error{ErrorKind::kConflict,
                     fmt::format("{}: another process uses this folder", doing)};
    }
    return Error{kind, fmt::format("{}: {}", doing, text)};
}

Result<std::unique_ptr<Database>> Database::open(const RocksBus::Options& wanted) {
    const std::string& path = wanted.path;
    std::error_code error;
    if (wanted.read_only) {
        if (!std::filesystem::exists(path + "/CURRENT", error)) {
            return fail(ErrorKind::kNotFound, fmt::format("there is no log in {}", path));
        }
    } else {
        std::filesystem::create_directories(path, error);
    }
    if (error) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("create folder {}: {}", path, error.message()));
    }
    std::vector<std::string> names;
    rocksdb::DBOptions options = database_options();
    if (wanted.env != nullptr) options.env = wanted.env;
    if (!wanted.read_only) options.sst_file_manager = little_by_little(*options.env);
    auto listed = rocksdb::DB::ListColumnFamilies(options, path, &names);
    const bool mended = listed.IsCorruption() && !wanted.read_only && mend(*options.env, path);
    if (mended) listed = rocksdb::DB::ListColumnFamilies(options, path, &names);
    // Fails for a new folder, which then has only the two families that every one has.
    if (!listed.ok()) names.clear();
    for (const char* name : {"default", "state"}) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
    }
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    descriptors.reserve(names.size());
    for (const std::string& name : names) {
        descriptors.emplace_back(name,
                                 name.starts_with(kTopicFamily) ? log_options() : family_options());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status =
        wanted.read_only ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &handles, &db)
                         : rocksdb::DB::Open(options, path, descriptors, &handles, &db);
    if (!status.ok()) return fail(error_of(status, fmt::format("open {}", path)));
    std::unique_ptr<Database> database(new Database);
    database->db_.reset(db);
    for (auto* handle : handles) database->families_.emplace(handle->GetName(), handle);
    database->state_ = database->families_.at("state");
    database->mended_ = mended;
    return database;
}

Database::~Database() {
    for (const auto& [name, handle] : families_) {
        if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
    }
    db_->Close();
}

Result<Families> Database::families(const std::string& topic, std::int32_t partitions) const {
    Families families;
    for (std::int32_t index = 0; index < partitions; ++index) {
        auto found = families_.find(family_name(topic, index));
        if (found == families_.end()) found = families_.find(family_name(topic, 0));
        if (found == families_.end()) {
            return fail(ErrorKind::kCorrupt, fmt::format("topic {} has no column family", topic));
        }
        families.push_back(found->second);
    }
    return families;
}

Result<Families> Database::create_families(const std::string& topic, std::int32_t partitions) {
    Families families;
    for (std::int32_t index = 0; index < partitions; ++index) {
        const std::string name = family_name(topic, index);
        auto& family = families_[name];
        if (family == nullptr) {
            const auto status = db_->CreateColumnFamily(log_options(), name, &family);
            if (!status.ok()) return fail(error_of(status, fmt::format("create topic {}", topic)));
        }
        families.push_back(family);
    }
    return families;
}

}  // namespace vigie::streams::rocks
