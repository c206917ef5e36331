#pragma once

#include "core/metrics.h"

namespace vigie::http {

// Labels: server (Server::Options::name); code is the class of the status, "2xx".
inline constexpr MetricName kRequestsTotal{"vigie_http_requests_total",
                                           "Requests answered, by class of status."};
inline constexpr MetricName kRequestSeconds{
    "vigie_http_request_seconds", "Time from a request received completely to its answer written."};
inline constexpr MetricName kConnections{"vigie_http_connections", "Connections open now."};
// reason: body_too_large, headers_too_large, timeout, malformed, connections_max, origin,
// tls_handshake, h2_flood, connection_bytes, deadline, host, websocket_slow, answer_lost,
// answer_invalid.
inline constexpr MetricName kRefusedTotal{"vigie_http_refused_total",
                                          "Requests and connections that were refused, by reason."};
inline constexpr MetricName kFramesTotal{"vigie_http_frames_total",
                                         "Messages of streams and datagrams that were taken."};
inline constexpr MetricName kFramesCut{"vigie_http_cut_frames_total",
                                       "Messages of streams that were too long, and cut."};
inline constexpr MetricName kFramesDropped{"vigie_http_dropped_frames_total",
                                           "Datagrams that could not be taken, by reason."};
inline constexpr MetricName kAcceptFailuresTotal{"vigie_http_accept_failures_total",
                                                 "Connections the machine could not accept."};

}  // namespace vigie::http
