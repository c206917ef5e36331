#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/id.h"
#include "schemas/policy.h"

namespace vigie::agent {

// The policy with its inventory as a graph. Immutable; without a policy: no runbooks, no
// inventory, every mode shadow.
class PolicyView {
public:
    explicit PolicyView(schemas::Policy policy);
    PolicyView(const PolicyView&) = delete;
    PolicyView& operator=(const PolicyView&) = delete;

    const schemas::Policy& policy() const { return policy_; }

    // nullptr when the inventory does not have exactly this entity. Only what it has can be the
    // target of an action, whatever telemetry claims.
    const schemas::InventoryEntry* entry(const EntityId& entity) const;

    // The inventory's name of what `entity` speaks of: itself when the inventory has it, else
    // the one entity placed there ("deployment:shop/checkout", "pod:shop/checkout-…",
    // "vm:pve1/101"), else itself.
    EntityId canonical(const EntityId& entity) const;

    // What a change of `entity` touches: its canonical name, and for a "repository:NAME" every
    // entity whose attribute repository is NAME. Sorted.
    std::set<EntityId> touched_by(const EntityId& entity) const;

    // Declared neighbours, by canonical name: what it depends on (depends_on, and the host of a
    // guest), and what depends on it.
    const std::set<EntityId>& dependencies(const EntityId& entity) const;
    const std::set<EntityId>& dependents(const EntityId& entity) const;

private:
    void place(const schemas::InventoryEntry& entry);
    void connect(const EntityId& from, const EntityId& to);

    const schemas::Policy policy_;
    std::map<EntityId, const schemas::InventoryEntry*> entries_;
    std::map<EntityId, std::set<EntityId>> placed_;      // Place -> entities there
    std::map<std::string, std::set<EntityId>> sources_;  // Repository -> entities
    std::map<EntityId, std::set<EntityId>> out_;
    std::map<EntityId, std::set<EntityId>> in_;
};

}  // namespace vigie::agent
