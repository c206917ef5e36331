#include "http/server.h"

#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

using std::chrono::seconds;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

Site& with_echo(Site& site, Server::Options options = {}) {
    site.router.add("GET", "/x", echo);
    site.router.add("POST", "/x", echo);
    site.start(std::move(options));
    return site;
}

// One request, everything that comes back until the server closes.
std::string converse(const Site& site, std::string_view bytes) {
    RawClient client(site.server->port());
    REQUIRE(client.send(bytes));
    auto answer = client.read_to_end();
    CHECK(client.closed());
    return answer;
}

double refused(const Site& site, std::string_view reason) {
    return site.metric(
        fmt::format(R"(vigie_http_refused_total{{reason="{}",server="test"}})", reason));
}

}  // namespace

TEST_CASE("server: answers requests one after the other on one connection", "[http]") {
    Site site;
    RawClient client(with_echo(site).server->port());
    for (int i = 0; i < 3; ++i) {
        REQUIRE(client.send(kGet));
        const auto answer = client.read_response();
        CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(answer.ends_with("\r\n\r\nGET /x "));
    }
    CHECK(site.metric(R"(vigie_http_connections{server="test"})") == 1);
    CHECK(eventually([&] {
        return site.metric(R"(vigie_http_requests_total{code="2xx",server="test"})") == 3;
    }));
    client.close();
    CHECK(eventually([&] { return site.metric(R"(vigie_http_connections{server="test"})") == 0; }));
}

TEST_CASE("server: the handler sees the request as it was meant", "[http]") {
    Site site;
    Request seen;
    site.router.add("GET", "/a b/{id}", [&](Request request, Respond respond) {
        seen = std::move(request);
        respond({204, {}, ""});
    });
    site.start();
    RawClient client(site.server->port());
    REQUIRE(
        client.send("GET /a%20b/7%2F8?q=1+2 HTTP/1.1\r\nHOST: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n"));
    const auto answer = client.read_response();
    CHECK(answer.starts_with("HTTP/1.1 204 No Content\r\n"));
    CHECK(answer.find("Content-Length") == std::string::npos);
    CHECK(seen.method == "GET");
    CHECK(seen.path == "/a b/7/8");
    CHECK(seen.path_parts == std::vector<std::string>{"7/8"});
    CHECK(seen.query_value("q") == "1 2");
    CHECK_FALSE(seen.query_value("r").has_value());
    CHECK(seen.header("host") == "a");
    CHECK(seen.header("x-one") == "1");
    CHECK(seen.headers.size() == 3);
    CHECK(seen.remote.starts_with("127.0.0.1:"));
}

TEST_CASE("server: pipelined requests are answered in order, one at a time", "[http]") {
    Site site;
    std::vector<Respond> waiting;
    std::mutex mutex;
    const auto count = [&] {
        const std::scoped_lock lock(mutex);
        return waiting.size();
    };
    site.router.add("GET", "/slow", [&](Request, Respond respond) {
        const std::scoped_lock lock(mutex);
        waiting.push_back(std::move(respond));
    });
    with_echo(site);
    RawClient client(site.server->port());
    REQUIRE(client.send(
        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /x HTTP/1.1\r\nHost: "
        "a\r\n\r\n"));
    REQUIRE(eventually([&] { return count() == 1; }));
    waiting[0](Response::text(200, "first"));
    CHECK(client.read_response().ends_with("first"));
    REQUIRE(eventually([&] { return count() == 2; }));
    waiting[1](Response::text(200, "second"));
    CHECK(client.read_response().ends_with("second"));
    CHECK(client.read_response().ends_with("POST /x abc"));
    CHECK(client.read_response().ends_with("GET /x "));
}

