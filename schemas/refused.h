#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "schemas/telemetry.h"

namespace vigie::schemas {

// Log records or spans that were wrong in themselves and left out, and what was wrong with the
// first. When nothing else was in the body that is an error of the body.
struct Refused {
    std::size_t items = 0;
    std::string why;

    // Keeps in mind what is about one item, kInvalid; passes on what is about the body.
    Status take(Status status);
};

// As those without it, for who tells the sender.
Result<std::vector<LogRecord>> decode_logs(std::string_view bytes, std::string_view content_type,
                                           std::string_view content_encoding,
                                           const DecodeLimits& limits, Refused& refused);
Result<std::vector<Span>> decode_traces(std::string_view bytes, std::string_view content_type,
                                        std::string_view content_encoding,
                                        const DecodeLimits& limits, Refused& refused);

}  // namespace vigie::schemas
