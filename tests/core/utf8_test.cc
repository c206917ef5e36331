#include "core/utf8.h"

#include <catch2/catch.hpp>

using vigie::is_utf8;
using vigie::utf8_character_size;

TEST_CASE("utf8: characters of each length are found whole", "[core]") {
    const std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    CHECK(utf8_character_size(text, 0) == 1);
    CHECK(utf8_character_size(text, 1) == 2);
    CHECK(utf8_character_size(text, 3) == 3);
    CHECK(utf8_character_size(text, 6) == 4);
    CHECK(utf8_character_size(text, 2) == 0);
    CHECK(is_utf8(text));
    CHECK(is_utf8(""));
}

TEST_CASE("utf8: what is cut, too long, a surrogate or beyond the last character is refused",
          "[core]") {
    for (const std::string_view text :
         {"\xff", "a\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\xaf", "\xe0\x80\xaf",
          "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3z"}) {
        CHECK_FALSE(is_utf8(text));
    }
    CHECK(is_utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"));
}
