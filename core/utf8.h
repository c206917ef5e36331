#pragma once

#include <cstddef>
#include <string_view>

namespace vigie {

// Bytes of the well-formed character at `at`, which is inside `text` (Unicode 15, table 3-7); 0
// when there is none.
std::size_t utf8_character_size(std::string_view text, std::size_t at);

// True when there is nothing in the text but well-formed characters.
bool is_utf8(std::string_view text);

}  // namespace vigie
