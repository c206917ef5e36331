#include <cstdint>

#include "tests/fuzz/telemetry_checks.h"

// The first byte chooses the encoding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto encoding = (data[0] & 1U) != 0 ? vigie::schemas::OtlpEncoding::kJson
                                              : vigie::schemas::OtlpEncoding::kProtobuf;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto spans = vigie::schemas::decode_otlp_traces(bytes, encoding, vigie::fuzz::kLimits);
    if (!spans) return 0;
    VIGIE_ASSERT(spans->size() <= vigie::fuzz::kLimits.items_max);
    for (const auto& span : *spans) {
        VIGIE_ASSERT(span.trace_id.empty() || span.trace_id.size() == 32);
        VIGIE_ASSERT(span.span_id.empty() || span.span_id.size() == 16);
        VIGIE_ASSERT(span.parent_id.empty() || span.parent_id.size() == 16);
        vigie::fuzz::check_text(span.name);
        vigie::fuzz::check_labels(span.attributes);
        vigie::fuzz::check_labels(span.resource);
    }
    return 0;
}
