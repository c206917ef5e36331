#include "http/frame_server.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <set>

#include "http/frames.h"
#include "http/metrics.h"
#include "http/stream.h"
#include "http/tls.h"

namespace vigie::http {
namespace {

using Acceptor = net::basic_socket_acceptor<net::ip::tcp, Strand>;
using UdpSocket = net::basic_datagram_socket<net::ip::udp, Strand>;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kDatagramsPerTurn = 500;

template <class Endpoint>
std::string to_text(const Endpoint& peer) {
    return peer.address().is_v6() ? fmt::format("[{}]:{}", peer.address().to_string(), peer.port())
                                  : fmt::format("{}:{}", peer.address().to_string(), peer.port());
}

// What the listeners and connections share. Everything runs on one strand, by one thread.
struct FrameCore {
    FrameCore(FrameServer::Options options_in, FrameServer::Deliver deliver_in,
              MetricsRegistry& metrics_in, Log& log_in)
        : options(std::move(options_in)),
          deliver(std::move(deliver_in)),
          metrics(metrics_in),
          log(log_in),
          strand(io.get_executor()) {}

    void count(const MetricName& name, std::string_view reason = {}, std::uint64_t n = 1) {
        MetricLabels labels{{"server", options.name}};
        if (!reason.empty()) labels.emplace_back("reason", std::string(reason));
        metrics.counter(name, std::move(labels)).add(n);
    }

    const FrameServer::Options options;
    const FrameServer::Deliver deliver;
    MetricsRegistry& metrics;
    Log& log;
    net::io_context io{1};
    const Strand strand;
    std::optional<net::ssl::context> tls;
    std::set<std::shared_ptr<class FrameConnection>> connections;
};

class FrameConnection final : public std::enable_shared_from_this<FrameConnection> {
public:
    FrameConnection(std::shared_ptr<FrameCore> core, Socket socket, bool tls, std::string remote)
        : core_(std::move(core)),
          remote_(std::move(remote)),
          stream_(std::move(socket), tls ? &*core_->tls : nullptr),
          timer_(core_->strand),
          splitter_(core_->options.frame_bytes_max) {}

    void start() {
        if (!stream_.has_tls()) return read();
        set_deadline();
        stream_.tls().async_handshake(net::ssl::stream_base::server,
                                      [self = shared_from_this()](error_code error) {
                                          if (!error) return self->read();
                                          self->core_->count(kRefusedTotal, "tls_handshake");
                                          self->close();
                                      });
    }

    void close() {
        if (closed_) return;
        closed_ = true;
        timer_.cancel();
        stream_.close();
        core_->connections.erase(shared_from_this());
    }

private:
    void read() {
        if (closed_) return;
        if (splitter_.has_part()) {
            if (!deadline_set_) set_deadline();
        } else {
            timer_.cancel();
            deadline_set_ = false;
        }
        stream_.async_read_some(net::buffer(bytes_),
                                [self = shared_from_this()](error_code error, std::size_t size) {
                                    self->on_read(error, size);
                                });
    }

    void on_read(error_code error, std::size_t size) {
        if (closed_) return;
        splitter_.add({bytes_.data(), size});
        const std::size_t cut_before = splitter_.cut();
        while (auto frame = splitter_.next()) frames_.push_back(*std::move(frame));
        if (error) {
            ended_ = true;
            if (auto frame = splitter_.rest()) frames_.push_back(*std::move(frame));
        }
        core_->count(kFramesCut, {}, splitter_.cut() - cut_before);
        if (!frames_.empty()) return deliver();
        ended_ ? close() : read();
    }

    void deliver() {
        timer_.cancel();
        deadline_set_ = false;
        core_->deliver(frames_, remote_, [core = core_, weak = weak_from_this()](bool taken) {
            net::post(core->strand, [weak, taken] {
                if (const auto self = weak.lock()) self->on_delivered(taken);
            });
        });
    }

