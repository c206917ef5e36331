#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "responders/agent/facts.h"
#include "schemas/incident.h"
#include "schemas/policy.h"

namespace vigie::agent {

// Parameters that only guard a call against a target that changed since ("resource_version",
// "digest"): they are sent, but they are not part of what would be done, so not of a PlanId.
bool is_guard(std::string_view parameter);

// What a plan is made of. `facts` are those of the inspections of all steps, later ones winning;
// `diffs` has one list of lines for each step, or is empty.
struct PlanRequest {
    std::vector<schemas::Runbook> runbooks;
    schemas::Cause cause;
    schemas::InventoryEntry entry;  // Of the cause's entity: the only possible target.
    Facts facts;
    std::vector<std::vector<std::string>> diffs;
    IncidentId incident;  // May be empty.
};

struct Refusal {
    std::string runbook;
    std::string reason;  // One sentence.
};

// Absence of a plan is an answer; `refusals` then says why each runbook was not taken, in the
// order in which they were tried.
struct Planning {
    std::optional<schemas::Plan> plan;
    std::vector<Refusal> refusals;
};

// The cheapest runbook (then the first by name) that addresses the cause's mechanism and entity
// kind, whose preconditions hold and whose parameters are all known. The plan is not gated: mode,
// gate, times and action ids are for the caller to fill. Equal requests give equal plans; the
// PlanId is a hash of the runbook's name and, for each step, of action, target, parameters and
// diff. kUnknown causes have no plan.
Planning make_plan(const PlanRequest& request);

// The runbooks that address the cause, cheapest first; the rest as refusals.
struct Selection {
    std::vector<schemas::Runbook> runbooks;
    std::vector<Refusal> refusals;
};
Selection select_runbooks(const std::vector<schemas::Runbook>& runbooks,
                          const schemas::Cause& cause);

// Parameters for the inspection of a step: those that do not need facts. kNotFound names the
// attribute that the inventory lacks.
Result<std::map<std::string, std::string>> inspection_parameters(
    const schemas::RunbookStep& step, const schemas::InventoryEntry& entry);

// What is wrong with a runbook by itself: no name, step, mechanism or entity kind, an unknown
// mechanism, a precondition or template that cannot be read, a time or cost that is negative.
Status lint(const schemas::Runbook& runbook);

}  // namespace vigie::agent
