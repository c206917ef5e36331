#pragma once

#include <cstdint>
#include <string_view>

namespace vigie {

// CRC-32C (Castagnoli, as in iSCSI, RFC 3720): finds bytes that changed at rest. Not for
// security.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace vigie
