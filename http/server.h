#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "http/message.h"
#include "http/router.h"

namespace vigie::http {

struct TlsFiles {
    std::string certificate_file;  // PEM, the chain
    std::string key_file;          // PEM
};

// Whether a server could start with them now: kInvalid names the file and what is wrong.
Status check_tls(const TlsFiles& files);

// One WebSocket connection of a client. Safe to use from any thread while the shared pointer is
// held.
class WebSocket {
public:
    WebSocket() = default;
    WebSocket(const WebSocket&) = delete;
    WebSocket& operator=(const WebSocket&) = delete;
    virtual ~WebSocket() = default;

    // Queues a text message. False when the connection is closed, or was closed just now
    // because its queue of 256 messages was full: a client too slow comes back and reads again.
    virtual bool send(std::string text) = 0;
};
// Called on a server thread when a client has upgraded. Messages from clients are ignored. A page
// of another origin cannot upgrade: it is answered 403.
using WebSocketHandler = std::function<void(std::shared_ptr<WebSocket>)>;

// What one connection of HTTP/2 may ask for (RFC 9113 leaves it to the server). Frames that cost
// more to answer than to send (CVE-2023-44487, pings and settings without end) are counted over
// `flood_span`; more of them end the connection with ENHANCE_YOUR_CALM.
struct Http2Bounds {
    std::uint32_t streams_max = 100;           // Requests at once
    std::uint32_t window_bytes = 1024 * 1024;  // Of a body, before it was looked at
    std::size_t resets_max = 200;
    std::size_t control_frames_max = 1000;
    std::chrono::seconds flood_span{10};
};

// HTTP/1.1 on one address, with or without TLS (1.2 and later), and HTTP/2 beside it if wanted.
// Every limit is answered with its status: 413 body, 431 headers, 408 a request that does not
// arrive in time, 503 with Retry-After when connections_max is reached. Chunked requests and
// keep-alive are understood, Expect: 100-continue too.
class Server {
public:
    struct Options {
        std::string name{};                 // Label of metrics: "api"
        std::string address = "127.0.0.1";  // IPv4 or IPv6
        std::uint16_t port = 0;             // 0: a free one, see port()
        std::optional<TlsFiles> tls{};
        std::size_t body_bytes_max = 16 * 1024 * 1024;
        std::size_t header_bytes_max = 32 * 1024;  // 1 KiB to 60 KiB
        std::chrono::seconds request_timeout{30};  // To receive one request completely
        std::chrono::seconds idle_timeout{120};    // Between requests, and to take one answer
        std::size_t connections_max = 4096;
        // A connection that begins with the preface of HTTP/2 speaks it; with TLS it is offered
        // (ALPN). The deadline of a gRPC call is kept.
        bool http2 = false;
        Http2Bounds http2_bounds{};
        unsigned threads = 2;
        // Which Host headers are answered; others get 403. Unset: all.
        std::function<bool(std::string_view host)> host_allowed{};
        std::string websocket_path{};  // Empty: no WebSocket
        // A WebSocket client that does not even answer pings for so long is closed.
        std::chrono::seconds websocket_silence_max{60};
        WebSocketHandler on_websocket{};
    };

    // kConflict when the address is in use, kInvalid for an address, certificate, key or option
    // that cannot be used; the message names it. kUnavailable when the machine gives no sockets
    // or threads. `router`, `metrics` and `log` must outlive the server; a Respond kept longer
    // does nothing.
    static Result<std::unique_ptr<Server>> start(Options options, const Router& router,
                                                 MetricsRegistry& metrics, Log& log);
    virtual ~Server() = default;  // As drain(0).

    virtual std::uint16_t port() const = 0;

    // Stops accepting, lets running requests be answered (with Connection: close) for at most
    // `wait_max`, then closes everything and joins the threads. Idle connections are closed at
    // once. Not from a handler: it would wait for itself.
    virtual void drain(std::chrono::milliseconds wait_max) = 0;
};

}  // namespace vigie::http
