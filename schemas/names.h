#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "schemas/events.h"

// The names of enumerators in JSON, in the order of the enumerators. Only for schemas/*.cc;
// everyone else uses to_string and parse_….
namespace vigie::schemas::detail {

using std::string_view;

template <class Enum>
inline constexpr std::array<string_view, 0> kNames{};

template <>
inline constexpr auto kNames<Severity> =
    std::to_array<string_view>({"info", "warning", "critical"});
template <>
inline constexpr auto kNames<Symptom> = std::to_array<string_view>(
    {"latency", "errors", "traffic", "saturation", "absence", "log_pattern", "other"});
template <>
inline constexpr auto kNames<Ended> = std::to_array<string_view>({"calm", "silent", "adapted"});
template <>
inline constexpr auto kNames<ChangeKind> = std::to_array<string_view>(
    {"commit", "build", "test_run", "deployment", "configuration", "scaling", "topology"});
template <>
inline constexpr auto kNames<DecisionKind> = std::to_array<string_view>(
    {"ack", "approve", "reject", "verdict", "silence", "mode", "kill", "resolve"});
template <>
inline constexpr auto kNames<ActionPhase> = std::to_array<string_view>({"inspect", "execute"});
template <>
inline constexpr auto kNames<ActionStatus> = std::to_array<string_view>(
    {"intended", "started", "succeeded", "failed", "refused", "in_doubt"});
template <>
inline constexpr auto kNames<IncidentState> =
    std::to_array<string_view>({"open", "diagnosing", "acting", "awaiting_approval", "escalated",
                                "verifying", "resolved", "reviewed", "suppressed", "reopened"});
template <>
inline constexpr auto kNames<Mechanism> = std::to_array<string_view>(
    {"bad_change", "resource_exhaustion", "crash", "overload", "unknown"});
template <>
inline constexpr auto kNames<Mode> =
    std::to_array<string_view>({"shadow", "suggest", "approve", "autonomous"});
template <>
inline constexpr auto kNames<Risk> =
    std::to_array<string_view>({"read", "reversible", "compensable", "irreversible"});

template <class Enum>
string_view name_of(Enum value) {
    const auto index = static_cast<std::size_t>(value);
    VIGIE_ASSERT(index < kNames<Enum>.size());
    return kNames<Enum>[index];
}

template <class Enum>
std::optional<Enum> parse_name(string_view text) {
    for (std::size_t i = 0; i < kNames<Enum>.size(); ++i) {
        if (kNames<Enum>[i] == text) return static_cast<Enum>(i);
    }
    return std::nullopt;
}

}  // namespace vigie::schemas::detail
