#pragma once

#include "core/metrics.h"

// Every number the actions tell about themselves.
namespace vigie::actions::metric {

inline constexpr MetricName kPoolQueue{"vigie_actions_pool_queue_items",
                                       "Work that waits for a thread of the action pool."};
inline constexpr MetricName kPoolRejected{"vigie_actions_pool_rejected_total",
                                          "Work refused because the action pool's queue was full."};
inline constexpr MetricName kOutcomes{
    "vigie_actions_outcomes_total",
    "Actions that ended, by phase and status (succeeded, failed, refused, in_doubt)."};
inline constexpr MetricName kCallSeconds{"vigie_actions_call_seconds",
                                         "How long the calls of one action took, by phase."};
inline constexpr MetricName kKillSwitchRefusals{
    "vigie_actions_kill_switch_refusals_total",
    "Actions refused because the kill switch was on or could not be read."};
inline constexpr MetricName kPublishFailures{
    "vigie_actions_publish_failures_total",
    "Outcomes that could not be put on the log at the first try; they are tried again."};
inline constexpr MetricName kDuplicates{"vigie_actions_duplicates_total",
                                        "Intents ignored because their action was known already."};
inline constexpr MetricName kIgnored{
    "vigie_actions_events_ignored_total",
    "Action events that fit no row of the executor, by status; they change nothing."};
inline constexpr MetricName kOrphans{
    "vigie_actions_orphans_total",
    "Actions found started by another process without an outcome, by phase."};
inline constexpr MetricName kRows{"vigie_actions_running_items",
                                  "Actions that are started and have no outcome yet."};
inline constexpr MetricName kRowsFull{
    "vigie_actions_rows_full_total",
    "Intents refused because too many actions were running already."};
inline constexpr MetricName kFinishedForgotten{
    "vigie_actions_finished_forgotten_total",
    "Finished action ids forgotten because of their age or their number, by reason."};

}  // namespace vigie::actions::metric
