#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "http/h2_session.h"
#include "http/server_impl.h"
#include "http/url.h"
#include "http/websocket_session.h"

namespace vigie::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = beast::http;

// What a client gets to read its last answer before the connection goes away.
constexpr std::chrono::seconds kLingerMax{2};
constexpr std::chrono::seconds kRefusedRequestWaitMax{2};
constexpr std::size_t kFirstReadBytes = 4096;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

struct Refusal {
    int status = 400;
    std::string_view reason;   // Label of the metric.
    std::string_view message;  // For the client: one line.
};

// Serves one client, one request at a time: what is pipelined waits in the buffer or in the
// kernel. Everything but strand() runs on the strand.
class Connection final : public AnsweringSession, public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<ServerCore> core, Socket socket, bool refuse, std::string remote)
        : core_(std::move(core)),
          refuse_(refuse),
          remote_(std::move(remote)),
          strand_(socket.get_executor()),
          stream_(std::move(socket), core_->tls ? &*core_->tls : nullptr),
          timer_(strand_),
          buffer_(core_->options.header_bytes_max + kFirstReadBytes) {}

    void start();
    void answer(std::int32_t stream, std::optional<Response> response) override;

    Strand strand() override { return strand_; }
    void begin_drain() override;
    void abort() override { finish(); }

private:
    enum class Phase : std::uint8_t {
        kHandshake,
        kIdle,
        kReading,
        kAnswering,
        kWriting,
        kLingering,
        kClosed,
    };

    void await_request();
    void read_first();
    void sniff();
    void leave();
    void read_header();
    void keep_headers();
    void on_header(error_code error);
    void read_body();
    void on_read_error(error_code error);
    std::optional<Refusal> check_header() const;
    void dispatch();
    void upgrade();
    void refuse(const Refusal& refusal);
    void write(Response response);
    void fill(Response& response);
    void on_written();
    void linger();
    void discard();
    void finish();

    void set_deadline(std::chrono::milliseconds after);
    void on_deadline();

    // Constant after construction.
    const std::shared_ptr<ServerCore> core_;
    const bool refuse_;
    const std::string remote_;
    const Strand strand_;

    // Used on the strand only.
    Stream stream_;
    Timer timer_;
    std::uint64_t deadline_ = 0;  // Which one is set: a stale expiry is recognised by it.
    Phase phase_ = Phase::kHandshake;
    bool served_ = false;  // A request was answered before.
    bool timed_out_ = false;
    bool close_after_ = false;
    beast::flat_buffer buffer_;
    std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
    std::vector<std::pair<std::string, std::string>> headers_;  // Of the request being read
    SteadyTime received_at_;
    bhttp::response<bhttp::string_body> response_;
};

void Connection::start() {
    if (!stream_.has_tls()) return await_request();
    set_deadline(core_->options.request_timeout);
    stream_.tls().async_handshake(net::ssl::stream_base::server,
                                  [self = shared_from_this()](error_code error) {
                                      if (self->phase_ == Phase::kClosed) return;
                                      if (error) {
                                          self->core_->count_refused("tls_handshake");
                                          return self->finish();
                                      }
                                      self->await_request();
                                  });
}

void Connection::await_request() {
    if (core_->draining() && buffer_.size() == 0) return finish();
    if (buffer_.size() > 0) return read_header();
    phase_ = Phase::kIdle;
    if (buffer_.capacity() > kFirstReadBytes) buffer_.shrink_to_fit();
    set_deadline(refuse_   ? kRefusedRequestWaitMax
                 : served_ ? core_->options.idle_timeout
                           : core_->options.request_timeout);
    read_first();
}

void Connection::read_first() {
    stream_.async_read_some(buffer_.prepare(kFirstReadBytes),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                                if (self->phase_ == Phase::kClosed) return;
                                if (error) return self->finish();
                                self->buffer_.commit(bytes);
                                self->sniff();
                            });
}

