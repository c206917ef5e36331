#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/yaml.h"
#include "core/result.h"

// YAML in its plainest form: everything quoted, on one line.
namespace vigie::fuzz {

inline std::string quoted(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<std::uint8_t>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += kHex[byte >> 4U];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    return out + '"';
}

inline std::string written(const app::YamlNode& node) {
    std::string out;
    switch (node.kind) {
        case app::YamlNode::Kind::kNull: return "~";
        case app::YamlNode::Kind::kScalar: return quoted(node.scalar);
        case app::YamlNode::Kind::kSequence:
            for (const auto& item : node.items) out += (out.empty() ? "" : ", ") + written(item);
            return "[" + out + "]";
        case app::YamlNode::Kind::kMap:
            // With "?", because a key without it ends after 1024 characters.
            for (const auto& [key, value] : node.entries) {
                out += (out.empty() ? "? " : ", ? ") + quoted(key) + " : " + written(value);
            }
            return "{" + out + "}";
    }
    return out;
}

// "line 3, column 5: …", or "file.yaml:3:5: …" after the file's name: a place inside the text.
inline void check_place(std::string_view text, int line, int column) {
    int lines = 1;
    for (const char c : text) lines += c == '\n' || c == '\r' ? 1 : 0;
    VIGIE_ASSERT(line >= 1 && line <= lines);
    VIGIE_ASSERT(column >= 1 && column <= static_cast<int>(text.size()) + 1);
}

}  // namespace vigie::fuzz
