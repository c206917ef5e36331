#pragma once

#include <string>
#include <string_view>

#include "schemas/incident.h"

namespace vigie::agent {

// The post-mortem of a resolved incident as Markdown (CommonMark): summary, exact timeline,
// causes, evidence, the plan with its diff and what the gate checked, how to replay it, and
// follow-ups. A pure function of the incident. Text from outside stands in code spans or code
// blocks, where nothing in it is interpreted. `verdict`: "right" or "wrong", what a person said of
// the diagnosis; "" as long as nobody did.
std::string write_postmortem(const schemas::Incident& incident, std::string_view verdict = {});

}  // namespace vigie::agent
