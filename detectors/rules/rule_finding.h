#pragma once

#include <string>

#include "detectors/rules/rule_state.h"
#include "detectors/rules/rules.h"
#include "schemas/events.h"

namespace vigie::detectors {

// What a rule says of a group as it stands: that it fires, or that it is over and calm.
schemas::Anomaly finding_of(const Rule& rule, const std::string& group, const GroupState& state);

}  // namespace vigie::detectors
