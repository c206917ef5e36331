#include "http/client.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

using std::chrono::milliseconds;

struct Told {
    std::expected<Response, ClientError> answer;
    std::string request;  // What the peer received.
};

// One request to a peer that says `reply`.
Told tell(std::string_view reply, ClientRequest request = {},
          ClientOptions options = fast_client()) {
    SilentListener peer;
    request.url = fmt::format("http://127.0.0.1:{}/x", peer.port());
    Told told;
    std::jthread serving([&] { told.request = peer.serve_once(reply); });
    told.answer = send(request, options);
    return told;
}

void check_error(const std::expected<Response, ClientError>& answer, ErrorKind kind, bool sent) {
    if (answer) FAIL("answered " << answer->status << " '" << answer->body << "'");
    INFO(answer.error().error.message);
    CHECK(to_string(answer.error().error.kind) == to_string(kind));
    CHECK(answer.error().sent == sent);
    CHECK_FALSE(answer.error().error.message.empty());
}

}  // namespace

TEST_CASE("client: sends a request and reads the answer", "[http]") {
    Site site;
    site.router.add("POST", "/a b", [](Request request, Respond respond) {
        auto response = Response::json(201, request.body + std::string(request.header("x-one")));
        response.headers.emplace_back("X-Two", "2");
        respond(std::move(response));
    });
    site.start();
    const auto answer = send(
        {.method = "POST", .url = site.url("/a%20b"), .headers = {{"X-One", "1"}}, .body = "body"},
        fast_client());
    REQUIRE(answer.has_value());
    CHECK(answer->status == 201);
    CHECK(answer->body == "body1");
    CHECK(answer->header("x-two") == "2");
    CHECK(answer->header("content-type") == "application/json");
}

