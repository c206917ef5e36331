#include "core/utf8.h"

#include <cstdint>

namespace vigie {

std::size_t utf8_character_size(std::string_view text, std::size_t at) {
    const auto byte_at = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte_at(at);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (text.size() - at < size) return 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xbf;
    if (first == 0xe0) low = 0xa0;   // Longer than needed
    if (first == 0xed) high = 0x9f;  // Surrogates
    if (first == 0xf0) low = 0x90;   // Longer than needed
    if (first == 0xf4) high = 0x8f;  // Beyond U+10FFFF
    for (std::size_t i = 1; i < size; ++i) {
        const std::uint8_t next = byte_at(at + i);
        if (next < low || next > high) return 0;
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

bool is_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = utf8_character_size(text, at);
        if (size == 0) return false;
        at += size;
    }
    return true;
}

}  // namespace vigie
