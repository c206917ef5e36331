#include "responders/agent/policy_view.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace vigie::agent {

namespace {

std::string_view attribute(const schemas::InventoryEntry& entry, const std::string& name) {
    const auto found = entry.attributes.find(name);
    return found == entry.attributes.end() ? std::string_view{} : std::string_view(found->second);
}

const std::set<EntityId>& find_or_none(const std::map<EntityId, std::set<EntityId>>& map,
                                       const EntityId& entity) {
    static const std::set<EntityId> kNone;
    const auto found = map.find(entity);
    return found == map.end() ? kNone : found->second;
}

// "shop/checkout-7f9c4-x2x8q" -> "shop/checkout-7f9c4" -> "shop/checkout" -> "": pods and replica
// sets carry the name of their deployment and up to two generated parts.
std::string_view without_last_part(std::string_view name) {
    const auto dash = name.rfind('-');
    return dash == std::string_view::npos ? std::string_view{} : name.substr(0, dash);
}

}  // namespace

PolicyView::PolicyView(schemas::Policy policy) : policy_(std::move(policy)) {
    for (const auto& entry : policy_.inventory) {
        entries_[entry.entity] = &entry;
        place(entry);
    }
    for (const auto& entry : policy_.inventory) {
        for (const auto& other : entry.depends_on) connect(entry.entity, canonical(other));
        const auto node = attribute(entry, "proxmox.node");
        const auto host = make_entity("host", node);
        if (!node.empty() && entry.entity != host) connect(entry.entity, canonical(host));
    }
}

void PolicyView::place(const schemas::InventoryEntry& entry) {
    const auto space = attribute(entry, "kubernetes.namespace");
    const auto deployment = attribute(entry, "kubernetes.deployment");
    if (!space.empty() && !deployment.empty()) {
        placed_[make_entity("deployment", fmt::format("{}/{}", space, deployment))].insert(
            entry.entity);
    }
    const auto node = attribute(entry, "proxmox.node");
    const auto vmid = attribute(entry, "proxmox.vmid");
    if (!node.empty() && !vmid.empty()) {
        placed_[make_entity("vm", fmt::format("{}/{}", node, vmid))].insert(entry.entity);
    }
    const auto repository = attribute(entry, "repository");
    if (!repository.empty()) sources_[std::string(repository)].insert(entry.entity);
}

void PolicyView::connect(const EntityId& from, const EntityId& to) {
    if (from == to) return;
    out_[from].insert(to);
    in_[to].insert(from);
}

const schemas::InventoryEntry* PolicyView::entry(const EntityId& entity) const {
    const auto found = entries_.find(entity);
    return found == entries_.end() ? nullptr : found->second;
}

EntityId PolicyView::canonical(const EntityId& entity) const {
    if (entries_.contains(entity)) return entity;
    const auto one_of = [this](const EntityId& place) {
        const auto& there = find_or_none(placed_, place);
        return there.size() == 1 ? *there.begin() : EntityId{};
    };
    if (auto found = one_of(entity); !found.empty()) return found;
    if (entity_kind(entity) != "pod") return entity;
    std::string_view name = entity_name(entity);
    for (int parts = 0; parts < 2; ++parts) {
        name = without_last_part(name);
        if (auto found = one_of(make_entity("deployment", name)); !found.empty()) return found;
    }
    return entity;
}

std::set<EntityId> PolicyView::touched_by(const EntityId& entity) const {
    std::set<EntityId> touched{canonical(entity)};
    if (entity_kind(entity) == "repository") {
        const auto found = sources_.find(std::string(entity_name(entity)));
        if (found != sources_.end()) touched.insert(found->second.begin(), found->second.end());
    }
    return touched;
}

const std::set<EntityId>& PolicyView::dependencies(const EntityId& entity) const {
    return find_or_none(out_, entity);
}

const std::set<EntityId>& PolicyView::dependents(const EntityId& entity) const {
    return find_or_none(in_, entity);
}

}  // namespace vigie::agent