// HTTP/2 is known by its first four bytes; no method of HTTP/1.1 begins like them.
void Connection::sniff() {
    constexpr std::size_t kSniffedBytes = 4;
    const std::string_view first(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    const auto known = std::min(first.size(), kSniffedBytes);
    if (!core_->options.http2 || served_ || first.substr(0, known) != kH2Preface.substr(0, known)) {
        return read_header();
    }
    if (known < kSniffedBytes) return read_first();
    if (refuse_) {
        core_->count_refused("connections_max");
        return finish();
    }
    start_h2(core_, std::move(stream_), std::string(first), remote_);
    leave();
}

void Connection::read_header() {
    phase_ = Phase::kReading;
    set_deadline(refuse_ ? kRefusedRequestWaitMax : core_->options.request_timeout);
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(core_->options.header_bytes_max));
    parser_->body_limit(core_->options.body_bytes_max);
    bhttp::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

void Connection::on_header(error_code error) {
    if (phase_ == Phase::kClosed) return;
    if (refuse_) {
        return refuse({503, "connections_max", "too many connections: try again later\n"});
    }
    if (error) return on_read_error(error);
    if (const auto refusal = check_header()) return refuse(*refusal);

    const auto& header = parser_->get();
    keep_headers();
    if (!core_->options.websocket_path.empty() &&
        view(header.target()).substr(0, header.target().find('?')) ==
            core_->options.websocket_path) {
        return upgrade();
    }
    const bool wants_continue = header.version() == 11 && header.count(bhttp::field::expect) > 0;
    if (!wants_continue || parser_->is_done() || buffer_.size() > 0) return read_body();
    net::async_write(stream_, net::buffer(kContinue),
                     [self = shared_from_this()](error_code failed, std::size_t) {
                         if (self->phase_ == Phase::kClosed) return;
                         if (failed) return self->on_read_error(failed);
                         self->read_body();
                     });
}

// Before the body: Beast adds the trailers behind it to the same fields, where they would pass for
// headers that were checked (RFC 9110, 6.5.1: a recipient may ignore trailers).
void Connection::keep_headers() {
    headers_.clear();
    for (const auto& field : parser_->get()) {
        std::string name(view(field.name_string()));
        for (auto& c : name) c = to_lower(c);
        headers_.emplace_back(std::move(name), view(field.value()));
    }
}

void Connection::read_body() {
    bhttp::async_read(stream_, buffer_, *parser_,
                      [self = shared_from_this()](error_code error, std::size_t) {
                          if (self->phase_ == Phase::kClosed) return;
                          if (error) return self->on_read_error(error);
                          self->dispatch();
                      });
}

void Connection::on_read_error(error_code error) {
    if (timed_out_) return refuse({408, "timeout", "the request did not arrive in time\n"});
    if (error == bhttp::error::header_limit ||
        (error == bhttp::error::buffer_overflow && !parser_->is_header_done())) {
        return refuse({431, "headers_too_large", "the headers are too large\n"});
    }
    if (error == bhttp::error::body_limit) {
        return refuse({413, "body_too_large", "the body is too large\n"});
    }
    const bool left =
        error == bhttp::error::end_of_stream || error == bhttp::error::partial_message;
    const bool malformed =
        error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
    if (left || !malformed) return finish();
    refuse({400, "malformed", "not a valid HTTP/1.1 request\n"});
}

std::optional<Refusal> Connection::check_header() const {
    const auto& header = parser_->get();
    const auto hosts = header.count(bhttp::field::host);
    if (hosts > 1 || (hosts == 0 && header.version() == 11)) {
        return Refusal{400, "malformed", "exactly one Host header is needed\n"};
    }
    const auto& host_allowed = core_->options.host_allowed;
    if (hosts == 1 && host_allowed && !host_allowed(view(header[bhttp::field::host]))) {
        return Refusal{403, "host", "this name is not answered: use the address, or localhost\n"};
    }
    // What is not exactly "chunked" another party on the way may understand differently, and see
    // the end of the request somewhere else.
    const auto codings = header.count(bhttp::field::transfer_encoding);
    if (codings > 1 ||
        (codings == 1 &&
         !equal_ignoring_case(view(header[bhttp::field::transfer_encoding]), "chunked"))) {
        return Refusal{501, "malformed", "the only Transfer-Encoding understood is chunked\n"};
    }
    const auto expect = header[bhttp::field::expect];
    if (!expect.empty() && !equal_ignoring_case(view(expect), "100-continue")) {
        return Refusal{417, "malformed", "the only Expect understood is 100-continue\n"};
    }
    return std::nullopt;
}

void Connection::dispatch() {
    received_at_ = core_->clock.steady();
    auto& message = parser_->get();
    auto target = parse_target(view(message.target()));
    if (!target) return refuse({400, "malformed", "the request target is not a valid path\n"});

    Request request;
    request.method = view(message.method_string());
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    request.target = std::move(target->raw);
    request.remote = remote_;
    request.body = std::move(message.body());
    request.headers = std::exchange(headers_, {});

    phase_ = Phase::kAnswering;
    ++deadline_;
    timer_.cancel();
    core_->router.dispatch(std::move(request), make_respond(core_, weak_from_this(), 0));
}

void Connection::upgrade() {
    if (!parser_->is_done() || buffer_.size() > 0 || !is_websocket_upgrade(parser_->get())) {
        return refuse({426, "malformed", "this path speaks WebSocket\n"});
    }
    const auto& header = parser_->get();
    if (!same_origin(view(header[bhttp::field::origin]), view(header[bhttp::field::host]))) {
        return refuse({403, "origin", "WebSockets of other origins are refused\n"});
    }
    start_websocket(core_, std::move(stream_), parser_->release());
    leave();
}

// The socket is not ours any more: only the bookkeeping is left.
void Connection::leave() {
    phase_ = Phase::kClosed;
    ++deadline_;
    timer_.cancel();
    core_->remove(shared_from_this());
}

// Ends the connection after the answer, because where the next request starts is not known.
void Connection::refuse(const Refusal& refusal) {
    core_->count_refused(refusal.reason);
    received_at_ = core_->clock.steady();
    close_after_ = true;
    auto response = Response::text(refusal.status, std::string(refusal.message));
    if (refusal.status == 503) response.headers.emplace_back("retry-after", "1");
    if (refusal.status == 426) response.headers.emplace_back("upgrade", "websocket");
    write(std::move(response));
}

void Connection::answer(std::int32_t, std::optional<Response> response) {
    if (phase_ != Phase::kAnswering) return;
    if (!response) {
        core_->count_refused("answer_lost");
        response = Response::text(500, "the request was dropped without an answer\n");
    } else if (!is_valid(*response)) {
        core_->count_refused("answer_invalid");
        core_->log.error(
            "answer has an invalid status or header, sent 500 instead",
            {{"server", core_->options.name}, {"status", fmt::format("{}", response->status)}});
        response = Response::text(500, "the answer was not valid\n");
    }
    write(*std::move(response));
}

void Connection::fill(Response& response) {
    // After a timeout or a syntax error the request is not complete: then it has no method.
    const bool complete = parser_ && parser_->is_header_done();
    const bool is_head = complete && parser_->get().method() == bhttp::verb::head;
    if (!complete || !parser_->is_done() || !parser_->keep_alive()) close_after_ = true;
    if (core_->draining() || refuse_) close_after_ = true;

    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    for (const auto& [name, value] : response.headers) {
        // These three are the server's to say.
        if (equal_ignoring_case(name, "content-length") ||
            equal_ignoring_case(name, "connection") ||
            equal_ignoring_case(name, "transfer-encoding")) {
            continue;
        }
        response_.insert(name, value);
    }
    if (response.status != 204 && response.status != 304) {
        response_.content_length(response.body.size());
        if (!is_head) response_.body() = std::move(response.body);
    }
    if (close_after_) {
        response_.set(bhttp::field::connection, "close");
    } else if (parser_->get().version() == 10) {
        response_.set(bhttp::field::connection, "keep-alive");
    }
}

void Connection::write(Response response) {
    fill(response);
    phase_ = Phase::kWriting;
    set_deadline(core_->options.idle_timeout);
    bhttp::async_write(stream_, response_,
                       [self = shared_from_this()](error_code error, std::size_t) {
                           if (self->phase_ == Phase::kClosed) return;
                           if (error) return self->finish();
                           self->on_written();
                       });
}

void Connection::on_written() {
    core_->count_request(static_cast<int>(response_.result_int()));
    const std::chrono::duration<double> took = core_->clock.steady() - received_at_;
    core_->request_seconds().observe(took.count());
    response_ = {};
    parser_.reset();
    served_ = true;
    if (close_after_) return linger();
    await_request();
}

// Closing at once could reset the connection while the client still sends, and a reset may
// destroy the answer before it was read. So: say that nothing more comes, and read for a while.
void Connection::linger() {
    phase_ = Phase::kLingering;
    set_deadline(kLingerMax);
    if (!stream_.has_tls()) return discard();
    stream_.tls().async_shutdown([self = shared_from_this()](error_code) {
        if (self->phase_ != Phase::kClosed) self->discard();
    });
}

void Connection::discard() {
    error_code ignored;
    stream_.socket().shutdown(Socket::shutdown_send, ignored);
    buffer_.clear();
    stream_.socket().async_read_some(buffer_.prepare(kFirstReadBytes),
                                     [self = shared_from_this()](error_code error, std::size_t) {
                                         if (self->phase_ == Phase::kClosed) return;
                                         if (error) return self->finish();
                                         self->discard();
                                     });
}

void Connection::finish() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    ++deadline_;
    timer_.cancel();
    stream_.close();
    core_->remove(shared_from_this());
}

