#include "tests/contract/power_cut.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/result.h"

namespace vigie::streams {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Says what is written and synced; only appended to.
class PowerCutDisk::File final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    File(PowerCutDisk& disk, std::string path, std::unique_ptr<FSWritableFile> file,
         std::uint64_t size)
        : FSWritableFileOwnerWrapper(std::move(file)),
          disk_(disk),
          path_(std::move(path)),
          size_(size) {}

    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
        if (auto cut = disk_.change(); !cut.ok()) return cut;
        size_ += data.size();
        disk_.written(path_, size_, false);
        return target()->Append(data, options, debug);
    }
    IOStatus Append(const Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
        return Append(data, options, debug);
    }
    IOStatus PositionedAppend(const Slice&, std::uint64_t, const IOOptions&,
                              IODebugContext*) override {
        return IOStatus::NotSupported("direct I/O");
    }
    IOStatus PositionedAppend(const Slice&, std::uint64_t, const IOOptions&,
                              const rocksdb::DataVerificationInfo&, IODebugContext*) override {
        return IOStatus::NotSupported("direct I/O");
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions& options,
                      IODebugContext* debug) override {
        if (auto cut = disk_.change(); !cut.ok()) return cut;
        size_ = size;
        disk_.written(path_, size_, true);  // Of files that are being deleted only.
        return target()->Truncate(size, options, debug);
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        return synced(target()->Sync(options, debug));
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return synced(target()->Fsync(options, debug));
    }

private:
    // A cut in a sync leaves its outcome open.
    IOStatus synced(const IOStatus& done) {
        if (auto cut = disk_.change(); !cut.ok()) return cut;
        if (done.ok()) disk_.written(path_, size_, true);
        return done;
    }

    PowerCutDisk& disk_;
    const std::string path_;
    std::uint64_t size_;
};

class PowerCutDisk::Folder final : public rocksdb::FSDirectoryWrapper {
public:
    Folder(PowerCutDisk& disk, std::string path, std::unique_ptr<FSDirectory> folder)
        : FSDirectoryWrapper(std::move(folder)), disk_(disk), path_(std::move(path)) {}

    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return FsyncWithDirOptions(options, debug, {});
    }
    IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                                 const rocksdb::DirFsyncOptions&) override {
        if (auto cut = disk_.change(); !cut.ok()) return cut;
        disk_.folder_synced(path_);
        return IOStatus::OK();
    }

private:
    PowerCutDisk& disk_;
    const std::string path_;
};

void PowerCutDisk::cut_after(std::uint64_t changes) {
    const std::scoped_lock lock(mutex_);
    left_ = changes;
}

bool PowerCutDisk::is_cut() const {
    const std::scoped_lock lock(mutex_);
    return left_ == std::optional<std::uint64_t>(0);
}

IOStatus PowerCutDisk::change() {
    const std::scoped_lock lock(mutex_);
    if (!left_) return IOStatus::OK();
    if (*left_ == 0) return IOStatus::IOError("the power is off");
    --*left_;
    return IOStatus::OK();
}

void PowerCutDisk::created(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    files_[path] = {};
    names_.emplace_back(path, std::nullopt);
}

void PowerCutDisk::written(const std::string& path, std::uint64_t size, bool synced) {
    const std::scoped_lock lock(mutex_);
    Written& file = files_[path];
    file.size = size;
    if (synced) file.synced = size;
}

void PowerCutDisk::folder_synced(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(names_, [&](const auto& name) {
        return std::filesystem::path(name.first).parent_path() == std::filesystem::path(path);
    });
}

void PowerCutDisk::restore(Rng& rng) {
    const std::scoped_lock lock(mutex_);
    for (const auto& [path, file] : files_) {
        if (file.synced == file.size || !std::filesystem::exists(path)) continue;
        const std::uint64_t kept = file.synced + rng.below(file.size - file.synced + 1);
        std::filesystem::resize_file(path, kept);
        if (rng.below(2) == 0) std::filesystem::resize_file(path, file.size);  // With zeros.
    }
    for (auto kept = rng.below(names_.size() + 1); names_.size() > kept; names_.pop_back()) {
        const auto& [path, before] = names_.back();
        std::filesystem::remove(path);
        if (before) std::ofstream(path, std::ios::binary) << *before;
    }
    files_.clear();
    names_.clear();
    left_.reset();
}

IOStatus PowerCutDisk::NewWritableFile(const std::string& path, const FileOptions& options,
                                       std::unique_ptr<FSWritableFile>* file,
                                       IODebugContext* debug) {
    if (auto cut = change(); !cut.ok()) return cut;
    std::unique_ptr<FSWritableFile> real;
    const IOStatus done = target()->NewWritableFile(path, options, &real, debug);
    if (!done.ok()) return done;
    created(path);
    *file = std::make_unique<File>(*this, path, std::move(real), 0);
    return done;
}

IOStatus PowerCutDisk::ReopenWritableFile(const std::string& path, const FileOptions& options,
                                          std::unique_ptr<FSWritableFile>* file,
                                          IODebugContext* debug) {
    if (auto cut = change(); !cut.ok()) return cut;
    const std::uint64_t size = std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0;
    std::unique_ptr<FSWritableFile> real;
    const IOStatus done = target()->ReopenWritableFile(path, options, &real, debug);
    if (done.ok()) *file = std::make_unique<File>(*this, path, std::move(real), size);
    return done;
}

IOStatus PowerCutDisk::ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                                         std::unique_ptr<FSWritableFile>*, IODebugContext*) {
    return IOStatus::NotSupported("files are written once");
}

IOStatus PowerCutDisk::NewDirectory(const std::string& path, const IOOptions& options,
                                    std::unique_ptr<FSDirectory>* folder, IODebugContext* debug) {
    std::unique_ptr<FSDirectory> real;
    const IOStatus done = target()->NewDirectory(path, options, &real, debug);
    if (done.ok()) *folder = std::make_unique<Folder>(*this, path, std::move(real));
    return done;
}

IOStatus PowerCutDisk::DeleteFile(const std::string& path, const IOOptions& options,
                                  IODebugContext* debug) {
    if (auto cut = change(); !cut.ok()) return cut;
    const std::scoped_lock lock(mutex_);
    files_.erase(path);
    std::erase_if(names_, [&](const auto& name) { return name.first == path; });
    return target()->DeleteFile(path, options, debug);
}

IOStatus PowerCutDisk::Truncate(const std::string& path, std::size_t size, const IOOptions& options,
                                IODebugContext* debug) {
    if (auto cut = change(); !cut.ok()) return cut;
    return target()->Truncate(path, size, options, debug);
}

IOStatus PowerCutDisk::RenameFile(const std::string& from, const std::string& to,
                                  const IOOptions& options, IODebugContext* debug) {
    if (auto cut = change(); !cut.ok()) return cut;
    const std::scoped_lock lock(mutex_);
    Before before;
    if (std::ifstream old(to, std::ios::binary); old) {
        before.emplace(std::istreambuf_iterator<char>(old), std::istreambuf_iterator<char>());
    }
    if (const auto file = files_.extract(from); file) files_[to] = file.mapped();
    std::erase_if(names_, [&](const auto& name) { return name.first == from; });
    names_.emplace_back(to, std::move(before));
    return target()->RenameFile(from, to, options, debug);
}

IOStatus PowerCutDisk::LinkFile(const std::string&, const std::string&, const IOOptions&,
                                IODebugContext*) {
    return IOStatus::NotSupported("no links");
}

}  // namespace vigie::streams
