#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/system_clock.h"

namespace vigie::http::test {

// A TCP connection that sends exactly the bytes it is told to, which no well-behaved client does.
// Every wait has a limit, so a server that never answers fails a test instead of hanging it.
class RawClient {
public:
    explicit RawClient(std::uint16_t port);
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    ~RawClient() { close(); }

    bool connected() const { return fd_ >= 0; }
    bool send(std::string_view bytes);  // False when the peer has gone or takes no more.
    void shrink_receive_buffer();

    // One response with a Content-Length, headers and body; what follows stays for the next
    // call. "" when the connection ended before.
    std::string read_response(bool has_body = true);
    std::string read_exactly(std::size_t bytes);
    // Everything until the peer closes; `closed` tells whether it did within the limit.
    std::string read_to_end();
    bool closed() const { return closed_; }
    void close();

private:
    bool fill();  // Reads something into buffer_. False at the end or after the limit.

    int fd_ = -1;
    bool closed_ = false;
    std::string buffer_;
};

// A TCP port that accepts and then stays silent, or does not even accept.
class SilentListener {
public:
    SilentListener();
    SilentListener(const SilentListener&) = delete;
    SilentListener& operator=(const SilentListener&) = delete;
    ~SilentListener();

    std::uint16_t port() const { return port_; }
    // Waits for a connection, reads `bytes` of its request, answers `reply`, and closes it.
    std::string serve_once(std::string_view reply, std::size_t bytes = 1);

private:
    int fd_ = -1;
    std::uint16_t port_ = 0;
};

// Calls `condition` until it is true. False after ten seconds.
template <class Condition>
bool eventually(Condition condition) {
    const SystemClock clock;
    const auto end = clock.steady() + std::chrono::seconds{10};
    while (!condition()) {
        if (clock.steady() > end) return false;
        sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

}  // namespace vigie::http::test
