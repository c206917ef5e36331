#include "tests/broker/copying.h"

#include <string>
#include <vector>

#include "tests/contract/polling.h"

namespace vigie::streams {

using namespace std::chrono_literals;

Status make_pairs(Bus& bus, std::int32_t partitions) {
    const std::vector<TopicOptions> topics{{.name = "in", .partitions = partitions},
                                           {.name = "out", .partitions = partitions},
                                           {.name = "vigie.deadletter"}};
    return bus.ensure_topics(topics);
}

// True when each record of `in` was copied once, in order, by a step that knew the one before.
bool copied_exactly_once(Bus& bus, std::int32_t partitions) {
    for (std::int32_t index = 0; index < partitions; ++index) {
        const auto records = records_on(bus, "in", index);
        const auto copies = records_on(bus, "out", index);
        if (copies.size() < records.size()) return false;
        REQUIRE(copies.size() == records.size());
        for (std::size_t i = 0; i < copies.size(); ++i) {
            REQUIRE(copies[i].message.value ==
                    records[i].message.value + "=" + std::to_string(i + 1));
        }
    }
    return true;
}

// The numbers below `end`, each acknowledged: after an answer that says nothing, again.
void append_numbers(Bus& bus, int first, int end) {
    for (int number = first; number < end; ++number) {
        const Waiting waiting(120s);
        const std::string text = std::to_string(number);
        while (!append_and_wait(bus, {msg(text, text)})) VIGIE_ASSERT(!waiting.over());
    }
}

std::set<std::string> values_in(Bus& bus, std::int32_t partitions) {
    std::set<std::string> values;
    for (std::int32_t index = 0; index < partitions; ++index) {
        for (const auto& value : values_on(bus, "in", index)) values.insert(value);
    }
    return values;
}

}  // namespace vigie::streams
