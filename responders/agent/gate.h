#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "schemas/incident.h"
#include "schemas/policy.h"

namespace vigie::agent {

// A mode that a person set at run time; the latest one that matches outranks the policy.
struct ModeDecision {
    std::string scope;  // An action class or an entity pattern
    schemas::Mode mode = schemas::Mode::kShadow;
    std::string actor;
    std::int64_t sequence = 0;  // Later is higher.
};

struct ModeAnswer {
    schemas::Mode mode = schemas::Mode::kShadow;
    std::string reason;
};

// Exact, "*", or a prefix that ends with "*".
bool matches(std::string_view pattern, std::string_view text);

// The mode for one action on one target: the latest decision whose scope matches either, else
// the first rule of the policy that matches both, else shadow.
ModeAnswer mode_for(const std::vector<schemas::ModeRule>& rules,
                    const std::vector<ModeDecision>& decisions, std::string_view action,
                    const EntityId& target);

// Everything the gate looks at. Texts are for the reasons.
struct GateInput {
    ModeAnswer mode;
    schemas::Confidence confidence;
    double confidence_min = 1;
    bool path_found = false;  // From the cause to every alert that still fires.
    std::string path;
    schemas::Risk risk = schemas::Risk::kIrreversible;
    std::int64_t actions_last_hour = 0;  // Already asked for, in the whole domain
    std::int64_t actions_planned = 1;
    std::int64_t actions_per_hour_max = 0;
    std::string cooldown;  // Empty, or why the target must rest
    std::string silence;   // Empty, or which silence covers the target
    EventClock::duration data_age{};
    std::chrono::seconds data_age_max{0};
    std::string data_missing;  // Empty, or which telemetry is absent
    std::string kill;          // Empty, or who switched it on and when
    bool symptoms_remain = true;
};

// All checks, always in the same order, each with its reason whether it passed or not:
// mode, confidence, causal_path, risk, blast_radius, cooldown, silence, data_fresh,
// kill_switch, symptoms.
std::vector<schemas::GateCheck> check_gate(const GateInput& input);

// What the gate lets happen.
enum class Permission : std::uint8_t {
    kRecord,   // Shadow: say what would have been done.
    kShow,     // Suggest: show the plan, nothing can be approved.
    kAsk,      // A person must approve.
    kAct,      // Autonomous, and every check passed.
    kBlocked,  // A check that no approval can overrule failed.
};

// Autonomous falls back to asking when only checks fail that a person's judgement replaces:
// confidence, causal_path and risk.
Permission permission(schemas::Mode mode, const std::vector<schemas::GateCheck>& checks);

// "kill_switch (switched on by ann), cooldown (…)": the failed checks that block even an
// approved plan; "" when there are none.
std::string blocking(const std::vector<schemas::GateCheck>& checks);

// "mode=passed: …; confidence=failed: …": one line for the audit.
std::string to_line(const std::vector<schemas::GateCheck>& checks);

}  // namespace vigie::agent
