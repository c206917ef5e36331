#pragma once

#include "core/metrics.h"

// Every number streams/ tells about itself. All carry the label `stage`.
namespace vigie::streams::metrics {

inline constexpr MetricName kRecordsIn{"vigie_streams_records_in_total",
                                       "Records given to a stage's processor."};
inline constexpr MetricName kRecordsOut{"vigie_streams_records_out_total",
                                        "Records a stage made durable."};
inline constexpr MetricName kRecordsLate{"vigie_streams_records_late_total",
                                         "Records older than the watermark of their partition."};
inline constexpr MetricName kRecordsSkipped{
    "vigie_streams_records_skipped_total",
    "Records that retention removed before the stage had read them."};
inline constexpr MetricName kDeadLetters{"vigie_streams_dead_letters_total",
                                         "Records and timers a stage refused as invalid."};
// Label `kind`: the error kind.
inline constexpr MetricName kStepsFailed{"vigie_streams_steps_failed_total",
                                         "Steps that ended in an error and are tried again."};
inline constexpr MetricName kFenced{"vigie_streams_steps_fenced_total",
                                    "Steps dropped because the partition had moved on."};
inline constexpr MetricName kTimersFired{"vigie_streams_timers_fired_total",
                                         "Event-time timers given to a stage's processor."};
inline constexpr MetricName kTimersDeferred{
    "vigie_streams_timers_deferred_total",
    "Times that more timers were due before one record than may fire; the rest fire later."};
inline constexpr MetricName kSnapshots{"vigie_streams_snapshots_total",
                                       "Snapshots of bulk state made durable."};
inline constexpr MetricName kSnapshotBytes{"vigie_streams_snapshot_bytes",
                                           "Size of the last snapshot of bulk state."};
inline constexpr MetricName kStepSeconds{"vigie_streams_step_seconds",
                                         "Time to process and commit one batch of a partition."};
// Also labelled `partition`.
inline constexpr MetricName kEventLagSeconds{"vigie_streams_event_lag_seconds",
                                             "Wall time minus the event time of the last record."};
inline constexpr MetricName kInputLag{"vigie_streams_input_lag_records",
                                      "Records on the input partition not yet processed."};

}  // namespace vigie::streams::metrics
