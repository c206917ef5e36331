#pragma once

#include "core/metrics.h"

// What the console tells about itself. Label `topic` is one of those that it follows.
namespace vigie::console::metrics {

inline constexpr MetricName kRecords{"vigie_console_view_records_total",
                                     "Records read into the views, by topic."};
inline constexpr MetricName kUnreadable{"vigie_console_unreadable_records_total",
                                        "Records that are not what their topic holds, by topic."};
inline constexpr MetricName kReadsFailed{"vigie_console_reads_failed_total",
                                         "Reads that the bus did not answer, by topic."};
inline constexpr MetricName kIncidents{"vigie_console_view_incidents", "Incidents in the view."};
inline constexpr MetricName kEvicted{
    "vigie_console_evicted_entries_total",
    "Incidents and audit entries forgotten because the view is full, by topic."};
inline constexpr MetricName kAlerts{"vigie_console_alerts",
                                    "Alerts that Alertmanager's API shows as firing."};
inline constexpr MetricName kAlertsRefused{"vigie_console_refused_alerts_total",
                                           "Alerts that Alertmanager's API does not show because "
                                           "there are too many; incidents have them."};
inline constexpr MetricName kDecisions{"vigie_console_decisions_total",
                                       "Decisions made durable, by kind."};
inline constexpr MetricName kDecisionsRefused{"vigie_console_refused_decisions_total",
                                              "Decisions refused, by status."};
inline constexpr MetricName kStreams{"vigie_console_streams",
                                     "WebSocket clients when it was last looked."};
inline constexpr MetricName kStreamsDropped{
    "vigie_console_dropped_streams_total",
    "WebSocket clients that were too slow, left, or came when there were too many."};

}  // namespace vigie::console::metrics
