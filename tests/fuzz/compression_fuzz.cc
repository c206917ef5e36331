#include <cstdint>

#include "schemas/compression.h"

// The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kBytesMax = 256 * 1024;
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto text = (data[0] & 1U) != 0 ? vigie::schemas::gunzip(bytes, kBytesMax)
                                          : vigie::schemas::unsnappy(bytes, kBytesMax);
    VIGIE_ASSERT(text ? text->size() <= kBytesMax
                      : text.error().kind == vigie::ErrorKind::kInvalid);
    return 0;
}
