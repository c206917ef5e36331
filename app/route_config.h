#pragma once

#include "app/outward_config.h"
#include "app/section.h"
#include "schemas/time_interval.h"

namespace vigie::app {

// `notify.routes` and `notify.time_intervals`, once the channels are read.
void read_routes(Section& section, OutwardConfig& config);

// One of Alertmanager's time_intervals.
schemas::TimeInterval read_time_interval(Section& section);

}  // namespace vigie::app
