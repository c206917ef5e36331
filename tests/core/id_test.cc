#include "core/id.h"

#include <catch2/catch.hpp>

#include "core/crc32c.h"
#include "core/rng.h"

namespace vigie {

TEST_CASE("id: an entity is its kind, a colon and its name", "[core]") {
    const EntityId entity = make_entity("vm", "pve1/101:a");
    CHECK(entity.value == "vm:pve1/101:a");
    CHECK(entity_kind(entity) == "vm");
    CHECK(entity_name(entity) == "pve1/101:a");
    CHECK(entity_kind(EntityId{"plain"}).empty());
    CHECK(entity_name(EntityId{"plain"}) == "plain");
}

TEST_CASE("id: FNV-1a and stable ids are the same everywhere", "[core]") {
    // The vectors of the FNV reference, draft-eastlake-fnv.
    CHECK(fnv1a64("") == 0xcbf29ce484222325ULL);
    CHECK(fnv1a64("a") == 0xaf63dc4c8601ec8cULL);
    CHECK(fnv1a64("foobar") == 0x85944171f73967e8ULL);
    CHECK(stable_id("inc-", "foobar") == "inc-4171f73967e8");
    CHECK(stable_id("inc-", "foobar").size() == 16);
}

TEST_CASE("crc32c: agrees with the vectors of RFC 3720", "[core]") {
    std::string ascending;
    for (char c = 0; c < 32; ++c) ascending += c;
    CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
    CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
    CHECK(crc32c(ascending) == 0x46dd794e);
    CHECK(crc32c(std::string(ascending.rbegin(), ascending.rend())) == 0x113fdb5c);
    CHECK(crc32c("123456789") == 0xe3069283);
    CHECK(crc32c("") == 0);
}

TEST_CASE("rng: the same seed gives the same numbers, those of SplitMix64", "[core]") {
    Rng rng(1234567);
    CHECK(rng.next() == 6457827717110365317ULL);
    CHECK(rng.next() == 3203168211198807973ULL);
    Rng never(1);
    Rng always(1);
    for (int i = 0; i < 1000; ++i) {
        CHECK_FALSE(never.chance(0));
        CHECK(always.chance(1000));
        CHECK(rng.below(7) < 7);
        const double uniform = rng.uniform();
        CHECK((uniform >= 0 && uniform < 1));
    }
}

}  // namespace vigie
