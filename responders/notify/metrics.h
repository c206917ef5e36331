#pragma once

#include "core/metrics.h"

// Every number the notifier tells about itself.
namespace vigie::notify::metric {

inline constexpr MetricName kDeliveries{
    "vigie_notify_deliveries_total",
    "Tries to send a notice, by channel and result (delivered, retry, rejected)."};
inline constexpr MetricName kPending{"vigie_notify_pending_items",
                                     "Notices not yet delivered on every channel they go to."};
inline constexpr MetricName kLost{
    "vigie_notify_lost_total",
    "Notices that no channel took, by kind; above zero a person must look."};
inline constexpr MetricName kDropped{
    "vigie_notify_dropped_total",
    "Notices dropped because too many were pending, by kind; updates go first."};
inline constexpr MetricName kFallbacks{
    "vigie_notify_fallbacks_total",
    "Pages and approvals sent on another channel because theirs failed, by channel."};
inline constexpr MetricName kPoolFull{
    "vigie_notify_pool_full_total", "Sends put off to the next tick because the pool had no room."};

}  // namespace vigie::notify::metric
