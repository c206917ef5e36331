#pragma once

#include <cstdint>
#include <string_view>

namespace vigie {

// CRC-32C (Castagnoli, as in iSCSI, RFC 3720): finds bytes that changed at rest. Not for
// security.
std::uint32_t crc32c(std::string_view bytes);

namespace detail {
// The same without the processor's instruction, for processors that have none.
std::uint32_t crc32c_of_tables(std::string_view bytes);
}  // namespace detail

}  // namespace vigie
