#include <openssl/ssl.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/http/certificate.h"
#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

struct SecureSite : Site {
    std::atomic<int> handled{0};

    explicit SecureSite(const Certificate& certificate) {
        router.add("POST", "/x", [this](Request request, Respond respond) {
            handled.fetch_add(1);
            echo(std::move(request), std::move(respond));
        });
        start({.tls = certificate.files()});
    }
    std::expected<Response, ClientError> ask(const ClientOptions& options) const {
        return send({.method = "POST", .url = url("/x", "https"), .body = "body"}, options);
    }
    void check_refused(const ClientOptions& options) const {
        const auto answer = ask(options);
        REQUIRE_FALSE(answer.has_value());
        INFO(answer.error().error.message);
        CHECK(answer.error().error.kind == ErrorKind::kRefused);
        CHECK_FALSE(answer.error().sent);
        CHECK(handled == 0);
    }
};

}  // namespace

TEST_CASE("tls: a certificate that the given authority signed is accepted", "[http]") {
    const Certificate certificate("IP:127.0.0.1");
    const SecureSite site(certificate);
    auto options = fast_client();
    options.ca_file = certificate.certificate_file();
    const auto answer = site.ask(options);
    REQUIRE(answer.has_value());
    CHECK(answer->body == "POST /x body");
}

TEST_CASE("tls: a certificate that nobody known signed is refused", "[http]") {
    const Certificate certificate("IP:127.0.0.1");
    const SecureSite site(certificate);
    site.check_refused(fast_client());
    const Certificate other("IP:127.0.0.1");
    auto options = fast_client();
    options.ca_file = other.certificate_file();
    site.check_refused(options);
}

TEST_CASE("tls: a certificate of another host is refused", "[http]") {
    for (const std::string name : {"IP:127.0.0.2", "DNS:vigie.example", "DNS:127.0.0.1"}) {
        INFO(name);
        const Certificate certificate(name);
        const SecureSite site(certificate);
        auto options = fast_client();
        options.ca_file = certificate.certificate_file();
        site.check_refused(options);
    }
}

TEST_CASE("tls: names are verified as names", "[http]") {
    const Certificate certificate("DNS:localhost");
    const SecureSite site(certificate);
    auto options = fast_client();
    options.ca_file = certificate.certificate_file();
    const auto url = fmt::format("https://localhost:{}/x", site.server->port());
    CHECK(send({.method = "POST", .url = url}, options).has_value());
    site.check_refused([&] {
        const_cast<SecureSite&>(site).handled = 0;
        return options;
    }());
}

TEST_CASE("tls: a pinned certificate is accepted whoever signed it, and no other is", "[http]") {
    const Certificate certificate("DNS:pve.example");
    const SecureSite site(certificate);
    auto options = fast_client();
    options.certificate_sha256 = certificate.sha256();
    options.certificate_sha256[0] = options.certificate_sha256[0] == '0' ? '1' : '0';
    site.check_refused(options);
    options.certificate_sha256 = certificate.sha256();
    CHECK(site.ask(options).has_value());

    // As Proxmox shows it.
    std::string shown;
    for (std::size_t i = 0; i < 64; ++i) {
        if (i > 0 && i % 2 == 0) shown += ':';
        shown += static_cast<char>(std::toupper(certificate.sha256()[i]));
    }
    options.certificate_sha256 = shown;
    CHECK(site.ask(options).has_value());
}

TEST_CASE("tls: a fingerprint or an authority that cannot be used is invalid", "[http]") {
    auto options = fast_client();
    for (const std::string text : {"abc", "zz", "sha256"}) {
        options.certificate_sha256 = text;
        const auto answer = send({.url = "https://127.0.0.1:1/"}, options);
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.error().error.kind == ErrorKind::kInvalid);
    }
    options = fast_client();
    options.ca_file = "/nowhere/ca.pem";
    const auto answer = send({.url = "https://127.0.0.1:1/"}, options);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().error.kind == ErrorKind::kInvalid);
    CHECK(answer.error().error.message.find("/nowhere/ca.pem") != std::string::npos);
}

TEST_CASE("tls: versions below 1.2 are refused", "[http]") {
    const Certificate certificate("IP:127.0.0.1");
    const SecureSite site(certificate);
    CHECK_FALSE(tls_handshake(site.server->port(), TLS1_1_VERSION));
    CHECK(tls_handshake(site.server->port(), TLS1_2_VERSION));
    CHECK(tls_handshake(site.server->port(), TLS1_3_VERSION));
}

TEST_CASE("tls: plain HTTP to a TLS port ends, and the server goes on", "[http]") {
    const Certificate certificate("IP:127.0.0.1");
    const SecureSite site(certificate);
    RawClient client(site.server->port());
    REQUIRE(client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.read_to_end();
    CHECK(client.closed());
    CHECK(site.metric(R"(vigie_http_refused_total{reason="tls_handshake",server="test"})") == 1);
    auto options = fast_client();
    options.ca_file = certificate.certificate_file();
    CHECK(site.ask(options).has_value());
}

TEST_CASE("tls: a key of another certificate, or no file at all, does not start", "[http]") {
    const Certificate one("IP:127.0.0.1");
    const Certificate two("IP:127.0.0.1");
    const Router router;
    MetricsRegistry metrics;
    MemoryLog log;
    for (const auto& files : std::vector<TlsFiles>{{one.certificate_file(), two.files().key_file},
                                                   {"/nowhere/a.pem", one.files().key_file},
                                                   {one.certificate_file(), "/nowhere/a.key"}}) {
        const auto server = Server::start({.tls = files}, router, metrics, log);
        REQUIRE_FALSE(server.has_value());
        CHECK(server.error().kind == ErrorKind::kInvalid);
    }
}

TEST_CASE("tls: many clients at once, and a drain under them", "[http]") {
    const Certificate certificate("IP:127.0.0.1");
    SecureSite site(certificate);
    auto options = fast_client();
    options.ca_file = certificate.certificate_file();
    std::atomic<int> answered{0};
    std::atomic<int> unknown{0};
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
        clients.emplace_back([&] {
            while (true) {
                const auto answer = site.ask(options);
                if (!answer) {
                    unknown.fetch_add(answer.error().sent ? 1 : 0);
                    return;
                }
                answered.fetch_add(1);
            }
        });
    }
    REQUIRE(eventually([&] { return answered.load() > 50; }));
    site.server->drain(std::chrono::seconds{30});
    clients.clear();
    CHECK(site.handled >= answered);
    CHECK(site.handled <= answered + unknown);
}

}  // namespace vigie::http::test
