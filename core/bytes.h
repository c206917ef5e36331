#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

// Numbers and texts as bytes that are stored: big-endian, so that they sort as they count; a text
// follows its length (u32). Inline: a reader of records calls these ten times for each.
namespace vigie {

inline std::uint32_t big_endian(std::uint32_t value) {
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}

// Over the four bytes at `out`.
inline void store_u32(char* out, std::uint32_t value) {
    value = big_endian(value);
    std::memcpy(out, &value, sizeof value);
}

inline void put_u32(std::string& out, std::uint32_t value) {
    std::array<char, 4> bytes{};
    store_u32(bytes.data(), value);
    out.append(bytes.data(), bytes.size());
}

inline void put_u64(std::string& out, std::uint64_t value) {
    put_u32(out, static_cast<std::uint32_t>(value >> 32U));
    put_u32(out, static_cast<std::uint32_t>(value));
}

inline void put_text(std::string& out, std::string_view text) {
    put_u32(out, static_cast<std::uint32_t>(text.size()));
    out += text;
}

// These take from the front of `bytes`; nullopt when there are too few, and some may be gone then.
inline std::optional<std::string_view> take_bytes(std::string_view& bytes, std::size_t count) {
    if (bytes.size() < count) return std::nullopt;
    const std::string_view taken = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return taken;
}

inline std::optional<std::uint32_t> take_u32(std::string_view& bytes) {
    std::uint32_t value = 0;
    if (bytes.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return big_endian(value);
}

inline std::optional<std::uint64_t> take_u64(std::string_view& bytes) {
    if (bytes.size() < 8) return std::nullopt;
    const std::uint64_t high = *take_u32(bytes);
    return high << 32U | *take_u32(bytes);
}

inline std::optional<std::string_view> take_text(std::string_view& bytes) {
    const auto size = take_u32(bytes);
    return size ? take_bytes(bytes, *size) : std::nullopt;
}

}  // namespace vigie
