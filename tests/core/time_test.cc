#include "core/time.h"

#include <catch2/catch.hpp>

#include "core/id.h"

namespace {

using namespace std::chrono_literals;
using vigie::ErrorKind;

}  // namespace

TEST_CASE("time: RFC 3339 is read with offsets and fractions, and written in UTC", "[core]") {
    CHECK(vigie::to_rfc3339(*vigie::parse_rfc3339("2026-11-21T10:28:00Z")) ==
          "2026-11-21T10:28:00Z");
    CHECK(vigie::to_rfc3339(*vigie::parse_rfc3339("2026-11-21T10:28:00.25+02:00")) ==
          "2026-11-21T08:28:00.250000Z");
    CHECK(vigie::to_rfc3339(*vigie::parse_rfc3339("1969-12-31T23:59:59.999999999Z")) ==
          "1969-12-31T23:59:59.999999Z");
    CHECK(vigie::to_rfc3339(*vigie::parse_rfc3339("0001-01-01T00:00:00Z")) ==
          "0001-01-01T00:00:00Z");
}

TEST_CASE("time: what is not RFC 3339 is refused", "[core]") {
    for (const auto* text :
         {"", "2026-11-21", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:28:00",
          "2026-11-21T10:28:00.Z", "2026-11-21T10:28:00Zx", "2026-11-21T10:28:00+25:00",
          "-026-11-21T10:28:00Z"}) {
        INFO(text);
        const auto result = vigie::parse_rfc3339(text);
        REQUIRE(!result);
        CHECK(result.error().kind == ErrorKind::kInvalid);
    }
}

TEST_CASE("time: durations are read and written", "[core]") {
    CHECK(*vigie::parse_duration("1h30m") == 90min);
    CHECK(*vigie::parse_duration("250ms") == 250ms);
    CHECK(*vigie::parse_duration("1m5ms") == 60005ms);
    CHECK(*vigie::parse_duration("0s") == 0ms);
    CHECK(vigie::to_string(90min) == "1h30m");
    CHECK(vigie::to_string(60005ms) == "1m5ms");
    CHECK(vigie::to_string(0ms) == "0s");
}

TEST_CASE("time: what is not a duration is refused", "[core]") {
    for (const auto* text :
         {"", "5", "-5s", "5m1h", "5s5s", "1.5h", "5 s", "99999999999999999w", "s"}) {
        INFO(text);
        CHECK(!vigie::parse_duration(text));
    }
}

TEST_CASE("id: an entity has a kind and a name", "[core]") {
    const auto entity = vigie::make_entity("vm", "pve1/101");
    CHECK(vigie::entity_kind(entity) == "vm");
    CHECK(vigie::entity_name(entity) == "pve1/101");
    CHECK(vigie::entity_kind({"plain"}).empty());
    CHECK(vigie::stable_id("inc-", "a").size() == 16);
    CHECK(vigie::stable_id("inc-", "a") == vigie::stable_id("inc-", "a"));
    CHECK(vigie::stable_id("inc-", "a") != vigie::stable_id("inc-", "b"));
}
