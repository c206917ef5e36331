// What http/url.cc reads was written by strangers. Each input goes through every reader, and what
// comes out must fit together.

#include "http/url.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/result.h"
#include "http/client.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace vigie;
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);

    const auto decoded = http::percent_decode(text);
    if (decoded) {
        VIGIE_ASSERT(decoded->size() <= text.size() && !decoded->contains('\0'));
        VIGIE_ASSERT(http::percent_decode(http::percent_encode(*decoded)) == decoded);
    }
    if (const auto target = http::parse_target(text)) {
        VIGIE_ASSERT(target->path.starts_with('/') || target->path == "*");
        VIGIE_ASSERT(!target->path.contains('\0') && http::is_header_value(target->raw));
        // Reading what was kept gives the same again.
        const auto again = http::parse_target(target->raw);
        VIGIE_ASSERT(again && again->path == target->path && again->query == target->query);
    }
    if (const auto url = http::parse_url(text)) {
        VIGIE_ASSERT(!url->host.empty() && !url->port.empty() && url->target.starts_with('/'));
        VIGIE_ASSERT(http::is_header_value(url->host) && !url->target.contains(' '));
    }
    return 0;
}
