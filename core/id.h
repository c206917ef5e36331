#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace vigie {

// A name that cannot be passed where another kind of name is expected.
template <class Tag>
struct Id {
    std::string value;

    auto operator<=>(const Id&) const = default;
    bool operator==(const Id&) const = default;
    bool empty() const { return value.empty(); }
};

// "kind:name", for example "service:checkout", "host:web-1", "deployment:shop/checkout",
// "pod:shop/checkout-7f9c", "vm:pve1/101". The kind is everything before the first colon.
using EntityId = Id<struct EntityTag>;
using DomainId = Id<struct DomainTag>;      // What can be correlated with itself: a site, a tenant.
using EventId = Id<struct EventTag>;        // The CloudEvents id; equal ids are the same event.
using IncidentId = Id<struct IncidentTag>;  // "inc-" and twelve hex digits.
using PlanId = Id<struct PlanTag>;          // "plan-" and twelve hex digits.
using ActionId = Id<struct ActionTag>;      // "act-" …: also the idempotency key of the action.

EntityId make_entity(std::string_view kind, std::string_view name);
std::string_view entity_kind(const EntityId& entity);  // "" when there is no colon
std::string_view entity_name(const EntityId& entity);  // The whole text when there is no colon

// A deterministic id: `prefix` and twelve hex digits of a hash of `content`. Equal content
// gives equal ids in every run, which is how repeated outputs are recognised.
std::string stable_id(std::string_view prefix, std::string_view content);

// The same with 32 hex digits, for ids by which repeats are dropped: a collision would lose an
// event silently, and with 128 bits there is none.
EventId stable_event_id(std::string_view prefix, std::string_view content);

// FNV-1a, 64 bit (Fowler, Noll, Vo): the same on every platform, not for security.
std::uint64_t fnv1a64(std::string_view bytes);

}  // namespace vigie
