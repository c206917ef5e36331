#include <cstdint>

#include "tests/fuzz/telemetry_checks.h"

// The first byte chooses the encoding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto encoding = (data[0] & 1U) != 0 ? vigie::schemas::OtlpEncoding::kJson
                                              : vigie::schemas::OtlpEncoding::kProtobuf;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    vigie::fuzz::check_series(
        vigie::schemas::decode_otlp_metrics(bytes, encoding, vigie::fuzz::kLimits));
    return 0;
}
