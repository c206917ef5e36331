#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Text from outside, made safe to keep. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// At most `bytes_max` bytes, cut between characters; what is not UTF-8 becomes U+FFFD.
std::string clean_text(std::string_view text, std::size_t bytes_max);

std::string lower(std::string_view text);       // ASCII only
std::string to_hex(std::string_view bytes);     // Lower case
bool is_hex(std::string_view text);             // Of either case
std::string to_base64(std::string_view bytes);  // RFC 4648, with padding

}  // namespace vigie::schemas::detail
