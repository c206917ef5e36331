#include <cstdint>

#include "schemas/events.h"

// What is read once is written in a form that is read as the same again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto event = vigie::schemas::decode(bytes);
    if (event) {
        const auto written = vigie::schemas::encode(*event);
        const auto again = vigie::schemas::decode(written);
        VIGIE_ASSERT(again);
        VIGIE_ASSERT(vigie::schemas::encode(*again) == written);
    } else {
        VIGIE_ASSERT(event.error().kind == vigie::ErrorKind::kInvalid);
    }
    if (const auto incident = vigie::schemas::decode_incident(bytes)) {
        VIGIE_ASSERT(vigie::schemas::decode_incident(vigie::schemas::encode_incident(*incident)));
    }
    if (const auto policy = vigie::schemas::decode_policy(bytes)) {
        VIGIE_ASSERT(vigie::schemas::decode_policy(vigie::schemas::encode_policy(*policy)));
    }
    return 0;
}
