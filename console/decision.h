#pragma once

#include <string_view>

#include "console/views.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/events.h"

namespace vigie::console {

// The decision that a person sent as JSON: {"kind", "incident", "plan", "reason", "value",
// "scope", "actor", "expires_at"}; which are needed depends on the kind. kInvalid says what to
// change; an unknown member is invalid, so that a typing error decides nothing. kNotFound: no
// such incident in a view that has caught up. kConflict: the plan is not the one that the
// incident shows now, so the person has not seen what would be done.
Result<schemas::Decision> parse_decision(std::string_view json, const View& view, EventTime now);

}  // namespace vigie::console
