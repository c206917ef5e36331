#pragma once

#include "core/metrics.h"

// Every number the embedded log tells about itself.
namespace vigie::streams::rocks::metrics {

inline constexpr MetricName kRecords{"vigie_streams_log_records_total",
                                     "Records made durable on the embedded log."};
inline constexpr MetricName kBytes{"vigie_streams_log_bytes_total",
                                   "Bytes of records made durable on the embedded log."};
inline constexpr MetricName kWriteSeconds{"vigie_streams_log_write_seconds",
                                          "Time of one group commit of the embedded log."};
inline constexpr MetricName kWriteFailed{"vigie_streams_log_writes_failed_total",
                                         "Group commits that the disk did not take."};
inline constexpr MetricName kQueueRecords{"vigie_streams_log_queue_records",
                                          "Records waiting for a group commit."};
// Label `reason`: queue_full, disk_full.
inline constexpr MetricName kRefused{"vigie_streams_log_refused_total",
                                     "Appends and steps refused because a limit was reached."};
inline constexpr MetricName kFiles{"vigie_streams_log_files",
                                   "Files that hold the embedded log's records."};
inline constexpr MetricName kCompacted{
    "vigie_streams_log_compactions_total",
    "Times that a partition of a compacted topic was rid of replaced records."};
// Label `of`: merge, compaction.
inline constexpr MetricName kMaintenanceFailed{
    "vigie_streams_log_maintenance_failed_total",
    "Times that small files were not merged, or a partition was not compacted."};
inline constexpr MetricName kMended{
    "vigie_streams_log_mended_total",
    "Times that a power cut had left RocksDB's list of files half written, and its last record, "
    "which counted for nothing yet, was cut off and kept in torn-MANIFEST-…."};
inline constexpr MetricName kExpired{"vigie_streams_log_records_expired_total",
                                     "Records removed by retention."};

}  // namespace vigie::streams::rocks::metrics
