#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/result.h"
#include "schemas/policy.h"

namespace vigie::agent {

using Facts = std::map<std::string, std::string>;

// What the templates and preconditions of a runbook may speak of. References: must outlive the
// call they are passed to.
struct Bindings {
    const schemas::InventoryEntry& entry;
    const Facts& facts;
};

// Replaces every "{…}": "{fact.NAME}" by an inspection fact, "{entity}" and "{entity.name}" by the
// target's id and name, any other "{NAME}" by an attribute of the inventory. kNotFound
// names what is not known (yet); kInvalid: a brace without its partner, or a value with control
// characters or longer than 300 bytes. Values are not templates themselves.
Result<std::string> resolve(std::string_view text, const Bindings& bindings);

// True when `text` takes something from the facts: it cannot be known before an inspection.
bool needs_facts(std::string_view text);

// Holds when success. Forms: "fact == value", "fact != value", "fact > n", "fact < n", "fact
// exists"; the value may have templates, and be empty. kRefused says what was found instead; a
// fact that is not known never holds, "!=" included. kInvalid: not one of these forms.
Status holds(std::string_view precondition, const Bindings& bindings);

}  // namespace vigie::agent
