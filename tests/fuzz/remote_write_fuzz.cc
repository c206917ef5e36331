#include <cstdint>

#include "tests/fuzz/telemetry_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    vigie::fuzz::check_series(vigie::schemas::decode_remote_write(bytes, vigie::fuzz::kLimits));
    return 0;
}
