#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "streams/bus.h"
#include "tests/contract/copier.h"

// What copier() does against a real Kafka, and whether it did it exactly once.
namespace vigie::streams {

Status make_pairs(Bus& bus, std::int32_t partitions);

// True when each record of `in` was copied once, in order, by a step that knew the one before.
bool copied_exactly_once(Bus& bus, std::int32_t partitions);

// Appends the numbers below `end`, each until it is acknowledged: after an answer that says
// nothing, again.
void append_numbers(Bus& bus, int first, int end);

std::set<std::string> values_in(Bus& bus, std::int32_t partitions);

}  // namespace vigie::streams
