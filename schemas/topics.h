#pragma once

#include <array>
#include <string_view>

// Every topic name, once. docs/architecture.md says what is on them and how long it is kept.
namespace vigie::schemas::topics {

inline constexpr std::string_view kMetrics = "vigie.metrics";
inline constexpr std::string_view kLogs = "vigie.logs";
inline constexpr std::string_view kSpans = "vigie.spans";
inline constexpr std::string_view kChanges = "vigie.changes";
inline constexpr std::string_view kAlerts = "vigie.alerts";
inline constexpr std::string_view kAnomalies = "vigie.anomalies";
inline constexpr std::string_view kForecasts = "vigie.forecasts";
inline constexpr std::string_view kDecisions = "vigie.decisions";
inline constexpr std::string_view kSignals = "vigie.signals";
inline constexpr std::string_view kIncidents = "vigie.incidents";
inline constexpr std::string_view kActions = "vigie.actions";
inline constexpr std::string_view kAudit = "vigie.audit";
inline constexpr std::string_view kDeadLetter = "vigie.deadletter";
inline constexpr std::string_view kHeartbeats = "vigie.heartbeats";

inline constexpr std::array kAll{kMetrics,   kLogs,      kSpans,      kChanges,   kAlerts,
                                 kAnomalies, kForecasts, kDecisions,  kSignals,   kIncidents,
                                 kActions,   kAudit,     kDeadLetter, kHeartbeats};

// Header names.
inline constexpr std::string_view kHeaderContentType = "content-type";
inline constexpr std::string_view kHeaderContentEncoding = "content-encoding";
inline constexpr std::string_view kHeaderKind = "kind";  // "tick" on punctuation records
inline constexpr std::string_view kKindTick = "tick";
// On vigie.metrics: an event that detectors must know beside the samples.
inline constexpr std::string_view kKindContext = "context";
// The id of an alert or change that ingest made, keyed by its domain: who only passes it on need
// not read it.
inline constexpr std::string_view kHeaderEventId = "event-id";
inline constexpr std::string_view kHeaderReason = "reason";  // On dead letters
inline constexpr std::string_view kHeaderOrigin =
    "origin";  // On dead letters and signals: topic/partition@offset or the way in

}  // namespace vigie::schemas::topics
