#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/role.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace vigie::http {

namespace net = boost::asio;
using boost::system::error_code;
using Strand = net::strand<net::io_context::executor_type>;
using Socket = net::basic_stream_socket<net::ip::tcp, Strand>;
using Timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                        net::wait_traits<std::chrono::steady_clock>, Strand>;

// A connection with or without TLS behind one type, so that everything above is compiled once
// and knows no difference. A model of Beast's AsyncStream.
class Stream {
public:
    using executor_type = Strand;

    // With `tls`, which must outlive the stream, nothing can be read before handshake().
    Stream(Socket socket, net::ssl::context* tls) {
        if (tls == nullptr) {
            plain_ = std::make_unique<Socket>(std::move(socket));
        } else {
            tls_ = std::make_unique<net::ssl::stream<Socket>>(std::move(socket), *tls);
        }
    }

    bool has_tls() const { return tls_ != nullptr; }
    Socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }
    net::ssl::stream<Socket>& tls() { return *tls_; }
    executor_type get_executor() { return socket().get_executor(); }

    template <class Buffers, class Done>
    auto async_read_some(const Buffers& buffers, Done&& done) {
        return net::async_initiate<Done, void(error_code, std::size_t)>(
            [this](auto handler, const Buffers& into) {
                if (tls_) {
                    tls_->async_read_some(into, std::move(handler));
                } else {
                    plain_->async_read_some(into, std::move(handler));
                }
            },
            done, buffers);
    }

    template <class Buffers, class Done>
    auto async_write_some(const Buffers& buffers, Done&& done) {
        return net::async_initiate<Done, void(error_code, std::size_t)>(
            [this](auto handler, const Buffers& from) {
                if (tls_) {
                    tls_->async_write_some(from, std::move(handler));
                } else {
                    plain_->async_write_some(from, std::move(handler));
                }
            },
            done, buffers);
    }

    void close() {
        error_code ignored;
        socket().close(ignored);
    }

    // Beast's customization points, found by argument-dependent lookup. A WebSocket ends with
    // its own closing handshake; after that the connection is simply closed.
    friend void beast_close_socket(Stream& stream) { stream.close(); }
    template <class Done>
    friend void async_teardown(boost::beast::role_type, Stream& stream, Done&& done) {
        stream.close();
        net::post(stream.get_executor(),
                  [done = std::forward<Done>(done)]() mutable { done(error_code{}); });
    }

private:
    std::unique_ptr<Socket> plain_;
    std::unique_ptr<net::ssl::stream<Socket>> tls_;
};

}  // namespace vigie::http
