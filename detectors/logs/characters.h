#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// What a byte of a log line may be part of: one look-up each.
namespace vigie::detectors {

inline constexpr std::uint8_t kLetter = 1;
inline constexpr std::uint8_t kDigit = 2;
inline constexpr std::uint8_t kHexLetter = 4;
inline constexpr std::uint8_t kBlank = 8;
inline constexpr std::uint8_t kValueEnd = 16;  // Ends what stands behind key=
inline constexpr std::uint8_t kPathEnd = 32;
inline constexpr std::uint8_t kPlainLetter = 64;
inline constexpr std::uint8_t kGoesOn = 128;  // A word may go on with it behind letters.

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> out{};
    for (std::size_t c = 0; c < out.size(); ++c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter || c == '_' || c >= 0x80) out[c] |= kLetter;
        if (letter) out[c] |= kPlainLetter;
        if (c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || c == '.' || c == '\'') {
            out[c] |= kGoesOn;
        }
        if (c >= '0' && c <= '9') out[c] |= kDigit;
        if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) out[c] |= kHexLetter;
        if (c == ' ' || (c >= '\t' && c <= '\r') || c == 0) out[c] |= kBlank | kValueEnd | kPathEnd;
    }
    for (const char c : std::string_view(",;)]}>|&\"'")) {
        out[static_cast<unsigned char>(c)] |= kValueEnd;
    }
    for (const char c : std::string_view("\"'()[]{}<>,;|")) {
        out[static_cast<unsigned char>(c)] |= kPathEnd;
    }
    return out;
}

inline constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

inline std::uint8_t class_of(char c) {
    return kClasses[static_cast<unsigned char>(c)];
}
inline bool is_digit(char c) {
    return (class_of(c) & kDigit) != 0;
}
inline bool is_blank(char c) {
    return (class_of(c) & kBlank) != 0;
}
inline bool is_word(char c) {
    return (class_of(c) & (kLetter | kDigit)) != 0;
}
inline bool is_hex(char c) {
    return (class_of(c) & (kDigit | kHexLetter)) != 0;
}

}  // namespace vigie::detectors
