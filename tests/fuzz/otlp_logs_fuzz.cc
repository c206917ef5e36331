#include <cstdint>

#include "tests/fuzz/telemetry_checks.h"

// The first byte chooses the encoding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto encoding = (data[0] & 1U) != 0 ? vigie::schemas::OtlpEncoding::kJson
                                              : vigie::schemas::OtlpEncoding::kProtobuf;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto logs = vigie::schemas::decode_otlp_logs(bytes, encoding, vigie::fuzz::kLimits);
    if (!logs) return 0;
    VIGIE_ASSERT(logs->size() <= vigie::fuzz::kLimits.items_max);
    for (const auto& record : *logs) {
        VIGIE_ASSERT(record.severity <= 24);
        VIGIE_ASSERT(record.trace_id.empty() || record.trace_id.size() == 32);
        vigie::fuzz::check_text(record.body);
        vigie::fuzz::check_labels(record.attributes);
    }
    return 0;
}
