#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "core/result.h"
#include "http/client.h"
#include "http/server.h"

namespace vigie::http {

// TLS 1.2 and later, no renegotiation. kInvalid when a file cannot be read or the key does not
// belong to the certificate; the message names the file.
Result<boost::asio::ssl::context> make_server_tls(const TlsFiles& files);

// As above, verifying peers against `ca_file` or the system's authorities, unless one certificate
// is pinned: then the caller compares it after the handshake.
Result<boost::asio::ssl::context> make_client_tls(const ClientOptions& options);

// Lets clients of a server choose HTTP/2 in the handshake (ALPN).
void offer_h2(boost::asio::ssl::context& context);

// Before a client's handshake: asks for `host` (SNI) and, unless a certificate is pinned, accepts
// only a certificate of that name or address.
void expect_peer(SSL* tls, const std::string& host, bool verify);

// Why the certificate was not accepted; "" when it was not the certificate.
std::string verify_failure(SSL* tls);

// The SHA-256 of the peer's certificate in lower-case hex; "" when there is none.
std::string peer_certificate_sha256(SSL* tls);

}  // namespace vigie::http
