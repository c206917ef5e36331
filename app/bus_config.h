#pragma once

#include "app/config.h"
#include "app/section.h"

namespace vigie::app {

// `bus`: the log in the data folder, or on Kafka. config.data is known.
void read_bus(Section& section, Config& config);

}  // namespace vigie::app
