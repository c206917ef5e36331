#pragma once

#include "app/config.h"
#include "app/section.h"

namespace vigie::app {

// `ingest`: limits, and what each way in needs to know.
void read_ingest(Section& section, Config& config);

// `identity`: which entities labels speak of.
void read_identity(Section& section, Config& config);

// How foreign JSON becomes alerts or changes: `each`, and `alert` or `change`.
ingest::Mapping read_mapping(Section& section);

}  // namespace vigie::app
