#include "streams/bulk_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/id.h"

namespace vigie::streams {

namespace {

constexpr std::string_view kMagic = "VGBULK1\n";
constexpr std::size_t kHeadBytes = kMagic.size() + 8 + 4;
constexpr std::string_view kUnfinished = "unfinished";

// Closes it at the end of its life.
class File {
public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    int get() const { return descriptor_; }

private:
    const int descriptor_;
};

std::unexpected<Error> failed(std::string_view doing, const std::string& path) {
    const int code = errno;
    const bool full = code == ENOSPC || code == EDQUOT;
    return fail(full ? ErrorKind::kOverloaded : ErrorKind::kUnavailable,
                fmt::format("{} {}: {}", doing, path, std::generic_category().message(code)));
}

// Writes past the page cache where the file system can: a snapshot is read again only after a
// restart, and would push out what is read all the time. Such writes want whole blocks in aligned
// memory, so the file is cut to its length in the end.
class BlockWriter {
public:
    BlockWriter(const std::string& path, bool past_cache)
        : path_(path), block_(new(std::align_val_t{kAlignment}) char[kBlockBytes]) {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
        if (past_cache) descriptor_ = open(path.c_str(), kFlags | O_DIRECT, 0600);
        if (!past_cache || (descriptor_ < 0 && errno == EINVAL)) {
            descriptor_ = open(path.c_str(), kFlags, 0600);
        }
    }
    BlockWriter(const BlockWriter&) = delete;
    BlockWriter& operator=(const BlockWriter&) = delete;
    ~BlockWriter() {
        if (descriptor_ >= 0) close(descriptor_);
    }

    Status write(std::string_view bytes) {
        if (descriptor_ < 0) return failed("create", path_);
        while (!bytes.empty()) {
            const std::size_t taken = std::min(bytes.size(), kBlockBytes - filled_);
            std::copy_n(bytes.begin(), taken, block_.get() + filled_);
            bytes.remove_prefix(taken);
            filled_ += taken;
            if (filled_ == kBlockBytes) VIGIE_TRY(write_block());
        }
        return {};
    }

    Status finish(bool sync) {
        const std::size_t length = written_ + filled_;
        const std::size_t padded = (filled_ + kAlignment - 1) / kAlignment * kAlignment;
        std::fill(block_.get() + filled_, block_.get() + padded, '\0');
        filled_ = padded;
        VIGIE_TRY(write_block());
        if (ftruncate(descriptor_, static_cast<off_t>(length)) != 0) return failed("cut", path_);
        if (sync && fdatasync(descriptor_) != 0) return failed("sync", path_);
        return {};
    }

private:
    static constexpr std::size_t kAlignment = 4096;
    static constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;
    struct Free {
        void operator()(char* block) const {
            operator delete[](block, std::align_val_t{kAlignment});
        }
    };

    Status write_block() {
        std::string_view rest(block_.get(), filled_);
        while (!rest.empty()) {
            const ssize_t done = ::write(descriptor_, rest.begin(), rest.size());
            if (done < 0 && errno == EINTR) continue;
            // Behind a short write, or where blocks are larger, it goes on through the cache.
            if (done < 0 && errno == EINVAL && !std::exchange(cached_, true) &&
                fcntl(descriptor_, F_SETFL, 0) == 0) {
                continue;
            }
            if (done < 0) return failed("write", path_);
            rest.remove_prefix(static_cast<std::size_t>(done));
        }
        written_ += filled_;
        filled_ = 0;
        return {};
    }

    const std::string& path_;
    const std::unique_ptr<char[], Free> block_;
    int descriptor_ = -1;
    bool cached_ = false;
    std::size_t filled_ = 0;
    std::size_t written_ = 0;
};

Status write_file(const std::string& path, std::string_view bytes, std::uint32_t check, bool sync) {
    std::string head(kMagic);
    put_u64(head, bytes.size());
    put_u32(head, check);
    // Without a sync nobody waits for the disk.
    BlockWriter file(path, sync);
    VIGIE_TRY(file.write(head));
    VIGIE_TRY(file.write(bytes));
    return file.finish(sync);
}

Status sync_folder(const std::string& folder) {
    const File file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file.get() < 0 || fsync(file.get()) != 0) return failed("sync", folder);
    return {};
}

// What the names of an owner's files begin with: readable, and different for each owner.
std::string prefix_of(std::string_view owner) {
    std::string plain;
    for (const char c : owner) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool other = (c >= '0' && c <= '9') || c == '-' || c == '_';
        plain += letter || other ? c : '_';
    }
    plain.resize(std::min<std::size_t>(plain.size(), 100));
    return stable_id(plain + "-", owner) + ".";
}

