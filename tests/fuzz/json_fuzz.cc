#include <algorithm>
#include <cstdint>

#include "schemas/json.h"

// The first line is a pointer, the rest is JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto line_end = std::min(bytes.find('\n'), bytes.size());
    const auto json = vigie::schemas::parse_json(bytes.substr(std::min(line_end + 1, size)));
    if (!json) {
        VIGIE_ASSERT(json.error().kind == vigie::ErrorKind::kInvalid);
        VIGIE_ASSERT(json.error().message.size() < 400);
        return 0;
    }
    const auto text = vigie::schemas::dump_json(*json);
    const auto again = vigie::schemas::parse_json(text);
    VIGIE_ASSERT(again && vigie::schemas::dump_json(*again) == text);
    VIGIE_ASSERT(vigie::schemas::parse_json(vigie::schemas::dump_json_pretty(*json)));
    const auto pointer = bytes.substr(0, line_end);
    vigie::schemas::find(*json, pointer);
    vigie::schemas::integer_at(*json, pointer);
    vigie::schemas::number_at(*json, pointer);
    vigie::schemas::string_at(*json, pointer);
    return 0;
}
