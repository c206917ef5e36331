#include "core/log.h"

#include <catch2/catch.hpp>

namespace vigie {

TEST_CASE("log: an event and its fields are one line", "[core]") {
    MemoryLog log;
    log.info("stage started", {{"stage", "agent"}, {"partitions", "3"}});
    log.warn("odd values", {{"blank", "a b"},
                            {"quote", "say \"x\""},
                            {"lines", "a\nb\x01"},
                            {"empty", ""},
                            {"path", "a\\b"}});
    log.error("plain");
    const auto lines = log.lines();
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == "info stage started stage=agent partitions=3");
    CHECK(lines[1] ==
          R"(warn odd values blank="a b" quote="say \"x\"" lines="a\nb\x01" empty="" path="a\\b")");
    CHECK(lines[2] == "error plain");
}

}  // namespace vigie