// Names of the files of an owner, and what was left unfinished.
std::vector<std::string> names_of(const std::string& folder, const std::string& prefix) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
        std::string name = it->path().filename().string();
        if (name.starts_with(prefix)) names.push_back(std::move(name));
    }
    return names;
}

// What ends the name of a file with these bytes: two folders can come to the same number.
std::string mark_of(std::size_t length, std::uint32_t check) {
    return fmt::format("-{:x}-{:08x}", length, check);
}

std::uint64_t number_of(std::string_view name, std::string_view prefix) {
    std::uint64_t number = 0;
    name.remove_prefix(prefix.size());
    std::from_chars(name.data(), name.data() + name.size(), number);
    return number;
}

}  // namespace

Result<std::string> BulkFiles::save(std::string_view owner, std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    std::error_code error;
    const bool created = std::filesystem::create_directories(folder_, error);
    if (error) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("create folder {}: {}", folder_, error.message()));
    }
    if (created && sync_) {
        VIGIE_TRY(sync_folder(std::filesystem::absolute(folder_).parent_path().string()));
    }
    const std::string prefix = prefix_of(owner);
    std::uint64_t last = 0;
    for (const auto& name : names_of(folder_, prefix)) {
        last = std::max(last, number_of(name, prefix));
    }
    const std::uint32_t check = crc32c(bytes);
    std::string name = fmt::format("{}{}{}", prefix, last + 1, mark_of(bytes.size(), check));
    const std::string path = fmt::format("{}/{}", folder_, name);
    const std::string unfinished = fmt::format("{}/{}{}", folder_, prefix, kUnfinished);
    Status done = write_file(unfinished, bytes, check, sync_);
    if (done && rename(unfinished.c_str(), path.c_str()) != 0) done = failed("rename", unfinished);
    if (done && sync_) done = sync_folder(folder_);
    if (!done) {
        std::filesystem::remove(unfinished, error);
        return fail(std::move(done).error());
    }
    return name;
}

Result<std::string> BulkFiles::load(std::string_view owner, std::string_view name) const {
    const auto useless = [name](std::string_view why) {
        return fail(ErrorKind::kInvalid, fmt::format("snapshot {} {}", name, why));
    };
    if (!name.starts_with(prefix_of(owner)) || name.find('/') != std::string_view::npos) {
        return useless("is of another stage");
    }
    const std::string path = fmt::format("{}/{}", folder_, name);
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    if (error == std::errc::no_such_file_or_directory) return useless("is not here");
    if (error) {
        return fail(ErrorKind::kUnavailable, fmt::format("read {}: {}", path, error.message()));
    }
    std::ifstream file(path, std::ios::binary);
    std::string bytes(size, '\0');
    if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) return failed("read", path);
    if (bytes.size() < kHeadBytes || !bytes.starts_with(kMagic)) return useless("is damaged");
    std::string_view head = std::string_view(bytes).substr(kMagic.size(), kHeadBytes);
    const auto length = take_u64(head);
    const auto check = take_u32(head);
    bytes.erase(0, kHeadBytes);
    if (bytes.size() != *length || crc32c(bytes) != *check) return useless("is damaged");
    // Names without a mark are of versions before it.
    const bool marked = name.substr(prefix_of(owner).size()).find('-') != std::string_view::npos;
    if (marked && !name.ends_with(mark_of(*length, *check))) return useless("has other bytes");
    return bytes;
}

std::optional<std::string> BulkFiles::newest(std::string_view owner) const {
    const std::string prefix = prefix_of(owner);
    std::optional<std::string> newest;
    for (auto& name : names_of(folder_, prefix)) {
        if (name == prefix + std::string(kUnfinished)) continue;
        if (!newest || number_of(*newest, prefix) < number_of(name, prefix)) {
            newest = std::move(name);
        }
    }
    return newest;
}

void BulkFiles::keep(std::string_view owner, std::string_view name) {
    const std::scoped_lock lock(mutex_);
    for (const auto& other : names_of(folder_, prefix_of(owner))) {
        std::error_code ignored;
        if (other != name) std::filesystem::remove(fmt::format("{}/{}", folder_, other), ignored);
    }
}

}  // namespace vigie::streams
