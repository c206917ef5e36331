#include "http/client.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>

#include "core/time.h"
#include "http/lookup.h"
#include "http/stream.h"
#include "http/tls.h"
#include "http/url.h"

namespace vigie::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = beast::http;
using Endpoint = net::ip::tcp::endpoint;
using Outcome = std::expected<Response, ClientError>;

constexpr std::size_t kHeaderBytesMax = 60 * 1024;  // Beast counts headers in 16 bits.
constexpr int kInformationalMax = 8;                // 1xx answers before the real one.

bool is_link_local(const net::ip::address& address) {
    if (address.is_v4()) return (address.to_v4().to_uint() >> 16U) == 0xA9FE;  // 169.254/16
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return is_link_local(net::ip::make_address_v4(net::ip::v4_mapped, v6));
    return v6.is_link_local();
}

Result<bhttp::request<bhttp::string_body>> make_message(const ClientRequest& request,
                                                        const Url& url) {
    if (!is_token(request.method)) return fail(ErrorKind::kInvalid, "the method is not a word");
    bhttp::request<bhttp::string_body> message;
    message.version(11);
    message.method_string(request.method);
    message.target(url.target);
    const bool is_v6 = url.host.contains(':');
    const auto host = is_v6 ? fmt::format("[{}]", url.host) : url.host;
    const bool default_port = url.port == (url.tls ? "443" : "80");
    message.set(bhttp::field::host, default_port ? host : fmt::format("{}:{}", host, url.port));
    message.set(bhttp::field::user_agent, "vigie");
    message.set(bhttp::field::connection, "close");
    for (const auto& [name, value] : request.headers) {
        // The value may be a secret: only the name is told.
        if (!is_token(name) || !is_header_value(value) || name.size() + value.size() > 32 * 1024) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("header '{}' has a line break in it or is too long", name));
        }
        if (equal_ignoring_case(name, "content-length") ||
            equal_ignoring_case(name, "transfer-encoding") ||
            equal_ignoring_case(name, "connection")) {
            return fail(ErrorKind::kInvalid, fmt::format("header '{}' is the client's", name));
        }
        if (equal_ignoring_case(name, "host") || equal_ignoring_case(name, "user-agent")) {
            message.set(name, value);
        } else {
            message.insert(name, value);
        }
    }
    // A server may take a Content-Length on GET for a mistake, and its absence on POST too.
    const bool wants_body =
        request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    message.body() = request.body;
    if (wants_body || !request.body.empty()) message.content_length(request.body.size());
    return message;
}

// One request from beginning to end, in the caller's thread.
class Call {
public:
    Call(const ClientOptions& options, Url url, bhttp::request<bhttp::string_body> message,
         const OnBytes* on_bytes)
        : options_(options),
          on_bytes_(on_bytes),
          url_(std::move(url)),
          peer_(fmt::format("{}:{}", url_.host, url_.port)),
          message_(std::move(message)),
          buffer_(kHeaderBytesMax + 4096) {}

    // `pin` is empty or a fingerprint in lower-case hex.
    Outcome run(std::optional<net::ssl::context> tls, std::string pin, const std::stop_token& stop);

private:
    void start();
    void on_addresses(Result<Lookup::Addresses> addresses);
    void connect();
    void handshake();
    void on_handshake(error_code error);
    void write();
    void read();
    void read_piece();
    void on_read(error_code error);

    void start_total_timer();
    void end(ErrorKind kind, std::string message);
    template <class Then>
    void start_timer(Timer& timer, std::chrono::milliseconds after, Then then);

    const ClientOptions& options_;
    const OnBytes* const on_bytes_;  // nullptr: the answer is wanted whole.
    const Url url_;
    const std::string peer_;  // For messages: the path may hold a secret.
    const bhttp::request<bhttp::string_body> message_;
    std::string pin_;
    net::io_context io_{1};
    Strand strand_{net::make_strand(io_)};
    std::optional<net::ssl::context> tls_;
    std::optional<Stream> stream_;
    Timer connect_timer_{strand_};
    Timer total_timer_{strand_};
    std::shared_ptr<Lookup> lookup_;
    std::vector<Endpoint> endpoints_;
    beast::flat_buffer buffer_;
    std::optional<bhttp::response_parser<bhttp::string_body>> parser_;
    int informational_ = 0;
    bool sent_ = false;
    std::string write_failure_;
    std::optional<Outcome> outcome_;
};

