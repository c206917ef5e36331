#include "tests/http/certificate.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

std::string temporary_file(std::string_view what) {
    static std::atomic<int> number{0};
    const auto name =
        fmt::format("vigie_http_test_{}_{}.{}", ::getpid(), number.fetch_add(1), what);
    return (std::filesystem::temp_directory_path() / name).string();
}

X509* make_certificate(EVP_PKEY* key, const std::string& subject_alternative) {
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    const auto* common = reinterpret_cast<const unsigned char*>("vigie test");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, subject_alternative.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

}  // namespace

Certificate::Certificate(const std::string& subject_alternative)
    : certificate_file_(temporary_file("crt")), key_file_(temporary_file("key")) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = make_certificate(key, subject_alternative);
    std::FILE* file = std::fopen(certificate_file_.c_str(), "w");
    REQUIRE(file != nullptr);
    CHECK(PEM_write_X509(file, certificate) == 1);
    std::fclose(file);
    file = std::fopen(key_file_.c_str(), "w");
    REQUIRE(file != nullptr);
    CHECK(PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    std::fclose(file);

    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    for (unsigned i = 0; i < size; ++i) sha256_ += fmt::format("{:02x}", digest[i]);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

Certificate::~Certificate() {
    std::filesystem::remove(certificate_file_);
    std::filesystem::remove(key_file_);
}

bool tls_handshake(std::uint16_t port, int version) {
    const RawClient client(port);
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);  // Else the library itself refuses old versions.
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL* tls = SSL_new(context);
    SSL_set_fd(tls, client.descriptor());
    const bool done = SSL_connect(tls) == 1;
    SSL_free(tls);
    SSL_CTX_free(context);
    return done;
}

}  // namespace vigie::http::test