    void on_delivered(bool taken) {
        if (closed_) return;
        if (!taken) {
            timer_.expires_after(core_->options.retry_wait);
            timer_.async_wait([self = shared_from_this()](error_code error) {
                if (!error && !self->closed_) self->deliver();
            });
            return;
        }
        core_->count(kFramesTotal, {}, frames_.size());
        frames_.clear();
        ended_ ? close() : read();
    }

    // A message that trickles in for ever holds no connection.
    void set_deadline() {
        deadline_set_ = true;
        timer_.expires_after(core_->options.frame_timeout);
        timer_.async_wait([weak = weak_from_this()](error_code error) {
            const auto self = weak.lock();
            if (error || !self) return;
            self->core_->count(kRefusedTotal, "timeout");
            self->close();
        });
    }

    const std::shared_ptr<FrameCore> core_;
    const std::string remote_;
    Stream stream_;
    Timer timer_;
    FrameSplitter splitter_;
    std::array<char, kReadBytes> bytes_{};
    std::vector<std::string> frames_;  // Read and not yet taken
    bool deadline_set_ = false;
    bool ended_ = false;
    bool closed_ = false;
};

class AsioFrameServer final : public FrameServer {
public:
    explicit AsioFrameServer(std::shared_ptr<FrameCore> core) : core_(std::move(core)) {}

    Status listen();
    void run(const std::stop_token& stop) override;
    std::uint16_t udp_port() const override { return udp_port_; }
    std::uint16_t tcp_port() const override { return tcp_port_; }
    std::uint16_t tls_port() const override { return tls_port_; }

private:
    Result<std::uint16_t> listen_tcp(const Address& address, bool tls);
    Status listen_udp(const Address& address);
    void accept(Acceptor& acceptor, bool tls);
    void receive();
    void on_datagrams();

