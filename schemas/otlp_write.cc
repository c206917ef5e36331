#include "schemas/otlp_write.h"

#include "schemas/text.h"

namespace vigie::schemas::detail {

using protozero::pbf_writer;

namespace {

int digit_of(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

}  // namespace

// KeyValue with a string: AnyValue.string_value = 1.
void write_attributes(pbf_writer& out, protozero::pbf_tag_type tag, const Labels& labels) {
    for (const auto& [name, value] : labels) {
        std::string pair;
        pbf_writer key_value(pair);
        key_value.add_string(1, name);
        pbf_writer any(key_value, 2);
        any.add_string(1, value);
        any.commit();
        out.add_message(tag, pair);
    }
}

std::string bytes_of_hex(std::string_view hex) {
    std::string bytes;
    if (!is_hex(hex) || hex.size() % 2 != 0) return bytes;
    const std::string low = lower(hex);
    for (std::size_t i = 0; i < low.size(); i += 2) {
        bytes.push_back(static_cast<char>(digit_of(low[i]) * 16 + digit_of(low[i + 1])));
    }
    return bytes;
}

}  // namespace vigie::schemas::detail
