#pragma once

#include <string>
#include <string_view>

#include "streams/record.h"

namespace vigie::app {

// A record as one line of JSON: offset, time, key, headers, value. Texts that are not UTF-8
// stand as {"hex": "…"}.
std::string record_line(const streams::Record& record);

// The first header of that name; "" when there is none.
std::string_view header_of(const streams::Message& message, std::string_view name);

bool is_utf8(std::string_view text);

}  // namespace vigie::app
