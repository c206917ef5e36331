#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie::streams {

// Snapshots of bulk state as flat files in one folder, written whole and never changed. A row of
// the state says which file is meant, so a file that no row names never happened: a crash leaves
// at most files that keep() removes. Safe to call from any thread; one owner's calls come from one
// thread at a time.
//
// A name ends with the length and the check of its bytes, so a row never finds another machine's
// file of the same number. A file is "VGBULK1\n", the length and the CRC-32C of the bytes (u64 and
// u32, big-endian), the bytes.
class BulkFiles {
public:
    // `folder` is created when it is first needed. Without `sync` a file survives the process, but
    // not a power cut.
    BulkFiles(std::string folder, bool sync) : folder_(std::move(folder)), sync_(sync) {}

    // Writes a new file of `owner` ("group/topic/0") and says its name. kOverloaded when the disk
    // is full, kUnavailable when it fails otherwise; nothing is left then.
    Result<std::string> save(std::string_view owner, std::string_view bytes);

    // kInvalid when there is no such file of this owner, or when it is damaged; kUnavailable when
    // it cannot be read, which says nothing of what it holds.
    Result<std::string> load(std::string_view owner, std::string_view name) const;

    // The file that this owner saved last; nullopt: none. For owners that keep no row of it.
    std::optional<std::string> newest(std::string_view owner) const;

    // Removes every file of the owner but this one.
    void keep(std::string_view owner, std::string_view name);

private:
    const std::string folder_;
    const bool sync_;
    std::mutex mutex_;  // One at a time chooses a name.
};

}  // namespace vigie::streams
