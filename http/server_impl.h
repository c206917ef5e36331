#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/system_clock.h"
#include "http/metrics.h"
#include "http/server.h"
#include "http/stream.h"

namespace vigie::http {

// One open connection, as the server sees it.
class Session {
public:
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default;

    virtual Strand strand() = 0;
    // Both on the strand. begin_drain: close when idle, else after the running answer.
    virtual void begin_drain() = 0;
    virtual void abort() = 0;
};

class ServerCore;

// A session that answers requests by their stream; HTTP/1.1 has one at a time, number 0.
class AnsweringSession : public Session {
public:
    // On the strand. Without a response the handler lost the request.
    virtual void answer(std::int32_t stream, std::optional<Response> response) = 0;
};

// The one answer of one request: the first call counts, and when all copies are gone without one,
// the session is told so.
Respond make_respond(std::shared_ptr<ServerCore> core, std::weak_ptr<AnsweringSession> session,
                     std::int32_t stream);

// False for a status or header that must not be sent: a value from outside with a line break in it
// would let the outside write headers.
bool is_valid(const Response& response);

// What all connections of a server share. Owned together by the server and its sessions, so that
// an answer that comes late finds an io_context that still exists. All members may be used
// from any thread.
class ServerCore {
public:
    ServerCore(Server::Options options_in, const Router& router_in, MetricsRegistry& metrics,
               Log& log_in);

    // Keeps `session` alive until remove(). False, and the session is not kept, while draining.
    bool add(const std::shared_ptr<Session>& session);
    void remove(const std::shared_ptr<Session>& session);
    std::size_t session_count() const;

    // Runs `work` on the strand; after stop() it is dropped instead, because nobody would run
    // it and what it holds would keep this object alive for ever.
    template <class Work>
    void post(const Strand& strand, Work work) {
        const std::scoped_lock lock(mutex_);
        if (!stopped_) net::post(strand, std::move(work));
    }

    bool draining() const { return draining_.load(); }
    void begin_drain();
    void abort_all();
    // True when no session is left. Without `wait_max` it waits as long as it takes.
    bool wait_empty(std::optional<std::chrono::milliseconds> wait_max);
    void stop();

    void count_request(int status) { requests_[static_cast<std::size_t>(status / 100)]->add(); }
    void count_refused(std::string_view reason);
    void count_accept_failure();
    Histogram& request_seconds() { return request_seconds_; }

    // Constant after construction, except `tls`, which is set before the first connection.
    const Server::Options options;
    const Router& router;
    Log& log;
    const SystemClock clock;
    std::optional<net::ssl::context> tls;
    net::io_context io;

private:
    std::vector<std::shared_ptr<Session>> sessions() const;

    MetricsRegistry& metrics_;
    std::array<Counter*, 6> requests_{};  // By class of status; the first is not used.
    Histogram& request_seconds_;
    Gauge& connections_;
    std::atomic<bool> draining_{false};
    mutable std::mutex mutex_;  // Protects everything below.
    std::condition_variable empty_;
    std::unordered_set<std::shared_ptr<Session>> sessions_;
    bool stopped_ = false;
};

// Takes over an accepted socket. With `refuse` the first request is answered 503, whatever it is.
void start_connection(const std::shared_ptr<ServerCore>& core, Socket socket, bool refuse);

// The same with a socket of any kind; `remote` is what requests say of their sender.
void start_connection(const std::shared_ptr<ServerCore>& core, Socket socket, bool refuse,
                      std::string remote);

}  // namespace vigie::http