Outcome Call::run(std::optional<net::ssl::context> tls, std::string pin,
                  const std::stop_token& stop) {
    tls_ = std::move(tls);
    pin_ = std::move(pin);
    stream_.emplace(Socket(strand_), tls_ ? &*tls_ : nullptr);
    net::post(strand_, [this] { start(); });
    {
        const std::stop_callback on_stop(stop, [this] {
            net::post(strand_, [this] {
                end(ErrorKind::kCancelled, fmt::format("request to {} was stopped", peer_));
            });
        });
        try {
            io_.run();  // Until end(): it stops everything that still waits.
        } catch (const std::exception& error) {
            end(ErrorKind::kUnavailable, fmt::format("request to {}: {}", peer_, error.what()));
        }
    }
    if (lookup_) lookup_->abandon();
    if (!outcome_) end(ErrorKind::kUnavailable, fmt::format("request to {} got lost", peer_));
    return *std::move(outcome_);
}

void Call::end(ErrorKind kind, std::string message) {
    if (outcome_) return;
    outcome_ = std::unexpected(ClientError{Error{kind, std::move(message)}, sent_});
    io_.stop();
}

template <class Then>
void Call::start_timer(Timer& timer, std::chrono::milliseconds after, Then then) {
    timer.expires_after(after);
    timer.async_wait([then](error_code error) {
        if (!error) then();
    });
}

void Call::start_total_timer() {
    start_timer(total_timer_, options_.total_timeout, [this] {
        end(ErrorKind::kUnavailable, fmt::format("no complete answer from {} within {}", peer_,
                                                 to_string(options_.total_timeout)));
    });
}

void Call::start() {
    start_total_timer();
    start_timer(connect_timer_, options_.connect_timeout, [this] {
        end(ErrorKind::kUnavailable, fmt::format("no connection to {} within {}", peer_,
                                                 to_string(options_.connect_timeout)));
    });
    error_code error;
    net::ip::make_address(url_.host, error);
    if (!error) return on_addresses(Lookup::Addresses{url_.host});
    // RFC 6761: this name never means anything else, whatever a name server says.
    if (url_.host == "localhost") return on_addresses(Lookup::Addresses{"127.0.0.1", "::1"});
    auto lookup = Lookup::start(url_.host, [this](Result<Lookup::Addresses> addresses) {
        net::post(strand_, [this, addresses = std::move(addresses)]() mutable {
            on_addresses(std::move(addresses));
        });
    });
    if (!lookup) return end(lookup.error().kind, lookup.error().message);
    lookup_ = *std::move(lookup);
}

void Call::on_addresses(Result<Lookup::Addresses> addresses) {
    if (outcome_) return;
    if (!addresses) return end(addresses.error().kind, addresses.error().message);
    unsigned short port = 0;
    for (const char digit : url_.port)
        port = static_cast<unsigned short>(port * 10 + (digit - '0'));
    for (const auto& text : *addresses) {
        error_code error;
        const auto address = net::ip::make_address(text, error);
        if (error || (is_link_local(address) && !options_.allow_link_local)) continue;
        endpoints_.emplace_back(address, port);
    }
    if (endpoints_.empty()) {
        return end(ErrorKind::kRefused,
                   fmt::format("{} is a link-local address, which is not allowed", peer_));
    }
    connect();
}

void Call::connect() {
    net::async_connect(stream_->socket(), endpoints_, [this](error_code error, const Endpoint&) {
        if (outcome_) return;
        if (error) {
            return end(ErrorKind::kUnavailable,
                       fmt::format("connect to {}: {}", peer_, error.message()));
        }
        error_code ignored;
        stream_->socket().set_option(net::ip::tcp::no_delay(true), ignored);
        if (stream_->has_tls()) return handshake();
        write();
    });
}

void Call::handshake() {
    expect_peer(stream_->tls().native_handle(), url_.host, pin_.empty());
    stream_->tls().async_handshake(net::ssl::stream_base::client,
                                   [this](error_code error) { on_handshake(error); });
}

void Call::on_handshake(error_code error) {
    if (outcome_) return;
    auto* const tls = stream_->tls().native_handle();
    if (error) {
        const auto why = pin_.empty() ? verify_failure(tls) : "";
        if (!why.empty()) {
            return end(ErrorKind::kRefused,
                       fmt::format("the certificate of {} does not verify: {}", peer_, why));
        }
        return end(ErrorKind::kUnavailable, fmt::format("TLS with {}: {}", peer_, error.message()));
    }
    if (!pin_.empty()) {
        const auto found = peer_certificate_sha256(tls);
        if (found != pin_) {
            return end(
                ErrorKind::kRefused,
                fmt::format("the certificate of {} is {}, not the one configured", peer_, found));
        }
    }
    write();
}

