#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "detectors/logs/lexer.h"

namespace vigie::detectors {

// What was before a token: nothing of note; a word that a name follows more often than not ("for",
// "from", "by"); or one that nothing else follows ("user").
enum class Introduction : std::uint8_t { kNone, kLikely, kSure };
Introduction introduction_of(std::string_view word);

// A token as its own bytes say.
struct TokenShape {
    std::size_t end = 0;
    TokenKind kind = TokenKind::kWord;
    std::uint64_t hash = 0;
};

// The token that begins at `begin`: at a letter, digit or byte beyond ASCII, at a sign before a
// digit, or at the slash of a path.
TokenShape token_shape(std::string_view line, std::size_t begin, Introduction introduction);

}  // namespace vigie::detectors
