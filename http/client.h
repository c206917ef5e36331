#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "http/message.h"

namespace vigie::http {

// "http://127.0.0.1:9099/api" taken apart.
struct Url {
    bool tls = false;
    std::string host;    // Without brackets for IPv6
    std::string port;    // "80" and "443" filled in
    std::string target;  // Path and query, at least "/"
};
// kInvalid for anything that is not http or https with a host; user info is refused.
Result<Url> parse_url(std::string_view text);

// The SHA-256 of a certificate, "AB:CD:…" or "abcd…", in lower-case hex. kInvalid when it is not 32
// bytes.
Result<std::string> parse_fingerprint(std::string_view text);

// Percent-encodes everything but unreserved characters (RFC 3986).
std::string percent_encode(std::string_view text);

struct ClientOptions {
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds total_timeout{30000};  // From the call to the last byte
    std::size_t body_bytes_max = 16 * 1024 * 1024;
    std::string ca_file{};             // PEM; empty: the system's
    std::string certificate_sha256{};  // Hex: accept exactly this certificate, whoever signed it
    bool allow_link_local = false;     // 169.254/16 and fe80::/10 are refused otherwise
};

struct ClientRequest {
    std::string method = "GET";
    std::string url{};
    std::vector<std::pair<std::string, std::string>> headers{};
    // Sent with Content-Length, never chunked; none at all when empty on GET and DELETE.
    std::string body{};
};

// Sends one request on a new connection and waits for the whole response. Any status is a
// success: the caller judges it. Redirects are not followed. Verifies certificates and host
// names. For threads that may block; safe to call from any thread.
//
// The error says what is known: kInvalid (bad URL: nothing was sent), kRefused (link-local
// or a certificate that does not verify: nothing was sent), kUnavailable with `sent` false
// (not connected: certainly nothing was received), kUnavailable or kCancelled with `sent` true
// (fate unknown: timeout or stop after the request may have been received).
struct ClientError {
    Error error;
    bool sent = false;  // Bytes of the request may have reached the peer.
};
std::expected<Response, ClientError> send(const ClientRequest& request,
                                          const ClientOptions& options,
                                          const std::stop_token& stop = {});

// The same for an answer that has no end, such as a watch: `on_bytes` gets the body of a 2xx answer
// in pieces, on the calling thread, and says whether it wants more. `total_timeout` counts from the
// last piece. The result has the status and no body; that of another status is whole.
using OnBytes = std::function<bool(std::string_view)>;
std::expected<Response, ClientError> send_and_stream(const ClientRequest& request,
                                                     const ClientOptions& options,
                                                     const OnBytes& on_bytes,
                                                     const std::stop_token& stop = {});

}  // namespace vigie::http
