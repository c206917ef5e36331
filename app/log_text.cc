#include "app/log_text.h"

#include <fmt/format.h>

#include "schemas/json.h"

namespace vigie::app {

namespace {

using schemas::Json;

Json text_or_hex(std::string_view text) {
    if (is_utf8(text)) return std::string(text);
    std::string hex;
    hex.reserve(2 * text.size());
    for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return Json{{"hex", std::move(hex)}};
}

}  // namespace

std::string record_line(const streams::Record& record) {
    Json headers = Json::array();
    for (const auto& [name, value] : record.message.headers) {
        headers.push_back({{"name", text_or_hex(name)}, {"value", text_or_hex(value)}});
    }
    return schemas::dump_json(Json{{"topic", record.partition.topic},
                                   {"partition", record.partition.index},
                                   {"offset", record.offset},
                                   {"time", to_rfc3339(record.message.event_time)},
                                   {"key", text_or_hex(record.message.key)},
                                   {"headers", std::move(headers)},
                                   {"value", text_or_hex(record.message.value)}});
}

std::string_view header_of(const streams::Message& message, std::string_view name) {
    for (const auto& [key, value] : message.headers) {
        if (key == name) return value;
    }
    return {};
}

// JSON's writer replaces what is not UTF-8, so only UTF-8 comes back as it was.
bool is_utf8(std::string_view text) {
    const auto back = schemas::parse_json(schemas::dump_json(Json(std::string(text))));
    return back && back->is_string() && back->get_ref<const std::string&>() == text;
}

}  // namespace vigie::app
