#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "http/server.h"

namespace vigie::http {

// Takes messages that come as datagrams over UDP and as a stream over TCP, with or without TLS,
// framed as syslog is (http/frames.h). Nothing is read from a connection while its last messages
// are not taken, so a sender with TCP is slowed down and keeps what it has; of UDP more than
// `datagrams_waiting_max` are dropped and counted.
class FrameServer {
public:
    struct Address {
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;  // 0: a free one
    };
    struct Options {
        std::string name{};  // Label of metrics: "syslog"
        std::optional<Address> udp{};
        std::optional<Address> tcp{};
        std::optional<Address> tls{};
        std::optional<TlsFiles> tls_files{};
        std::size_t frame_bytes_max = 64 * 1024;
        std::size_t connections_max = 1024;
        std::size_t datagrams_waiting_max = 10'000;
        // A message that began must be complete within this, a TLS handshake too.
        std::chrono::seconds frame_timeout{30};
        std::chrono::milliseconds retry_wait{500};
    };

    // Takes messages of one sender ("192.0.2.7:514") and calls `done` once, from any thread: true
    // when they are durable, false to offer them again after a while.
    using Done = std::function<void(bool taken)>;
    using Deliver =
        std::function<void(std::vector<std::string> frames, std::string remote, Done done)>;

    // Errors as those of Server::start. `metrics` and `log` must outlive it.
    static Result<std::unique_ptr<FrameServer>> open(Options options, Deliver deliver,
                                                     MetricsRegistry& metrics, Log& log);

    FrameServer() = default;
    FrameServer(const FrameServer&) = delete;
    FrameServer& operator=(const FrameServer&) = delete;
    virtual ~FrameServer() = default;

    // Serves on the calling thread until `stop` is requested, then closes everything.
    virtual void run(const std::stop_token& stop) = 0;

    // 0 when not asked for.
    virtual std::uint16_t udp_port() const = 0;
    virtual std::uint16_t tcp_port() const = 0;
    virtual std::uint16_t tls_port() const = 0;
};

}  // namespace vigie::http
