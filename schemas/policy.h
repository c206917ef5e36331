#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"

// What the agent is told by the configuration. It reaches the agent as a record on
// vigie.signals, without secrets, so that a replay knows it too.
namespace vigie::schemas {

// The autonomy ladder.
enum class Mode : std::uint8_t { kShadow, kSuggest, kApprove, kAutonomous };

enum class Risk : std::uint8_t { kRead, kReversible, kCompensable, kIrreversible };

// The first rule that matches an action and its target decides; without one the mode is shadow.
// Patterns are exact, "*", or end with "*".
struct ModeRule {
    std::string action = "*";
    std::string target = "*";
    Mode mode = Mode::kShadow;

    bool operator==(const ModeRule&) const = default;
};

// A fragment of a plan: what it does, when it may, how it is undone and checked.
struct RunbookStep {
    std::string action;                             // Catalogue name.
    std::map<std::string, std::string> parameters;  // "{…}" takes a fact or an entity attribute.
    std::vector<std::string>
        preconditions;  // "fact == value", "fact != value", "fact > n", "fact < n", "fact exists"

    bool operator==(const RunbookStep&) const = default;
};

struct Runbook {
    std::string name;
    std::string title;
    std::vector<std::string> mechanisms;    // Which causes it addresses: "bad_change", …
    std::vector<std::string> entity_kinds;  // "service", "deployment", "vm"
    std::vector<RunbookStep> steps;
    Risk risk = Risk::kReversible;
    std::string inverse;  // In words.
    double cost = 1;
    std::chrono::seconds verify_hold{60};
    std::chrono::seconds verify_timeout{600};
    std::chrono::seconds cooldown{600};  // Not again on the same target within this.

    bool operator==(const Runbook&) const = default;
};

// What the inventory says of an entity. Attributes place it: "kubernetes.namespace",
// "kubernetes.deployment", "proxmox.node", "proxmox.vmid", "repository".
struct InventoryEntry {
    EntityId entity;
    std::map<std::string, std::string> attributes;
    std::vector<EntityId> depends_on;

    bool operator==(const InventoryEntry&) const = default;
};

struct Policy {
    std::vector<ModeRule> modes;
    double confidence_min = 0.85;           // For autonomous; calibrated only.
    std::int64_t outcomes_min = 30;         // Below this confidence is uncalibrated.
    std::int64_t actions_per_hour_max = 5;  // Blast-radius budget.
    std::chrono::seconds correlation_window{600};
    std::chrono::seconds change_window{3600};  // How long a change stays suspect.
    std::chrono::seconds diagnose_after{10};   // Evidence gathers for so long before a plan.
    std::chrono::seconds approval_expiry{1800};
    std::chrono::seconds action_timeout{300};
    std::chrono::seconds data_age_max{
        120};  // Older data is not fresh: nothing acts, nothing resolves.
    std::int64_t open_incidents_max = 1000;
    std::vector<Runbook> runbooks;
    std::vector<InventoryEntry> inventory;

    bool operator==(const Policy&) const = default;
};

std::string_view to_string(Mode value);
std::string_view to_string(Risk value);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<Risk> parse_risk(std::string_view text);

}  // namespace vigie::schemas
