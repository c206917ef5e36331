#pragma once

#include "core/metrics.h"

namespace vigie::app {

inline constexpr MetricName kHeartbeatsMissing{"vigie_app_missing_heartbeats_total",
                                               "Heartbeats that fell silent."};
inline constexpr MetricName kHeartbeatsRefused{
    "vigie_app_refused_heartbeats_total",
    "Heartbeats of new names that were not taken because there are too many."};
inline constexpr MetricName kForeignRecords{
    "vigie_app_foreign_records_total", "Records of foreign topics that became ours, by topic."};
inline constexpr MetricName kForeignIgnored{
    "vigie_app_ignored_foreign_records_total",
    "Records of foreign topics that no rule names, by topic."};
inline constexpr MetricName kSequencerDuplicates{
    "vigie_app_sequencer_duplicates_total", "Events dropped because their id was seen before."};
inline constexpr MetricName kDetectItems{
    "vigie_app_detect_items_total", "Points, log records and spans given to detectors, by stage."};
inline constexpr MetricName kDetectOverflowed{
    "vigie_app_detect_overflowed_samples_total",
    "Samples of new series for which the table of series had no room: they count for the overflow "
    "series of their metric."};
inline constexpr MetricName kAnomalies{"vigie_app_anomalies_total",
                                       "Anomalies reported, by symptom and whether firing."};
inline constexpr MetricName kIncidentTransitions{"vigie_app_incident_transitions_total",
                                                 "Incident transitions, by new state."};
inline constexpr MetricName kDecisionSeconds{
    "vigie_app_decision_lag_seconds",
    "From the time of a signal to the moment at which the agent handles it, by the clock."};
inline constexpr MetricName kReloads{"vigie_app_reloads_total",
                                     "Configuration reloads, by result."};
inline constexpr MetricName kKillSwitchOn{
    "vigie_app_kill_switch_on", "1 while no action is allowed, also when that cannot be told."};
inline constexpr MetricName kPublishRetries{"vigie_app_publish_retries_total",
                                            "Outcomes of actions that had to be appended again."};

}  // namespace vigie::app
