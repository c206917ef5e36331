#include "streams/rocks/manifest.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "core/crc32c.h"

namespace vigie::streams::rocks {

namespace {

constexpr std::size_t kBlock = 32768;
// The checksum as u32, the payload's size as u16, both little-endian, and the type.
constexpr std::size_t kHeader = 7;
constexpr std::size_t kTypeAt = 6;
constexpr std::uint32_t kMask = 0xa282ead8U;

std::uint32_t little_endian(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) {
        value = value << 8U | static_cast<std::uint8_t>(bytes[i - 1]);
    }
    return value;
}

// RocksDB stores checksums so that a checksum over them is still of use.
std::uint32_t masked(std::uint32_t crc) {
    return (crc >> 15U | crc << 17U) + kMask;
}

bool is_whole(std::string_view record) {
    return little_endian(record.substr(0, 4)) == masked(crc32c(record.substr(kTypeAt)));
}

// Where a record, or a part of a long one, begins of which only zeros are left from some byte on.
std::optional<std::size_t> torn_record(std::string_view log) {
    const std::size_t last = log.find_last_not_of('\0');
    const std::size_t written = last == std::string_view::npos ? 0 : last + 1;
    for (std::size_t at = 0; at < written;) {
        const std::size_t left_in_block = kBlock - at % kBlock;
        if (left_in_block < kHeader) {
            at += left_in_block;  // Filled up.
            continue;
        }
        if (log.size() - at < kHeader) return std::nullopt;
        const std::size_t end = at + kHeader + little_endian(log.substr(at + 4, 2));
        if (end > log.size()) return std::nullopt;  // Cut short: RocksDB sees that itself.
        if (!is_whole(log.substr(at, end - at))) {
            return written < end ? std::optional(at) : std::nullopt;
        }
        at = end;
    }
    return std::nullopt;
}

Result<std::string> read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    if (!file || bytes.empty()) return fail(ErrorKind::kUnavailable, "cannot read " + path);
    return bytes;
}

}  // namespace

Result<bool> cut_torn_manifest(const std::string& folder) {
    VIGIE_TRY_ASSIGN(std::string name, read_all(folder + "/CURRENT"));
    while (name.ends_with('\n')) name.pop_back();
    const std::string path = folder + "/" + name;
    VIGIE_TRY_ASSIGN(const std::string log, read_all(path));
    const auto begin = torn_record(log);
    if (!begin) return false;
    std::ofstream torn(folder + "/torn-" + name, std::ios::binary);
    torn << std::string_view(log).substr(*begin);
    if (!torn.flush()) {
        return fail(ErrorKind::kUnavailable, "cannot write what is cut off " + path);
    }
    std::error_code error;
    std::filesystem::resize_file(path, *begin, error);
    if (!error) return true;
    return fail(ErrorKind::kUnavailable, fmt::format("cut {}: {}", path, error.message()));
}

}  // namespace vigie::streams::rocks
