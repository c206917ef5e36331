#pragma once

#include <string>
#include <utility>
#include <vector>

#include "schemas/events.h"

namespace vigie::schemas::samples {

EventTime at(std::string_view rfc3339);

// One event of each type with every field set, and the name of its golden file.
std::vector<std::pair<std::string, Event>> full_events();

// One event of each type with nothing set but what its schema requires.
std::vector<Event> sparse_events();

}  // namespace vigie::schemas::samples