TEST_CASE("client: any status is an answer, and redirects are not followed", "[http]") {
    CHECK(tell("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno").answer->status == 500);
    const auto moved =
        tell("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(moved.answer.has_value());
    CHECK(moved.answer->status == 302);
    CHECK(moved.answer->header("location") == "http://127.0.0.1:1/");
}

TEST_CASE("client: GET and DELETE without a body have no Content-Length", "[http]") {
    constexpr std::string_view kReply = "HTTP/1.1 204 No Content\r\n\r\n";
    for (const std::string method : {"GET", "DELETE", "HEAD"}) {
        INFO(method);
        const auto told = tell(kReply, {.method = method});
        REQUIRE(told.answer.has_value());
        CHECK(told.request.starts_with(method + " /x HTTP/1.1\r\nHost: 127.0.0.1:"));
        CHECK(told.request.find("Content-Length") == std::string::npos);
        CHECK(told.request.find("Transfer-Encoding") == std::string::npos);
    }
}

TEST_CASE("client: a body is sent with its length, never chunked", "[http]") {
    constexpr std::string_view kReply = "HTTP/1.1 204 No Content\r\n\r\n";
    for (const std::string method : {"POST", "PUT", "PATCH"}) {
        INFO(method);
        CHECK(tell(kReply, {.method = method}).request.contains("Content-Length: 0\r\n"));
    }
    const auto large = tell(kReply, {.method = "DELETE", .body = std::string(100'000, 'x')});
    CHECK(large.request.contains("Content-Length: 100000\r\n"));
    CHECK_FALSE(large.request.contains("Transfer-Encoding"));
}

TEST_CASE("client: understands chunked, unlimited, empty and preceded answers", "[http]") {
    CHECK(tell("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
              .answer->body == "abc");
    CHECK(tell("HTTP/1.1 200 OK\r\n\r\nuntil the end").answer->body == "until the end");
    CHECK(tell("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").answer->status == 304);
    CHECK(tell("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", {.method = "HEAD"})
              .answer->body.empty());
    CHECK(tell("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
              .answer->body == "ok");
}

TEST_CASE("client: an answer that is cut, broken or endless leaves the fate unknown", "[http]") {
    std::string endless;
    for (int i = 0; i < 20; ++i) endless += "HTTP/1.1 102 Processing\r\n\r\n";
    for (const std::string& reply : std::vector<std::string>{
             "", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
             "nonsense\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
             "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", endless}) {
        INFO(reply.substr(0, 60));
        check_error(tell(reply).answer, ErrorKind::kUnavailable, true);
    }
}

TEST_CASE("client: the largest body allowed is read, one byte more is an error", "[http]") {
    auto options = fast_client();
    options.body_bytes_max = 3;
    CHECK(tell("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", {}, options).answer->body ==
          "abc");
    check_error(tell("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", {}, options).answer,
                ErrorKind::kUnavailable, true);
    check_error(tell("HTTP/1.1 200 OK\r\n\r\nabcd", {}, options).answer, ErrorKind::kUnavailable,
                true);
}

TEST_CASE("client: an early answer to a body that is refused is still read", "[http]") {
    Site site;
    site.router.add("POST", "/x", echo);
    site.start({.body_bytes_max = 10});
    const auto answer =
        send({.method = "POST", .url = site.url("/x"), .body = std::string(8 << 20, 'x')},
             fast_client());
    REQUIRE(answer.has_value());
    CHECK(answer->status == 413);
}

TEST_CASE("client: what cannot be sent as asked is invalid and not sent", "[http]") {
    const std::string url = "http://127.0.0.1:1/";
    for (const auto& request : std::vector<ClientRequest>{
             {.url = "127.0.0.1:1"},
             {.method = "GET /", .url = url},
             {.method = "", .url = url},
             {.url = url, .headers = {{"x", "a\r\ny: b"}}},
             {.url = url, .headers = {{"x y", "a"}}},
             {.url = url, .headers = {{"X", std::string(40'000, 'x')}}},
             {.url = url, .headers = {{"content-length", "5"}}},
             {.url = url, .headers = {{"Transfer-Encoding", "chunked"}}},
         }) {
        check_error(send(request, fast_client()), ErrorKind::kInvalid, false);
    }
}

TEST_CASE("client: link-local addresses are refused", "[http]") {
    for (const std::string host :
         {"169.254.169.254", "169.254.0.1", "[fe80::1]", "[::ffff:169.254.169.254]"}) {
        INFO(host);
        check_error(send({.url = "http://" + host + "/latest/meta-data"}, fast_client()),
                    ErrorKind::kRefused, false);
    }
}

TEST_CASE("client: nobody there is unavailable and certainly not sent", "[http]") {
    std::uint16_t port = 0;
    {
        const SilentListener gone;
        port = gone.port();
    }
    check_error(send({.url = fmt::format("http://127.0.0.1:{}/", port)}, fast_client()),
                ErrorKind::kUnavailable, false);
    check_error(send({.url = fmt::format("http://localhost:{}/", port)}, fast_client()),
                ErrorKind::kUnavailable, false);
}

TEST_CASE("client: a name without an address is unavailable, within the deadline", "[http]") {
    auto options = fast_client();
    options.connect_timeout = milliseconds{500};
    const SystemClock clock;
    const auto start = clock.steady();
    check_error(send({.url = "http://vigie.invalid/"}, options), ErrorKind::kUnavailable, false);
    CHECK(clock.steady() - start < std::chrono::seconds{5});
}

TEST_CASE("client: localhost is this machine", "[http]") {
    Site site;
    site.router.add("GET", "/x", echo);
    site.start();
    const auto answer =
        send({.url = fmt::format("http://localhost:{}/x", site.server->port())}, fast_client());
    REQUIRE(answer.has_value());
    CHECK(answer->status == 200);
}

TEST_CASE("client: a timeout before the connection stands is certainly not sent", "[http]") {
    auto options = fast_client();
    options.connect_timeout = milliseconds{100};
    SECTION("the peer does not accept") {
        const SilentListener full(0);
        const RawClient waiting(full.port());  // Takes the only place of the queue.
        const auto answer =
            send({.url = fmt::format("http://127.0.0.1:{}/", full.port())}, options);
        check_error(answer, ErrorKind::kUnavailable, false);
    }
    SECTION("the peer does not speak TLS") {
        const SilentListener silent;
        const auto answer =
            send({.url = fmt::format("https://127.0.0.1:{}/", silent.port())}, options);
        check_error(answer, ErrorKind::kUnavailable, false);
        CHECK(answer.error().error.message.find("100ms") != std::string::npos);
    }
}

TEST_CASE("client: a timeout after the request was sent leaves the fate unknown", "[http]") {
    const SilentListener silent;
    auto options = fast_client();
    options.total_timeout = milliseconds{100};
    const auto answer = send({.url = fmt::format("http://127.0.0.1:{}/", silent.port())}, options);
    check_error(answer, ErrorKind::kUnavailable, true);
}

TEST_CASE("client: an answer that comes drop by drop does not extend the deadline", "[http]") {
    std::atomic<bool> done{false};
    SilentListener peer;
    auto options = fast_client();
    options.total_timeout = milliseconds{300};
    std::jthread serving([&] { peer.serve_slowly(done); });
    const auto answer = send({.url = fmt::format("http://127.0.0.1:{}/", peer.port())}, options);
    done = true;
    check_error(answer, ErrorKind::kUnavailable, true);
}

TEST_CASE("client: stopped before it began, nothing is sent", "[http]") {
    const SilentListener silent;
    const auto stop = std::make_unique<std::stop_source>();
    stop->request_stop();
    const auto answer = send({.url = fmt::format("http://127.0.0.1:{}/", silent.port())},
                             fast_client(), stop->get_token());
    check_error(answer, ErrorKind::kCancelled, false);
}

TEST_CASE("client: stopped while it waits, the fate is unknown", "[http]") {
    const auto stop = std::make_unique<std::stop_source>();
    SilentListener peer;
    std::jthread stopping([&] { peer.read_request_then([&] { stop->request_stop(); }); });
    const auto answer = send({.url = fmt::format("http://127.0.0.1:{}/", peer.port())},
                             fast_client(), stop->get_token());
    check_error(answer, ErrorKind::kCancelled, true);
}

TEST_CASE("client: a thousand requests over kept connections from several threads", "[http]") {
    Site site;
    site.router.add("POST", "/x", echo);
    site.start();
    std::atomic<int> right{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                RawClient client(site.server->port());
                for (int i = 0; i < 250; ++i) {
                    const auto body = fmt::format("{}-{}", t, i);
                    client.send(
                        fmt::format("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}",
                                    body.size(), body));
                    if (client.read_response().ends_with("POST /x " + body)) right.fetch_add(1);
                }
            });
        }
    }
    CHECK(right == 1000);
}

TEST_CASE("client: may be used from several threads at once", "[http]") {
    Site site;
    site.router.add("GET", "/x", echo);
    site.start();
    std::atomic<int> right{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    const auto answer = send({.url = site.url("/x")}, fast_client());
                    if (answer && answer->status == 200) right.fetch_add(1);
                }
            });
        }
    }
    CHECK(right == 200);
}

}  // namespace vigie::http::test
