#pragma once

#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "ingest/webhook.h"

namespace vigie::ingest {

// The alert that a PagerDuty event (webhooks version 3) tells of: one for each incident, firing
// until it is resolved. Nothing for events of no interest (notes, pings), nor for an incident that
// Vigie itself opened there, which would page again about itself. kInvalid names the member that is
// missing.
Result<NamedEvents> parse_pagerduty(std::string_view body, EventTime now);

}  // namespace vigie::ingest