TEST_CASE("server: a chunked body arrives whole", "[http]") {
    Site site;
    RawClient client(with_echo(site).server->port());
    REQUIRE(client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    REQUIRE(client.send("3\r\nabc\r\n4;ext=1\r\ndefg\r\n"));
    REQUIRE(client.send("0\r\n\r\n"));
    CHECK(client.read_response().ends_with("POST /x abcdefg"));
    REQUIRE(client.send(kGet));
    CHECK(client.read_response().ends_with("GET /x "));
}

TEST_CASE("server: trailers never pass for headers", "[http]") {
    Site site;
    Request seen;
    site.router.add("POST", "/x", [&](Request request, Respond respond) {
        seen = std::move(request);
        respond({204, {}, ""});
    });
    site.start();
    RawClient client(site.server->port());
    REQUIRE(
        client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n"));
    CHECK(client.read_response().starts_with("HTTP/1.1 204 "));
    CHECK(seen.body == "abc");
    CHECK(seen.header("host") == "a");
    CHECK(seen.header("authorization").empty());
    CHECK(seen.headers.size() == 2);
}

TEST_CASE("server: Expect is answered before the body is sent", "[http]") {
    Site site;
    RawClient client(with_echo(site).server->port());
    REQUIRE(client.send(
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    CHECK(client.read_response() == "HTTP/1.1 100 Continue\r\n\r\n");
    REQUIRE(client.send("ok"));
    CHECK(client.read_response().ends_with("POST /x ok"));
}

TEST_CASE("server: a body that is too large is refused before it is sent", "[http]") {
    Site site;
    with_echo(site, {.body_bytes_max = 10});
    const auto answer = converse(
        site, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 413 "));
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(refused(site, "body_too_large") == 1);
}

TEST_CASE("server: the largest body allowed is taken, one byte more is 413", "[http]") {
    Site site;
    with_echo(site, {.body_bytes_max = 10});
    RawClient client(site.server->port());
    REQUIRE(client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"));
    CHECK(client.read_response().ends_with("0123456789"));
    REQUIRE(client.send(
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n"));
    CHECK(client.read_to_end().starts_with("HTTP/1.1 413 "));
}

TEST_CASE("server: a client that sends on and on still gets its 413", "[http]") {
    Site site;
    with_echo(site, {.body_bytes_max = 1000});
    RawClient client(site.server->port());
    REQUIRE(client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"));
    CHECK(client.send(std::string(3'000'000, 'x')));
    CHECK(client.read_response().starts_with("HTTP/1.1 413 "));
}

TEST_CASE("server: headers that are too large are 431", "[http]") {
    Site site;
    with_echo(site, {.header_bytes_max = 2048});
    const auto request = [](std::size_t bytes) {
        std::string text = "GET /x HTTP/1.1\r\nHost: a\r\nX: ";
        text.append(bytes - text.size() - 4, 'x');
        return text + "\r\n\r\n";
    };
    RawClient client(site.server->port());
    REQUIRE(client.send(request(2000)));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(converse(site, request(2100)).starts_with("HTTP/1.1 431 "));
    CHECK(converse(site, request(1 << 16)).starts_with("HTTP/1.1 431 "));
    CHECK(converse(site, "GET /" + std::string(1 << 16, 'x')).starts_with("HTTP/1.1 431 "));
    CHECK(refused(site, "headers_too_large") == 3);
}

TEST_CASE("server: what is not HTTP/1.1 is 400 and the connection ends", "[http]") {
    Site site;
    with_echo(site);
    for (const std::string text : {
             "hello\r\n\r\n",
             "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET /x HTTP/2.0\r\nHost: a\r\n\r\n",
             "GET /x HTTP/1.1\r\n\r\n",
             "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
             "GET /x HTTP/1.1\r\nHost : a\r\n\r\n",
             "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
             "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
             "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
             "chunked\r\n\r\n0",
             "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
             "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET /?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS",
         }) {
        INFO(text);
        const auto answer = converse(site, text);
        CHECK(answer.starts_with("HTTP/1.1 400 "));
        CHECK(answer.find("HTTP/1.1 4", 1) == std::string::npos);
    }
    CHECK(refused(site, "malformed") == 14);
}

TEST_CASE("server: a transfer coding that others may read differently is refused", "[http]") {
    Site site;
    with_echo(site);
    for (const std::string coding : {"gzip", "gzip, chunked", "chunked, chunked", "xchunked"}) {
        INFO(coding);
        const auto answer = converse(
            site,
            fmt::format("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {}\r\n\r\n0\r\n\r\n",
                        coding));
        CHECK(answer.starts_with("HTTP/1.1 501 "));
    }
}

TEST_CASE("server: an expectation it does not know is 417", "[http]") {
    Site site;
    with_echo(site);
    CHECK(converse(site, "GET /x HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n")
              .starts_with("HTTP/1.1 417 "));
}

TEST_CASE("server: HEAD has the length but not the body", "[http]") {
    Site site;
    RawClient client(with_echo(site).server->port());
    REQUIRE(client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    const auto answer = client.read_response(false);
    CHECK(answer.find("Content-Length: 8\r\n") != std::string::npos);  // "HEAD /x "
    REQUIRE(client.send(kGet));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("server: HTTP/1.0 and Connection: close end the connection", "[http]") {
    Site site;
    with_echo(site);
    CHECK(converse(site, "GET /x HTTP/1.0\r\n\r\n").ends_with("GET /x "));
    CHECK(converse(site, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
              .find("Connection: close\r\n") != std::string::npos);
    RawClient client(site.server->port());
    for (int i = 0; i < 2; ++i) {
        REQUIRE(client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        CHECK(client.read_response().find("Connection: keep-alive\r\n") != std::string::npos);
    }
}

TEST_CASE("server: a request that comes drop by drop is 408", "[http]") {
    Site site;
    with_echo(site, {.request_timeout = seconds{1}});
    SECTION("in its headers") {
        CHECK(converse(site, "GET /x HTTP/1.1\r\nHost: ").starts_with("HTTP/1.1 408 "));
    }
    SECTION("in its body") {
        CHECK(converse(site, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
                  .starts_with("HTTP/1.1 408 "));
    }
    SECTION("with a byte now and then") {
        RawClient client(site.server->port());
        REQUIRE(client.send("GET /x HTTP/1.1\r\nHost: a\r\n"));
        const SystemClock clock;
        auto next = clock.steady();
        CHECK(eventually([&] {
            if (clock.steady() < next) return false;
            next = clock.steady() + std::chrono::milliseconds{100};
            client.send("X: y\r\n");
            return refused(site, "timeout") == 1;
        }));
        CHECK(client.read_response().starts_with("HTTP/1.1 408 "));
    }
    CHECK(refused(site, "timeout") == 1);
}

TEST_CASE("server: silent connections are closed without a word", "[http]") {
    Site site;
    with_echo(site, {.request_timeout = seconds{1}, .idle_timeout = seconds{1}});
    CHECK(converse(site, "").empty());
    const auto answer = converse(site, kGet);
    CHECK(answer.ends_with("GET /x "));  // Kept alive, then idle for too long.
}

TEST_CASE("server: above the limit of connections a request is 503 with Retry-After", "[http]") {
    Site site;
    with_echo(site, {.connections_max = 2});
    RawClient first(site.server->port());
    RawClient second(site.server->port());
    for (auto* client : {&first, &second}) {
        REQUIRE(client->send(kGet));
        CHECK(client->read_response().starts_with("HTTP/1.1 200 "));
    }
    const auto answer = converse(site, kGet);
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    CHECK(answer.find("retry-after: 1\r\n") != std::string::npos);
    CHECK(refused(site, "connections_max") == 1);

    first.close();
    CHECK(eventually([&] {
        RawClient again(site.server->port());
        return again.send(kGet) && again.read_response().starts_with("HTTP/1.1 200 ");
    }));
}

TEST_CASE("server: an answer may come later and from another thread", "[http]") {
    Site site;
    std::vector<std::jthread> threads;
    site.router.add("GET", "/x", [&](Request, Respond respond) {
        threads.emplace_back([respond = std::move(respond)] {
            respond(Response::text(200, "first"));
            respond(Response::text(200, "second"));  // Too late: ignored.
        });
    });
    site.start({.threads = 1});
    RawClient client(site.server->port());
    for (int i = 0; i < 10; ++i) {
        REQUIRE(client.send(kGet));
        CHECK(client.read_response().ends_with("first"));
    }
    client.close();
    site.server->drain(seconds{10});
}

TEST_CASE("server: an answer can be held back while others are answered", "[http]") {
    Site site;
    site.router.add("GET", "/later", [](const Request&, const Respond& respond) {
        Response response = Response::text(503, "later");
        response.held_back = std::chrono::milliseconds{300};
        respond(std::move(response));
    });
    with_echo(site);
    const auto began = std::chrono::steady_clock::now();
    const auto waited = [&] { return std::chrono::steady_clock::now() - began; };
    RawClient refused_one(site.server->port());
    REQUIRE(refused_one.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    RawClient other(site.server->port());
    REQUIRE(other.send(kGet));
    CHECK(other.read_response().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(waited() < std::chrono::milliseconds{300});
    CHECK(refused_one.read_response().starts_with("HTTP/1.1 503"));
    CHECK(waited() >= std::chrono::milliseconds{300});
    // The connection goes on.
    REQUIRE(refused_one.send(kGet));
    CHECK(refused_one.read_response().starts_with("HTTP/1.1 200 OK\r\n"));
    // One that leaves meanwhile, and a server that ends meanwhile, do no harm.
    RawClient gone(site.server->port());
    REQUIRE(gone.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    gone.close();
    RawClient last(site.server->port());
    REQUIRE(last.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
}

TEST_CASE("server: a request whose Respond is dropped is 500", "[http]") {
    Site site;
    site.router.add("GET", "/x", [](Request, Respond) {});
    site.start();
    RawClient client(site.server->port());
    for (int i = 0; i < 2; ++i) {
        REQUIRE(client.send(kGet));
        CHECK(client.read_response().starts_with("HTTP/1.1 500 "));
    }
    CHECK(refused(site, "answer_lost") == 2);
}

TEST_CASE("server: an answer that would forge headers is 500", "[http]") {
    Site site;
    site.router.add("GET", "/value", [](Request, Respond respond) {
        respond({302, {{"location", "/\r\nset-cookie: x"}}, ""});
    });
    site.router.add("GET", "/name",
                    [](Request, Respond respond) { respond({200, {{"a b", "c"}}, ""}); });
    site.router.add("GET", "/status", [](Request, Respond respond) { respond({42, {}, ""}); });
    site.start();
    RawClient client(site.server->port());
    for (const auto* path : {"/value", "/name", "/status"}) {
        REQUIRE(client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path)));
        const auto answer = client.read_response();
        CHECK(answer.starts_with("HTTP/1.1 500 "));
        CHECK(answer.find("set-cookie") == std::string::npos);
    }
    CHECK(refused(site, "answer_invalid") == 3);
}

TEST_CASE("server: an answer to a client that left, or after the server, does no harm", "[http]") {
    std::mutex mutex;
    std::map<std::string, Respond> waiting;
    const auto wait_for = [&](const std::string& path) {
        return eventually([&] {
            const std::scoped_lock lock(mutex);
            return waiting.contains(path);
        });
    };
    {
        Site site;
        for (const auto* path : {"/leaves", "/stays", "/late"}) {
            site.router.add("GET", path, [&](Request request, Respond respond) {
                const std::scoped_lock lock(mutex);
                waiting[request.path] = std::move(respond);
            });
        }
        site.start();
        RawClient leaves(site.server->port());
        RawClient stays(site.server->port());
        REQUIRE(leaves.send("GET /leaves HTTP/1.1\r\nHost: a\r\n\r\n"));
        REQUIRE(stays.send("GET /stays HTTP/1.1\r\nHost: a\r\n\r\n"));
        REQUIRE(wait_for("/leaves"));
        REQUIRE(wait_for("/stays"));
        leaves.close();
        waiting["/leaves"](Response::text(200, std::string(1 << 20, 'x')));
        waiting["/stays"](Response::text(200, "still here"));
        CHECK(stays.read_response().ends_with("still here"));
        CHECK(eventually(
            [&] { return site.metric(R"(vigie_http_connections{server="test"})") == 1; }));
        REQUIRE(stays.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
        REQUIRE(wait_for("/late"));
    }
    waiting["/late"](Response::text(200, "too late"));
    waiting.clear();
}

TEST_CASE("server: a client that does not read its answer is closed", "[http]") {
    Site site;
    site.router.add("GET", "/x", [](Request, Respond respond) {
        respond(Response::text(200, std::string(32 << 20, 'x')));
    });
    site.start({.idle_timeout = seconds{1}});
    RawClient client(site.server->port());
    REQUIRE(client.send(kGet));
    CHECK(eventually([&] { return site.metric(R"(vigie_http_connections{server="test"})") == 1; }));
    CHECK(eventually([&] { return site.metric(R"(vigie_http_connections{server="test"})") == 0; }));
}

TEST_CASE("server: an address that is taken is a conflict, a wrong one is invalid", "[http]") {
    Site site;
    with_echo(site);
    const auto start = [&](Server::Options options) {
        return Server::start(std::move(options), site.router, site.metrics, site.log);
    };
    const auto taken = start({.port = site.server->port()});
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().kind == ErrorKind::kConflict);
    CHECK(taken.error().message.find(std::to_string(site.server->port())) != std::string::npos);

    const auto wrong = start({.address = "localhost"});
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().kind == ErrorKind::kInvalid);
    CHECK_FALSE(start({.address = "192.0.2.1"}).has_value());  // Not this machine's.
    CHECK_FALSE(start({.threads = 0}).has_value());
    CHECK_FALSE(start({.header_bytes_max = 1 << 20}).has_value());
    CHECK_FALSE(start({.websocket_path = "/ws"}).has_value());
}

TEST_CASE("server: a name that is not answered is refused, for WebSockets too", "[http]") {
    Site site;
    site.router.add("GET", "/x", echo);
    Server::Options options;
    options.host_allowed = [](std::string_view host) { return host == "localhost:80"; };
    options.websocket_path = "/stream";
    options.on_websocket = [](const std::shared_ptr<WebSocket>&) {};
    site.start(options);
    const auto answer_to = [&](const std::string& head) {
        RawClient client(site.server->port());
        REQUIRE(client.send(head + "Connection: close\r\n\r\n"));
        return client.read_to_end();
    };
    CHECK(answer_to("GET /x HTTP/1.1\r\nHost: localhost:80\r\n").starts_with("HTTP/1.1 200"));
    CHECK(answer_to("GET /x HTTP/1.0\r\n").starts_with("HTTP/1.1 200"));
    CHECK(answer_to("GET /x HTTP/1.1\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 403"));
    CHECK(answer_to("GET /stream HTTP/1.1\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 403"));
}

}  // namespace vigie::http::test
