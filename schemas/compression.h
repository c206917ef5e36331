#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie::schemas {

// Decompression with a bound: kInvalid for damaged input, kRefused when the output would be larger
// than `bytes_max`. A false announcement of the size allocates nothing; at no time is more than
// twice `bytes_max` allocated.
Result<std::string> unsnappy(std::string_view bytes, std::size_t bytes_max);  // block format
// The same into `out`, whose memory is used again; on an error it holds nothing of use.
Status unsnappy_into(std::string_view bytes, std::size_t bytes_max, std::string& out);
Result<std::string> gunzip(std::string_view bytes, std::size_t bytes_max);
Result<std::string> unzstd(std::string_view bytes, std::size_t bytes_max);  // Frames of RFC 8878

// By a Content-Encoding: "" and "identity" copy, "snappy", "gzip" and "zstd" decompress, in any
// case of letters. kInvalid also for another name.
Result<std::string> decompress(std::string_view bytes, std::string_view content_encoding,
                               std::size_t bytes_max);

}  // namespace vigie::schemas
