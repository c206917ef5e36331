#include "http/server.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <thread>

#include "http/server_impl.h"
#include "http/tls.h"

namespace vigie::http {
namespace {

using Acceptor = net::basic_socket_acceptor<net::ip::tcp, Strand>;

// Above connections_max so many more are let in, to be told 503; the rest is closed unheard.
constexpr std::size_t kRefusingMax = 64;
constexpr std::chrono::milliseconds kAcceptRetryWait{100};
constexpr std::size_t kHeaderBytesMin = 1024;
// What a client may send before it was told anything (RFC 9113, 6.9.2); nghttp2 takes twice the
// larger.
constexpr std::uint32_t kHttp2WindowMin = 65'535;
constexpr std::uint32_t kHttp2WindowMax = std::uint32_t{512} << 20U;
constexpr std::size_t kHeaderBytesMax = 60 * 1024;  // Beast counts headers in 16 bits.

class BeastServer final : public Server {
public:
    explicit BeastServer(std::shared_ptr<ServerCore> core)
        : core_(std::move(core)),
          guard_(net::make_work_guard(core_->io)),
          acceptor_(net::make_strand(core_->io)),
          retry_(acceptor_.get_executor()) {}
    ~BeastServer() override { shut(std::chrono::milliseconds{0}); }

    Status listen();
    void start_threads();
    std::uint16_t port() const override { return port_; }
    void drain(std::chrono::milliseconds wait_max) override { shut(wait_max); }

private:
    void accept();
    void on_accepted(error_code error, Socket socket);
    void shut(std::chrono::milliseconds wait_max);

    const std::shared_ptr<ServerCore> core_;
    std::uint16_t port_ = 0;  // Constant after listen().

    // Owned by whoever owns the server.
    net::executor_work_guard<net::io_context::executor_type> guard_;
    std::vector<std::jthread> threads_;
    bool drained_ = false;

    // Used on the acceptor's strand once the threads run.
    Acceptor acceptor_;
    Timer retry_;
};

Status BeastServer::listen() {
    const auto& options = core_->options;
    const auto where = fmt::format("listen on {} port {}", options.address, options.port);
    error_code error;
    const auto address = net::ip::make_address(options.address, error);
    if (error) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{}: the address is not an IP address", where));
    }
    const net::ip::tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(Acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(Acceptor::max_listen_connections, error);
    if (error == net::error::address_in_use) {
        return fail(ErrorKind::kConflict,
                    fmt::format("{}: another program uses it; stop it or choose another", where));
    }
    if (error) return fail(ErrorKind::kInvalid, fmt::format("{}: {}", where, error.message()));
    port_ = acceptor_.local_endpoint(error).port();
    return {};
}

void BeastServer::start_threads() {
    net::post(acceptor_.get_executor(), [this] { accept(); });
    for (unsigned i = 0; i < core_->options.threads; ++i) {
        threads_.emplace_back([core = core_] { core->io.run(); });
    }
}

void BeastServer::accept() {
    acceptor_.async_accept(net::make_strand(core_->io), [this](error_code error, Socket socket) {
        on_accepted(error, std::move(socket));
    });
}

void BeastServer::on_accepted(error_code error, Socket socket) {
    if (!acceptor_.is_open()) return;
    if (!error) {
        const auto open = core_->session_count();
        const auto connections_max = core_->options.connections_max;
        if (open < connections_max + kRefusingMax) {
            start_connection(core_, std::move(socket), open >= connections_max);
        } else {
            core_->count_refused("connections_max");
        }
        return accept();
    }
    // Most likely no file descriptor is left. Trying again at once would only burn the processor.
    core_->count_accept_failure();
    core_->log.warn("connection could not be accepted",
                    {{"server", core_->options.name}, {"error", error.message()}});
    retry_.expires_after(kAcceptRetryWait);
    retry_.async_wait([this](error_code cancelled) {
        if (!cancelled && acceptor_.is_open()) accept();
    });
}

void BeastServer::shut(std::chrono::milliseconds wait_max) {
    if (drained_) return;
    drained_ = true;
    // First, so that who can no longer connect knows that answers say "Connection: close".
    core_->begin_drain();
    net::post(acceptor_.get_executor(), [this] {
        error_code ignored;
        acceptor_.close(ignored);
        retry_.cancel();
    });
    const bool graceful = core_->wait_empty(wait_max);
    if (!graceful) {
        core_->log.warn("connections were closed before their requests were answered",
                        {{"server", core_->options.name},
                         {"count", fmt::format("{}", core_->session_count())}});
        core_->abort_all();
        core_->wait_empty(std::nullopt);
    }
    core_->stop();
    guard_.reset();
    threads_.clear();  // Joins: the io_context has no work left, so run() returns.
}

}  // namespace

ServerCore::ServerCore(Server::Options options_in, const Router& router_in,
                       MetricsRegistry& metrics, Log& log_in)
    : options(std::move(options_in)),
      router(router_in),
      log(log_in),
      io(static_cast<int>(options.threads)),
      metrics_(metrics),
      request_seconds_(metrics.histogram(kRequestSeconds, {{"server", options.name}})),
      connections_(metrics.gauge(kConnections, {{"server", options.name}})) {
    for (std::size_t i = 1; i < requests_.size(); ++i) {
        requests_[i] = &metrics.counter(
            kRequestsTotal, {{"server", options.name}, {"code", fmt::format("{}xx", i)}});
    }
}

bool ServerCore::add(const std::shared_ptr<Session>& session) {
    const std::scoped_lock lock(mutex_);
    if (draining_.load()) return false;
    sessions_.insert(session);
    connections_.set(static_cast<double>(sessions_.size()));
    return true;
}

void ServerCore::remove(const std::shared_ptr<Session>& session) {
    {
        const std::scoped_lock lock(mutex_);
        sessions_.erase(session);
        connections_.set(static_cast<double>(sessions_.size()));
        if (!sessions_.empty()) return;
    }
    empty_.notify_all();
}

std::size_t ServerCore::session_count() const {
    const std::scoped_lock lock(mutex_);
    return sessions_.size();
}

std::vector<std::shared_ptr<Session>> ServerCore::sessions() const {
    const std::scoped_lock lock(mutex_);
    return {sessions_.begin(), sessions_.end()};
}

void ServerCore::begin_drain() {
    {
        const std::scoped_lock lock(mutex_);
        draining_.store(true);
    }
    for (const auto& session : sessions()) {
        post(session->strand(), [session] { session->begin_drain(); });
    }
}

void ServerCore::abort_all() {
    for (const auto& session : sessions()) {
        post(session->strand(), [session] { session->abort(); });
    }
}

bool ServerCore::wait_empty(std::optional<std::chrono::milliseconds> wait_max) {
    std::unique_lock lock(mutex_);
    const auto is_empty = [this] { return sessions_.empty(); };
    if (wait_max) return empty_.wait_for(lock, *wait_max, is_empty);
    empty_.wait(lock, is_empty);
    return true;
}

void ServerCore::stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
}

