#include "streams/bus.h"

#include <limits>

#include <catch2/catch.hpp>

namespace vigie::streams {

TEST_CASE("partition_of: agrees with Kafka's murmur2", "[streams]") {
    // The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
    const std::vector<std::pair<std::string, std::int32_t>> vectors{
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107}};
    for (const auto& [key, hash] : vectors) {
        CHECK(partition_of(key, std::numeric_limits<std::int32_t>::max()) == (hash & 0x7fffffff));
        CHECK(partition_of(key, 12) == (hash & 0x7fffffff) % 12);
    }
}

TEST_CASE("partition_of: one partition takes every key, the empty one too", "[streams]") {
    CHECK(partition_of("", 1) == 0);
    CHECK(partition_of(std::string(3, '\0'), 1) == 0);
}

TEST_CASE("to_string: a partition is topic and index", "[streams]") {
    CHECK(to_string(Partition{"vigie.alerts", 3}) == "vigie.alerts/3");
}

TEST_CASE("bytes_of: counts key, value and headers", "[streams]") {
    CHECK(bytes_of({"topic", "key", "value", {{"a", "bc"}}, {}}) == 3 + 5 + 3);
}

}  // namespace vigie::streams
