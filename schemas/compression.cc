#include "schemas/compression.h"

#include <algorithm>
#include <limits>
#include <memory>

#include <fmt/format.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "schemas/text.h"

namespace vigie::schemas {

namespace {

// The densest element of a snappy block writes 64 bytes from 3.
constexpr std::size_t kSnappyRatioMax = 22;

std::unexpected<Error> too_large(std::string_view format, std::size_t bytes_max) {
    return fail(ErrorKind::kRefused,
                fmt::format("{}: more than {} bytes after decompression", format, bytes_max));
}

std::unexpected<Error> damaged(std::string_view format, std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", format, why));
}

constexpr int kZstdWindowLogMax = 23;  // RFC 8878: 8 MiB is what every decoder should take

// Frees what zlib holds, on every way out.
struct Inflater {
    Inflater() { ready = inflateInit2(&stream, 15 + 16) == Z_OK; }  // 16: gzip, not zlib
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    ~Inflater() {
        if (ready) inflateEnd(&stream);
    }

    z_stream stream{};
    bool ready = false;
};

// Makes room for more output; false when the bound is reached.
bool grow(std::string& out, std::size_t bytes_max) {
    if (out.size() >= bytes_max) return false;
    const std::size_t wanted = std::max<std::size_t>(out.size() * 2, 4096);
    out.resize(std::min(wanted, bytes_max));
    return true;
}

}  // namespace

Status unsnappy_into(std::string_view bytes, std::size_t bytes_max, std::string& out) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size)) {
        return damaged("snappy", "no length at the start");
    }
    if (size > bytes_max) return too_large("snappy", bytes_max);
    if (size / kSnappyRatioMax > bytes.size()) {
        return damaged("snappy", fmt::format("{} bytes cannot hold {}", bytes.size(), size));
    }
    bool whole = false;
    // The room it passes on may be more than was asked for (GCC 12).
    out.resize_and_overwrite(size, [&](char* place, std::size_t) {
        whole = snappy::RawUncompress(bytes.data(), bytes.size(), place);
        return whole ? size : 0;
    });
    if (!whole) return damaged("snappy", "the block is damaged");
    return {};
}

Result<std::string> unsnappy(std::string_view bytes, std::size_t bytes_max) {
    std::string out;
    VIGIE_TRY(unsnappy_into(bytes, bytes_max, out));
    return out;
}

Result<std::string> gunzip(std::string_view bytes, std::size_t bytes_max) {
    if (bytes.empty()) return damaged("gzip", "the stream is empty");
    if (bytes.size() > std::numeric_limits<uInt>::max() ||
        bytes_max > std::numeric_limits<uInt>::max()) {
        return damaged("gzip", "the stream is larger than 4 GiB");
    }
    Inflater inflater;
    VIGIE_ASSERT(inflater.ready);
    z_stream& stream = inflater.stream;
    // zlib's interface predates const; it does not write to its input.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    std::string out;
    std::size_t used = 0;
    char beyond = 0;  // One byte past the bound, to tell "full" from "too large".
    while (true) {
        const bool full = used == out.size() && !grow(out, bytes_max);
        stream.next_out = reinterpret_cast<Bytef*>(full ? &beyond : out.data() + used);
        stream.avail_out = full ? 1 : static_cast<uInt>(out.size() - used);
        const uInt room = stream.avail_out;
        const int state = inflate(&stream, Z_NO_FLUSH);
        const uInt written = room - stream.avail_out;
        if (full && written > 0) return too_large("gzip", bytes_max);
        used += written;
        if (state == Z_STREAM_END) {
            // RFC 1952: members may follow each other.
            if (stream.avail_in == 0) break;
            if (inflateReset(&stream) != Z_OK) return damaged("gzip", "the stream is damaged");
        } else if (state != Z_OK) {
            return damaged("gzip", state == Z_BUF_ERROR ? "the stream ends too early"
                                                        : "the stream is damaged");
        }
    }
    out.resize(used);
    return out;
}

Result<std::string> unzstd(std::string_view bytes, std::size_t bytes_max) {
    if (bytes.empty()) return damaged("zstd", "the stream is empty");
    const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                       ZSTD_freeDCtx);
    VIGIE_ASSERT(context != nullptr);
    // A window is memory too, whatever the announced size.
    ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    std::string out;
    std::size_t used = 0;
    std::size_t left = 1;  // 0 after the last byte of a frame
    while (in.pos < in.size || left != 0) {
        char beyond = 0;  // One byte past the bound, to tell "full" from "too large".
        const bool full = used == out.size() && !grow(out, bytes_max);
        ZSTD_outBuffer into{full ? &beyond : out.data() + used, full ? 1 : out.size() - used, 0};
        const std::size_t before = in.pos;
        left = ZSTD_decompressStream(context.get(), &into, &in);
        if (ZSTD_isError(left) != 0) return damaged("zstd", ZSTD_getErrorName(left));
        if (full && into.pos > 0) return too_large("zstd", bytes_max);
        used += into.pos;
        if (left != 0 && in.pos == before && into.pos == 0) {
            return damaged("zstd", "the stream ends too early");
        }
    }
    out.resize(used);
    return out;
}

Result<std::string> decompress(std::string_view bytes, std::string_view content_encoding,
                               std::size_t bytes_max) {
    const std::string encoding = detail::lower(content_encoding);
    if (encoding == "snappy") return unsnappy(bytes, bytes_max);
    if (encoding == "gzip" || encoding == "x-gzip") return gunzip(bytes, bytes_max);
    if (encoding == "zstd") return unzstd(bytes, bytes_max);
    if (!encoding.empty() && encoding != "identity") {
        return fail(ErrorKind::kInvalid,
                    fmt::format("content encoding '{}' is not known", encoding.substr(0, 64)));
    }
    if (bytes.size() > bytes_max) return too_large("body", bytes_max);
    return std::string(bytes);
}

}  // namespace vigie::schemas