void Call::write() {
    connect_timer_.cancel();
    sent_ = true;  // From here on nobody knows what the peer has received.
    bhttp::async_write(*stream_, message_, [this](error_code error, std::size_t) {
        if (outcome_) return;
        // A peer that refuses a large body answers and closes before it has read all.
        if (error) write_failure_ = error.message();
        read();
    });
}

void Call::read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(options_.body_bytes_max);
    parser_->skip(message_.method() == bhttp::verb::head);
    // In two steps: in one, Beast 1.74 forgets that the Content-Length is above the limit when the
    // body is in the same packet as the headers.
    bhttp::async_read_header(*stream_, buffer_, *parser_, [this](error_code error, std::size_t) {
        if (error || outcome_) return on_read(error);
        if (on_bytes_ != nullptr && parser_->get().result_int() / 100 == 2) {
            parser_->body_limit(boost::none);
            return read_piece();
        }
        bhttp::async_read(*stream_, buffer_, *parser_,
                          [this](error_code failed, std::size_t) { on_read(failed); });
    });
}

void Call::read_piece() {
    if (parser_->is_done()) return on_read({});
    bhttp::async_read_some(*stream_, buffer_, *parser_, [this](error_code error, std::size_t) {
        if (outcome_) return;
        std::string piece;
        piece.swap(parser_->get().body());
        start_total_timer();
        if (!piece.empty() && !(*on_bytes_)(piece)) {
            return end(ErrorKind::kCancelled, fmt::format("request to {} was stopped", peer_));
        }
        if (error) return on_read(error);
        read_piece();
    });
}

void Call::on_read(error_code error) {
    if (outcome_) return;
    if (error) {
        std::string why = write_failure_.empty() ? error.message() : write_failure_;
        if (error == bhttp::error::body_limit) {
            why = fmt::format("the body is larger than {} bytes", options_.body_bytes_max);
        }
        return end(ErrorKind::kUnavailable, fmt::format("answer of {}: {}", peer_, why));
    }
    auto message = parser_->release();
    if (message.result_int() / 100 == 1 && message.result_int() != 101) {
        if (++informational_ <= kInformationalMax) return read();
        return end(ErrorKind::kUnavailable, fmt::format("answer of {} never comes", peer_));
    }
    Response response;
    response.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
        std::string name(field.name_string());
        for (auto& c : name) c = to_lower(c);
        response.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    response.body = std::move(message.body());
    outcome_ = std::move(response);
    io_.stop();
}

std::unexpected<ClientError> not_sent(Error error) {
    return std::unexpected(ClientError{std::move(error), false});
}

}  // namespace

namespace {

std::expected<Response, ClientError> call(const ClientRequest& request,
                                          const ClientOptions& options, const OnBytes* on_bytes,
                                          const std::stop_token& stop) {
    auto url = parse_url(request.url);
    if (!url) return not_sent(std::move(url).error());
    auto message = make_message(request, *url);
    if (!message) return not_sent(std::move(message).error());

    std::optional<net::ssl::context> tls;
    std::string pin;
    if (url->tls) {
        if (!options.certificate_sha256.empty()) {
            auto fingerprint = parse_fingerprint(options.certificate_sha256);
            if (!fingerprint) return not_sent(std::move(fingerprint).error());
            pin = *std::move(fingerprint);
        }
        auto context = make_client_tls(options);
        if (!context) return not_sent(std::move(context).error());
        tls = *std::move(context);
    }
    std::unique_ptr<Call> made;
    try {
        made = std::make_unique<Call>(options, *std::move(url), *std::move(message), on_bytes);
    } catch (const std::exception& error) {  // No file descriptor left.
        return not_sent({ErrorKind::kUnavailable, fmt::format("request: {}", error.what())});
    }
    return made->run(std::move(tls), std::move(pin), stop);
}

}  // namespace

std::expected<Response, ClientError> send(const ClientRequest& request,
                                          const ClientOptions& options,
                                          const std::stop_token& stop) {
    return call(request, options, nullptr, stop);
}

std::expected<Response, ClientError> send_and_stream(const ClientRequest& request,
                                                     const ClientOptions& options,
                                                     const OnBytes& on_bytes,
                                                     const std::stop_token& stop) {
    return call(request, options, &on_bytes, stop);
}

}  // namespace vigie::http
