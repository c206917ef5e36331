#include "core/crc32c.h"

#include <string>

#include <catch2/catch.hpp>

#include "core/rng.h"

namespace vigie {

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST_CASE("crc32c: the values of the RFC", "[core]") {
    for (const auto crc : {&crc32c, &detail::crc32c_of_tables}) {
        CHECK(crc("") == 0);
        CHECK(crc("123456789") == 0xe3069283);
        CHECK(crc(std::string(32, '\0')) == 0x8a9136aa);
        CHECK(crc(std::string(32, '\xff')) == 0x62a8ab43);
    }
}

TEST_CASE("crc32c: with and without the processor's instruction it is the same", "[core]") {
    Rng rng(1);
    std::string bytes;
    for (int i = 0; i < 1200; ++i) {
        CHECK(crc32c(bytes) == detail::crc32c_of_tables(bytes));
        bytes += static_cast<char>(rng.below(256));
    }
}

}  // namespace vigie
