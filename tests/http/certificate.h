#pragma once

#include <cstdint>
#include <string>

#include "http/server.h"

namespace vigie::http::test {

// A new self-signed certificate of one host and its key in two files, removed at the end.
class Certificate {
public:
    // `subject_alternative` as OpenSSL writes it: "IP:127.0.0.1" or "DNS:vigie.example".
    explicit Certificate(const std::string& subject_alternative);
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;
    ~Certificate();

    TlsFiles files() const { return {certificate_file_, key_file_}; }
    const std::string& certificate_file() const { return certificate_file_; }
    const std::string& sha256() const { return sha256_; }  // Lower-case hex

private:
    std::string certificate_file_;
    std::string key_file_;
    std::string sha256_;
};

// Whether a server accepts a client that speaks at most `version`, such as TLS1_1_VERSION.
bool tls_handshake(std::uint16_t port, int version);

}  // namespace vigie::http::test
