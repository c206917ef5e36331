#include "schemas/text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/utf8.h"

namespace vigie::schemas::detail {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::uint8_t byte_at(std::string_view text, std::size_t at) {
    return static_cast<std::uint8_t>(text[at]);
}

bool is_ascii(std::string_view text) {
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, 8);
        if ((word & 0x8080808080808080ULL) != 0) return false;
    }
    for (; at < text.size(); ++at) {
        if (byte_at(text, at) >= 0x80) return false;
    }
    return true;
}

}  // namespace

std::string clean_text(std::string_view text, std::size_t bytes_max) {
    // A character more than can be kept is enough to see where to cut.
    text = text.substr(0, bytes_max + 4);
    if (text.size() <= bytes_max && is_ascii(text)) return std::string(text);
    std::string clean;
    clean.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = utf8_character_size(text, at);
        const std::string_view next = size == 0 ? kReplacement : text.substr(at, size);
        if (clean.size() + next.size() > bytes_max) break;
        clean += next;
        at += std::max<std::size_t>(size, 1);
    }
    return clean;
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        text += kDigits[byte_at(bytes, i) >> 4U];
        text += kDigits[byte_at(bytes, i) & 0xfU];
    }
    return text;
}

bool is_hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
}

std::string to_base64(std::string_view bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            group = (group << 8U) | (i < count ? byte_at(bytes, at + i) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= count ? kDigits[(group >> (18U - 6U * i)) & 0x3fU] : '=';
        }
    }
    return text;
}

}  // namespace vigie::schemas::detail