    const std::shared_ptr<FrameCore> core_;
    std::uint16_t udp_port_ = 0;
    std::uint16_t tcp_port_ = 0;
    std::uint16_t tls_port_ = 0;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unique_ptr<UdpSocket> udp_;
    std::array<char, 65536> datagram_{};
    std::shared_ptr<std::size_t> waiting_ =
        std::make_shared<std::size_t>(0);  // Datagrams, on the strand
};

Error cannot_listen(const FrameServer::Address& address, const error_code& error) {
    const auto kind =
        error == net::error::address_in_use ? ErrorKind::kConflict : ErrorKind::kInvalid;
    return {kind, fmt::format("listen on {} port {}: {}", address.address, address.port,
                              error.message())};
}

Result<std::uint16_t> AsioFrameServer::listen_tcp(const Address& address, bool tls) {
    error_code error;
    const auto ip = net::ip::make_address(address.address, error);
    const net::ip::tcp::endpoint endpoint(ip, address.port);
    auto acceptor = std::make_unique<Acceptor>(core_->strand);
    if (!error) acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(Acceptor::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(Acceptor::max_listen_connections, error);
    if (error) return fail(cannot_listen(address, error));
    const auto port = acceptor->local_endpoint(error).port();
    accept(*acceptor, tls);
    acceptors_.push_back(std::move(acceptor));
    return port;
}

Status AsioFrameServer::listen_udp(const Address& address) {
    error_code error;
    const auto ip = net::ip::make_address(address.address, error);
    const net::ip::udp::endpoint endpoint(ip, address.port);
    udp_ = std::make_unique<UdpSocket>(core_->strand);
    if (!error) udp_->open(endpoint.protocol(), error);
    if (!error) udp_->bind(endpoint, error);
    if (!error) udp_->non_blocking(true, error);
    if (error) return fail(cannot_listen(address, error));
    udp_port_ = udp_->local_endpoint(error).port();
    receive();
    return {};
}

Status AsioFrameServer::listen() {
    const auto& options = core_->options;
    if (options.tls && !options.tls_files) {
        return fail(ErrorKind::kInvalid, "TLS needs a certificate and a key");
    }
    if (options.tls_files) {
        VIGIE_TRY_ASSIGN(auto tls, make_server_tls(*options.tls_files));
        core_->tls = std::move(tls);
    }
    if (options.udp) VIGIE_TRY(listen_udp(*options.udp));
    if (options.tcp) {
        VIGIE_TRY_ASSIGN(tcp_port_, listen_tcp(*options.tcp, false));
    }
    if (options.tls) {
        VIGIE_TRY_ASSIGN(tls_port_, listen_tcp(*options.tls, true));
    }
    return {};
}

void AsioFrameServer::accept(Acceptor& acceptor, bool tls) {
    acceptor.async_accept(core_->strand, [this, &acceptor, tls](error_code error, Socket socket) {
        if (!acceptor.is_open()) return;
        if (error) {
            core_->count(kAcceptFailuresTotal);
        } else if (core_->connections.size() >= core_->options.connections_max) {
            core_->count(kRefusedTotal, "connections_max");
        } else if (const auto peer = socket.remote_endpoint(error); !error) {
            const auto connection =
                std::make_shared<FrameConnection>(core_, std::move(socket), tls, to_text(peer));
            core_->connections.insert(connection);
            connection->start();
        }
        accept(acceptor, tls);
    });
}

void AsioFrameServer::receive() {
    udp_->async_wait(UdpSocket::wait_read, [this](error_code error) {
        if (error || !udp_->is_open()) return;
        on_datagrams();
        receive();
    });
}

void AsioFrameServer::on_datagrams() {
    std::map<std::string, std::vector<std::string>> by_sender;
    for (std::size_t i = 0; i < kDatagramsPerTurn; ++i) {
        net::ip::udp::endpoint peer;
        error_code error;
        const auto size = udp_->receive_from(net::buffer(datagram_), peer, 0, error);
        if (error) break;
        if (size == 0) continue;
        if (*waiting_ >= core_->options.datagrams_waiting_max) {
            core_->count(kFramesDropped, "full");
            continue;
        }
        ++*waiting_;
        by_sender[to_text(peer)].emplace_back(datagram_.data(),
                                              std::min(size, core_->options.frame_bytes_max));
    }
    for (auto& [remote, frames] : by_sender) {
        const auto count = frames.size();
        // Nobody can be asked to send them again: what is not taken is lost, and counted.
        const auto counted = [weak = std::weak_ptr(core_), waiting = waiting_, count](bool taken) {
            const auto core = weak.lock();
            if (!core) return;
            *waiting -= count;
            core->count(taken ? kFramesTotal : kFramesDropped, taken ? "" : "not_taken", count);
        };
        core_->deliver(std::move(frames), remote, [core = core_, counted](bool taken) {
            // What waits in the queue of a server that has stopped must not keep it alive.
            net::post(core->strand, [counted, taken] { counted(taken); });
        });
    }
}

void AsioFrameServer::run(const std::stop_token& stop) {
    const auto guard = net::make_work_guard(core_->io);
    const std::stop_callback stopping(stop, [core = core_] { core->io.stop(); });
    core_->io.run();
    for (const auto& acceptor : acceptors_) {
        error_code ignored;
        acceptor->close(ignored);
    }
    if (udp_) {
        error_code ignored;
        udp_->close(ignored);
    }
    const auto open = core_->connections;
    for (const auto& connection : open) connection->close();
    core_->connections.clear();
    core_->io.restart();
    core_->io.poll();  // What was cancelled lets go of its connection.
}

}  // namespace

Result<std::unique_ptr<FrameServer>> FrameServer::open(Options options, Deliver deliver,
                                                       MetricsRegistry& metrics, Log& log) {
    try {
        auto core =
            std::make_shared<FrameCore>(std::move(options), std::move(deliver), metrics, log);
        auto server = std::make_unique<AsioFrameServer>(core);
        VIGIE_TRY(server->listen());
        log.info("server listens", {{"server", core->options.name},
                                    {"udp", std::to_string(server->udp_port())},
                                    {"tcp", std::to_string(server->tcp_port())},
                                    {"tls", std::to_string(server->tls_port())}});
        return server;
    } catch (const std::exception& error) {
        return fail(ErrorKind::kUnavailable, fmt::format("server cannot start: {}", error.what()));
    }
}

}  // namespace vigie::http
