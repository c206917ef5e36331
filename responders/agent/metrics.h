#pragma once

#include "core/metrics.h"

namespace vigie::agent {

// The agent itself counts nothing: it is pure, and a replay must not move a number. Whoever
// implements AgentContext counts what it emits; label "what" is Audit::what, which has few values.
inline constexpr MetricName kAuditEntries{
    "vigie_responders_agent_audit_entries_total",
    "Decisions of the incident agent by kind, drops and refusals included."};

}  // namespace vigie::agent
