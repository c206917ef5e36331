#include "http/tls.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "core/redact.h"

namespace vigie::http {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

void set_versions(ssl::context& context) {
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

}  // namespace

Result<ssl::context> make_server_tls(const TlsFiles& files) {
    ssl::context context(ssl::context::tls_server);
    set_versions(context);
    error_code error;
    // Without this OpenSSL would ask for a passphrase on the terminal and hang.
    context.set_password_callback([](std::size_t, auto) { return std::string(); }, error);
    context.use_certificate_chain_file(files.certificate_file, error);
    if (error) {
        return fail(ErrorKind::kInvalid, fmt::format("certificate file '{}' cannot be used: {}",
                                                     files.certificate_file, error.message()));
    }
    context.use_private_key_file(files.key_file, ssl::context::pem, error);
    if (error) {
        return fail(ErrorKind::kInvalid, fmt::format("key file '{}' cannot be used: {}",
                                                     files.key_file, error.message()));
    }
    if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
        return fail(ErrorKind::kInvalid, fmt::format("key file '{}' does not belong to '{}'",
                                                     files.key_file, files.certificate_file));
    }
    return context;
}

Status check_tls(const TlsFiles& files) {
    const auto made = make_server_tls(files);
    return made ? Status{} : fail(made.error());
}

Result<ssl::context> make_client_tls(const ClientOptions& options) {
    ssl::context context(ssl::context::tls_client);
    set_versions(context);
    error_code error;
    if (!options.certificate_sha256.empty()) {
        context.set_verify_mode(ssl::verify_none, error);
        return context;
    }
    context.set_verify_mode(ssl::verify_peer, error);
    if (options.ca_file.empty()) {
        context.set_default_verify_paths(error);
    } else {
        context.load_verify_file(options.ca_file, error);
    }
    if (error) {
        return fail(ErrorKind::kInvalid, fmt::format("CA file '{}' cannot be used: {}",
                                                     options.ca_file, error.message()));
    }
    return context;
}

void offer_h2(boost::asio::ssl::context& context) {
    SSL_CTX_set_alpn_select_cb(
        context.native_handle(),
        [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
           unsigned offered_size, void*) {
            // What we speak, the best first, each with its length in front.
            static constexpr unsigned char kSpoken[] = "\x02h2\x08http/1.1";
            // OpenSSL's interface predates const: it writes a pointer, not through it.
            auto** const out = const_cast<unsigned char**>(chosen);
            const int found = SSL_select_next_proto(out, size, kSpoken, sizeof(kSpoken) - 1,
                                                    offered, offered_size);
            return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
        },
        nullptr);
}

void expect_peer(SSL* tls, const std::string& host, bool verify) {
    error_code error;
    boost::asio::ip::make_address(host, error);
    const bool is_name = static_cast<bool>(error);
    if (is_name) SSL_set_tlsext_host_name(tls, host.c_str());
    if (!verify) return;
    SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int done = is_name ? SSL_set1_host(tls, host.c_str())
                             : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str());
    // Without a name to compare with, any certificate of any host would do.
    VIGIE_ASSERT(done == 1);
}

std::string verify_failure(SSL* tls) {
    const long result = SSL_get_verify_result(tls);
    return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

std::string peer_certificate_sha256(SSL* tls) {
    X509* certificate = SSL_get1_peer_certificate(tls);
    if (certificate == nullptr) return {};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const bool done = X509_digest(certificate, EVP_sha256(), digest, &size) == 1;
    X509_free(certificate);
    std::string hex;
    for (unsigned i = 0; done && i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

Result<std::string> parse_fingerprint(std::string_view text) {
    std::string hex;
    for (const char c : text) {
        if (c == ':') continue;
        hex.push_back(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    }
    const bool valid = hex.size() == 64 && std::ranges::all_of(hex, [](char c) {
                           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                       });
    if (!valid) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("certificate fingerprint '{}' is not a SHA-256 in hex",
                                one_line(text, 100)));
    }
    return hex;
}

}  // namespace vigie::http
