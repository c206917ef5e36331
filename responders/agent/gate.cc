#include "responders/agent/gate.h"

#include <algorithm>

#include <fmt/format.h>

#include "responders/agent/text.h"

namespace vigie::agent {

using schemas::GateCheck;
using schemas::Mode;
using schemas::Risk;

namespace {

GateCheck mode_check(const GateInput& input) {
    return {"mode", input.mode.mode >= Mode::kApprove,
            fmt::format("{}: {}", schemas::to_string(input.mode.mode), input.mode.reason)};
}

GateCheck confidence_check(const GateInput& input) {
    const auto& confidence = input.confidence;
    const auto shown = schemas::to_string(confidence);
    if (!confidence.calibrated) {
        return {"confidence", false,
                fmt::format("{}: autonomous is refused until it is calibrated", shown)};
    }
    const bool enough = confidence.value >= input.confidence_min;
    return {"confidence", enough,
            fmt::format("{}, {} the minimum {}", shown, enough ? "not below" : "below",
                        number(input.confidence_min))};
}

GateCheck risk_check(const GateInput& input) {
    return {"risk", input.risk != Risk::kIrreversible,
            fmt::format("the plan is {}", schemas::to_string(input.risk))};
}

GateCheck budget_check(const GateInput& input) {
    const bool left = input.actions_last_hour + input.actions_planned <= input.actions_per_hour_max;
    return {
        "blast_radius", left,
        fmt::format("{} of {} actions used in the last hour, {} more asked for",
                    input.actions_last_hour, input.actions_per_hour_max, input.actions_planned)};
}

GateCheck fresh_check(const GateInput& input) {
    if (!input.data_missing.empty()) return {"data_fresh", false, input.data_missing};
    const bool fresh = input.data_age <= input.data_age_max;
    return {"data_fresh", fresh,
            fmt::format("the newest data is {} old, at most {} is allowed",
                        age_text(input.data_age), age_text(input.data_age_max))};
}

// Passed when `problem` is empty.
GateCheck absent(std::string_view name, const std::string& problem, std::string_view fine) {
    return {std::string(name), problem.empty(), problem.empty() ? std::string(fine) : problem};
}

// Checks that a person's judgement replaces; the others hold for everyone.
bool is_judgement(const GateCheck& check) {
    return check.name == "confidence" || check.name == "causal_path" || check.name == "risk";
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
    if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == text;
}

ModeAnswer mode_for(const std::vector<schemas::ModeRule>& rules,
                    const std::vector<ModeDecision>& decisions, std::string_view action,
                    const EntityId& target) {
    const ModeDecision* latest = nullptr;
    for (const auto& decision : decisions) {
        if (!matches(decision.scope, action) && !matches(decision.scope, target.value)) continue;
        if (latest == nullptr || decision.sequence > latest->sequence) latest = &decision;
    }
    if (latest != nullptr) {
        return {latest->mode, fmt::format("{} set it for {}", clean(latest->actor, kNameBytesMax),
                                          clean(latest->scope, kNameBytesMax))};
    }
    for (const auto& rule : rules) {
        if (!matches(rule.action, action) || !matches(rule.target, target.value)) continue;
        return {rule.mode, fmt::format("the rule for {} on {}", rule.action, rule.target)};
    }
    return {Mode::kShadow, "no rule matches, so the default"};
}

std::vector<GateCheck> check_gate(const GateInput& input) {
    return {
        mode_check(input),
        confidence_check(input),
        {"causal_path", input.path_found, input.path},
        risk_check(input),
        budget_check(input),
        absent("cooldown", input.cooldown, "the target was not acted on recently"),
        absent("silence", input.silence, "no silence or maintenance covers the target"),
        fresh_check(input),
        absent("kill_switch", input.kill, "off, as last known"),
        {"symptoms", input.symptoms_remain,
         input.symptoms_remain ? "at least one symptom still fires"
                               : "every symptom has cleared: there is nothing left to fix"},
    };
}

std::string blocking(const std::vector<GateCheck>& checks) {
    std::string out;
    for (const auto& check : checks) {
        if (check.passed || is_judgement(check)) continue;
        out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", check.name, check.reason);
    }
    return out;
}

Permission permission(Mode mode, const std::vector<GateCheck>& checks) {
    if (mode == Mode::kShadow) return Permission::kRecord;
    if (mode == Mode::kSuggest) return Permission::kShow;
    if (!blocking(checks).empty()) return Permission::kBlocked;
    const bool all = std::all_of(checks.begin(), checks.end(),
                                 [](const GateCheck& check) { return check.passed; });
    return mode == Mode::kAutonomous && all ? Permission::kAct : Permission::kAsk;
}

std::string to_line(const std::vector<GateCheck>& checks) {
    std::string out;
    for (const auto& check : checks) {
        out += fmt::format("{}{}={}: {}", out.empty() ? "" : "; ", check.name,
                           check.passed ? "passed" : "failed", check.reason);
    }
    return out;
}

}  // namespace vigie::agent
