#include <cstdint>

#include "schemas/compression.h"

// The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kBytesMax = 256 * 1024;
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const unsigned format = data[0] % 3U;
    const auto text = format == 0   ? vigie::schemas::unsnappy(bytes, kBytesMax)
                      : format == 1 ? vigie::schemas::gunzip(bytes, kBytesMax)
                                    : vigie::schemas::unzstd(bytes, kBytesMax);
    VIGIE_ASSERT(text ? text->size() <= kBytesMax
                      : text.error().kind == vigie::ErrorKind::kInvalid ||
                            text.error().kind == vigie::ErrorKind::kRefused);
    return 0;
}
