#pragma once

#include "core/metrics.h"

// Every number the Kafka bus tells about itself.
namespace vigie::streams::kafka::metrics {

inline constexpr MetricName kRecords{"vigie_streams_kafka_records_total",
                                     "Records that appends made durable on Kafka."};
inline constexpr MetricName kTransactionSeconds{
    "vigie_streams_kafka_transaction_seconds",
    "Time of one transaction. Label of: append, or the group whose step it was."};
// Labels `of` and `kind`: the error kind.
inline constexpr MetricName kTransactionsFailed{"vigie_streams_kafka_transactions_failed_total",
                                                "Transactions that did not commit."};
inline constexpr MetricName kQueueRecords{"vigie_streams_kafka_queue_records",
                                          "Records waiting for a transaction of appends."};
inline constexpr MetricName kRefused{"vigie_streams_kafka_refused_total",
                                     "Appends refused because a limit was reached."};
// These two: label `group`.
inline constexpr MetricName kRestored{"vigie_streams_kafka_restored_records_total",
                                      "Changelog records read to restore state."};
inline constexpr MetricName kRestoreLeft{
    "vigie_streams_kafka_restore_left_records",
    "Offsets of the changelog still to be read before the partitions being assigned start."};
// These three: label `group`.
inline constexpr MetricName kStandbyRecords{
    "vigie_streams_kafka_standby_records_total",
    "Changelog records read for the copies of state that other members own."};
inline constexpr MetricName kStandbyBehind{
    "vigie_streams_kafka_standby_behind_records",
    "Offsets of the changelog that those copies lacked when they were last looked at."};
inline constexpr MetricName kStandbyFailures{
    "vigie_streams_kafka_standby_failures_total",
    "Times that those copies could not be brought up to date."};
// Labels `group` and `why`: missing, damaged, other_cluster, old, beyond.
inline constexpr MetricName kCheckpointsUnused{
    "vigie_streams_kafka_checkpoints_unused_total",
    "Partitions whose state had no checkpoint to be trusted, and was read from the whole "
    "changelog."};
// These three: label `group`.
inline constexpr MetricName kBulkWritten{
    "vigie_streams_kafka_bulk_written_bytes_total",
    "Bytes of snapshots of bulk state that were too large for the changelog."};
inline constexpr MetricName kBulkFailed{
    "vigie_streams_kafka_bulk_failures_total",
    "Snapshots of bulk state that Kafka or the state folder did not take: the other has them."};
inline constexpr MetricName kBulkRead{
    "vigie_streams_kafka_bulk_read_bytes_total",
    "Bytes of such snapshots that were read because no file of this machine had them."};
// These two: label `group`.
inline constexpr MetricName kAbandoned{
    "vigie_streams_kafka_consumers_abandoned_total",
    "Members that could not leave their group, mostly because no broker answered, and whose memory "
    "and threads stay until the process ends: librdkafka would crash or hang freeing them."};
inline constexpr MetricName kRemoved{
    "vigie_streams_kafka_positions_reset_total",
    "Times that retention had removed the records at a group's position."};

}  // namespace vigie::streams::kafka::metrics
