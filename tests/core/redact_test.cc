#include "core/redact.h"

#include <catch2/catch.hpp>

#include <array>
#include <string>

using namespace vigie;

TEST_CASE("redact: every occurrence of every secret, the longest first", "[core]") {
    const std::array<std::string, 3> secrets{"token", "token-123", ""};
    CHECK(redact("a token-123 b token c token-123", secrets) == "a *** b *** c ***");
    CHECK(redact("nothing here", secrets) == "nothing here");
    CHECK(redact("", secrets).empty());
}

TEST_CASE("redact: a secret too short to be one tears nothing apart", "[core]") {
    const std::array<std::string, 2> secrets{"abc", "abcd"};
    CHECK(redact("abc abcd", secrets) == "abc ***");
}

TEST_CASE("one line: cut before a character, and without control characters", "[core]") {
    CHECK(one_line("a\nb\tc\x7f", 100) == "a b c ");
    CHECK(one_line("abc", 2) == "ab");
    CHECK(one_line("a\xc3\xa9z", 2) == "a");
    CHECK(one_line("a\xc3\xa9z", 3) == "a\xc3\xa9");
    CHECK(one_line("\xa9\xa9", 1).empty());
    CHECK(one_line("a\xffz \xc3\xa9\xc3", 100) == "a?z \xc3\xa9?");
}
