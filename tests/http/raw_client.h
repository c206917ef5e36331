#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
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
    int descriptor() const { return fd_; }
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

// A TCP port behind which nothing answers, except what serve_once() is told to say.
class SilentListener {
public:
    // With `backlog` 0 the second connection that nobody accepts is not even established.
    explicit SilentListener(int backlog = 16);
    SilentListener(const SilentListener&) = delete;
    SilentListener& operator=(const SilentListener&) = delete;
    ~SilentListener();

    std::uint16_t port() const { return port_; }
    // Waits for a connection, reads until the end of the headers, answers `reply`, and closes.
    // Returns what it read.
    std::string serve_once(std::string_view reply);
    // Waits for a connection and its request, then calls `next`, then waits for the peer to leave.
    void read_request_then(const std::function<void()>& next);
    // Waits for a request and sends one byte of a long answer now and then, until `done`.
    void serve_slowly(const std::atomic<bool>& done);

private:
    int accept_request(std::string& request);  // -1 when nobody came

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
