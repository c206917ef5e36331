#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vigie::http {

// Undoes percent-encoding. nullopt when a "%" is not followed by two hex digits, or when the
// result contains a NUL, which no name of ours has and which ends C strings early.
std::optional<std::string> percent_decode(std::string_view text);

// What a request line asks for: "/api/x?a=b" taken apart.
struct Target {
    std::string path;                                        // Decoded; starts with "/", or is "*"
    std::vector<std::pair<std::string, std::string>> query;  // Decoded, "+" is a blank
    std::string raw;                                         // Path and query, not decoded
};
// Reads the origin form, the absolute form (host ignored) and "*". nullopt for anything else,
// for bad encoding and for control characters.
std::optional<Target> parse_target(std::string_view text);

// Header names and methods are tokens (RFC 9110, 5.6.2).
bool is_token(std::string_view text);
constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
// ASCII only, as header names and host names are compared.
bool equal_ignoring_case(std::string_view a, std::string_view b);
// False for what would end a header line early: CR, LF, NUL.
bool is_header_value(std::string_view text);

}  // namespace vigie::http
