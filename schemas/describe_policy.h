#pragma once

#include "schemas/codec.h"

// The fields of policy.h in JSON; schemas/policy.v1.json says the same.
namespace vigie::schemas {

template <class Io>
void describe(Io& io, detail::Of<ModeRule> auto& value) {
    io.field("action", value.action);
    io.field("target", value.target);
    io.field("mode", value.mode);
}

template <class Io>
void describe(Io& io, detail::Of<RunbookStep> auto& value) {
    io.field("action", value.action);
    io.field("parameters", value.parameters);
    io.field("preconditions", value.preconditions);
}

template <class Io>
void describe(Io& io, detail::Of<Runbook> auto& value) {
    io.field("name", value.name);
    io.field("title", value.title);
    io.field("mechanisms", value.mechanisms);
    io.field("entity_kinds", value.entity_kinds);
    io.field("steps", value.steps);
    io.field("risk", value.risk);
    io.field("inverse", value.inverse);
    io.field("cost", value.cost);
    io.field("verify_hold_seconds", value.verify_hold);
    io.field("verify_timeout_seconds", value.verify_timeout);
    io.field("cooldown_seconds", value.cooldown);
}

template <class Io>
void describe(Io& io, detail::Of<InventoryEntry> auto& value) {
    io.field("entity", value.entity);
    io.field("attributes", value.attributes);
    io.field("depends_on", value.depends_on);
}

template <class Io>
void describe(Io& io, detail::Of<Policy> auto& value) {
    io.field("modes", value.modes);
    io.field("confidence_min", value.confidence_min);
    io.field("outcomes_min", value.outcomes_min);
    io.field("actions_per_hour_max", value.actions_per_hour_max);
    io.field("correlation_window_seconds", value.correlation_window);
    io.field("change_window_seconds", value.change_window);
    io.field("diagnose_after_seconds", value.diagnose_after);
    io.field("approval_expiry_seconds", value.approval_expiry);
    io.field("action_timeout_seconds", value.action_timeout);
    io.field("data_age_max_seconds", value.data_age_max);
    io.field("open_incidents_max", value.open_incidents_max);
    io.field("runbooks", value.runbooks);
    io.field("inventory", value.inventory);
}

}  // namespace vigie::schemas
