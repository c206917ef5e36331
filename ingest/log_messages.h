#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/intake.h"
#include "schemas/log_groups.h"
#include "streams/record.h"

namespace vigie::ingest {

// What is appended for log records that do not come as OTLP: one message of OTLP for each entity,
// keyed by it, or by the sender's address for records of none. A record without a time gets the
// clock's. `items` is set to the number of records.
std::vector<streams::Message> log_messages(Intake& intake, std::string_view source,
                                           std::vector<schemas::LogGroup> groups,
                                           std::string_view remote, std::size_t& items);

}  // namespace vigie::ingest