void ServerCore::count_refused(std::string_view reason) {
    metrics_.counter(kRefusedTotal, {{"server", options.name}, {"reason", std::string(reason)}})
        .add();
}

void ServerCore::count_accept_failure() {
    metrics_.counter(kAcceptFailuresTotal, {{"server", options.name}}).add();
}

Result<std::unique_ptr<Server>> Server::start(Options options, const Router& router,
                                              MetricsRegistry& metrics, Log& log) {
    const Http2Bounds& bounds = options.http2_bounds;
    if (bounds.streams_max == 0 || bounds.resets_max == 0 || bounds.control_frames_max == 0 ||
        bounds.flood_span.count() <= 0 || bounds.window_bytes < kHttp2WindowMin ||
        bounds.window_bytes > kHttp2WindowMax) {
        return fail(
            ErrorKind::kInvalid,
            fmt::format("server '{}': a bound of HTTP/2 is out of its range", options.name));
    }
    if (options.threads < 1 || options.threads > 64 || options.connections_max < 1 ||
        options.header_bytes_max < kHeaderBytesMin || options.header_bytes_max > kHeaderBytesMax ||
        (!options.websocket_path.empty() && !options.on_websocket)) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("server '{}': threads, connections_max, header_bytes_max or "
                                "websocket_path is out of its range",
                                options.name));
    }
    try {
        auto core = std::make_shared<ServerCore>(std::move(options), router, metrics, log);
        if (core->options.tls) {
            VIGIE_TRY_ASSIGN(auto tls, make_server_tls(*core->options.tls));
            core->tls = std::move(tls);
            if (core->options.http2) offer_h2(*core->tls);
        }
        auto server = std::make_unique<BeastServer>(core);
        VIGIE_TRY(server->listen());
        server->start_threads();
        log.info("server listens", {{"server", core->options.name},
                                    {"address", core->options.address},
                                    {"port", fmt::format("{}", server->port())},
                                    {"tls", core->tls ? "yes" : "no"}});
        return server;
    } catch (const std::exception& error) {
        return fail(ErrorKind::kUnavailable, fmt::format("server cannot start: {}", error.what()));
    }
}

}  // namespace vigie::http
