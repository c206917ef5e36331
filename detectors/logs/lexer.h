#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vigie::detectors {

// What a token of a log line is, by its shape and what is before it.
enum class TokenKind : std::uint8_t {
    kWord,      // Text that the program writes
    kDigits,    // A word with digits in it, "eth0", "vm17", or a unit: known with digits masked
    kValue,     // A text where values stand: behind key=, behind "user", a class or host name
    kVariable,  // A number, address, path, identifier, time: what varies
};

struct LogToken {
    std::uint32_t begin = 0;  // Bytes of the line, [begin, end); what is between two tokens
    std::uint32_t end = 0;    // separates them.
    TokenKind kind = TokenKind::kWord;
    std::uint8_t items = 1;    // kVariable: so many in a row are one token,
    std::uint8_t between = 0;  // with 1: a blank, 2: comma and blank between them.
    std::uint64_t hash = 0;    // Of the text, with digits masked; kVariableHash: whatever it is.
    std::uint64_t gap = 0;     // Hash of what is before it, white space squeezed.
};

// Cuts a line into tokens, from left to right, without a look at what was seen before.
//
// Variables by shape: numbers with sign, fraction or unit, hexadecimal, UUIDs, IPv4, IPv6 and MAC
// addresses, dates and times, absolute paths, URLs, e-mail addresses, host names with digits,
// identifiers with a numeric part ("task_7_m"), random letters and digits, true, false, null. What
// is joined to one without a blank (10.1.1.1:80, 3-7) is part of it, and so is the version behind
// the target of an HTTP request line. Several in a row are one token.
//
// At most `tokens_max` tokens; the rest of the line is one variable then. `out` is cleared.
// Returns the hash of what follows the last token.
std::uint64_t lex_line(std::string_view line, std::size_t tokens_max, std::vector<LogToken>& out);

// A word that hardly is a name or a value: what happened or happens ("started", "waiting"), a
// constant in capitals, a function word.
bool is_own_word(std::string_view text);

// 64 bits of a text, the same on every machine of one byte order.
std::uint64_t hash_text(std::string_view text);
std::uint64_t mix(std::uint64_t value);

// The hash of every variable, whatever its text.
inline constexpr std::uint64_t kVariableHash = 0x9e3779b97f4a7c15;
// That of every unit of bytes behind a number.
inline constexpr std::uint64_t kUnitHash = 0x2f7c1b9d40e8a365;

}  // namespace vigie::detectors