void Connection::begin_drain() {
    if (phase_ == Phase::kHandshake) return finish();
    if (phase_ != Phase::kIdle) return;  // Closed by await_request() after its answer.
    error_code ignored;
    if (stream_.socket().available(ignored) == 0) finish();
}

void Connection::set_deadline(std::chrono::milliseconds after) {
    timer_.expires_after(after);
    timer_.async_wait([weak = weak_from_this(), deadline = ++deadline_](error_code error) {
        const auto self = weak.lock();
        if (!error && self && self->deadline_ == deadline) self->on_deadline();
    });
}

void Connection::on_deadline() {
    if (phase_ != Phase::kReading) return finish();
    timed_out_ = true;
    error_code ignored;
    stream_.socket().cancel(ignored);
}

}  // namespace

void start_connection(const std::shared_ptr<ServerCore>& core, Socket socket, bool refuse) {
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;  // Gone already.
    socket.set_option(net::ip::tcp::no_delay(true), error);
    auto remote = peer.address().is_v6()
                      ? fmt::format("[{}]:{}", peer.address().to_string(), peer.port())
                      : fmt::format("{}:{}", peer.address().to_string(), peer.port());
    start_connection(core, std::move(socket), refuse, std::move(remote));
}

void start_connection(const std::shared_ptr<ServerCore>& core, Socket socket, bool refuse,
                      std::string remote) {
    const auto connection =
        std::make_shared<Connection>(core, std::move(socket), refuse, std::move(remote));
    if (!core->add(connection)) return;
    net::post(connection->strand(), [connection] { connection->start(); });
}

}  // namespace vigie::http
