#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/file_system.h>

#include "core/rng.h"

namespace vigie::streams {

// The machine's files until the power is cut, and then what a journaling file system may have of
// them: what was synced, any part of what was not, zeros where a file had grown and nothing was
// written yet; of the names that were made since their folder was synced, those up to some moment.
// Safe from any thread.
class PowerCutDisk final : public rocksdb::FileSystemWrapper {
public:
    PowerCutDisk() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
    const char* Name() const override { return "PowerCutDisk"; }

    // After so many changes none reaches the disk any more: IOError.
    void cut_after(std::uint64_t changes);
    bool is_cut() const;
    // To be called when nobody has a file open any more; the power is back.
    void restore(Rng& rng);

    rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& path,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* file,
                                         rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* folder,
                                   rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus Truncate(const std::string& path, std::size_t size,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

private:
    class File;
    class Folder;
    struct Written {
        std::uint64_t size = 0;
        std::uint64_t synced = 0;
    };
    // A name that its folder does not have for sure: what stood there before.
    using Before = std::optional<std::string>;

    rocksdb::IOStatus change();  // Counts one; IOError when the power is off.
    void created(const std::string& path);
    void written(const std::string& path, std::uint64_t size, bool synced);
    void folder_synced(const std::string& path);

    mutable std::mutex mutex_;
    std::optional<std::uint64_t> left_;
    std::map<std::string, Written> files_;
    std::vector<std::pair<std::string, Before>> names_;  // In the order in which they were made.
};

}  // namespace vigie::streams
