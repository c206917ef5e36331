#include <nghttp2/nghttp2.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "http/grpc.h"
#include "tests/http/fixture.h"
#include "tests/http/h2_client.h"

using namespace vigie;
using namespace vigie::http;
using namespace vigie::http::test;
using namespace std::chrono_literals;

namespace {

// Handlers that echo, answer much, answer never and answer when the test says.
struct H2Site : Site {
    explicit H2Site(Server::Options options = {}) {
        router.add("POST", "/echo", echo);
        router.add("GET", "/echo", echo);
        router.add("GET", "/much", [](Request, Respond respond) {
            respond(Response::text(200, std::string(3'000'000, 'x')));
        });
        router.add("POST", "/header", [](Request request, Respond respond) {
            respond(Response::text(200, std::string(request.header("x-a"))));
        });
        router.add("GET", "/lost", [](Request, Respond) {});
        router.add("POST", "/later", [this](Request, Respond respond) {
            const std::scoped_lock lock(mutex);
            later.push_back(std::move(respond));
        });
        router.add("POST", "/call", [](Request request, Respond respond) {
            const auto message = read_grpc_message(request.body);
            respond(message ? grpc_answer(message->bytes)
                            : grpc_refusal(GrpcCode::kInvalidArgument, message.error().message));
        });
        options.http2 = true;
        start(std::move(options));
    }
    ~H2Site() {
        const std::scoped_lock lock(mutex);
        later.clear();
    }
    std::size_t waiting() {
        const std::scoped_lock lock(mutex);
        return later.size();
    }
    double refused(const std::string& reason) const {
        return metric("vigie_http_refused_total{reason=\"" + reason + "\",server=\"test\"}");
    }

    std::mutex mutex;
    std::vector<Respond> later;
};

std::string value_of(const H2Client::Answer& answer, const std::string& name) {
    const auto found = answer.headers.find(name);
    return found == answer.headers.end() ? "" : found->second;
}

}  // namespace

TEST_CASE("http/2: requests are answered, many on one connection", "[http]") {
    H2Site site;
    H2Client client(site.server->port());
    const auto& first = client.ask("POST", "/echo?a=b", "body", {{"x-one", "1"}});
    CHECK(value_of(first, ":status") == "200");
    CHECK(first.body.find("POST") != std::string::npos);
    CHECK(first.body.find("body") != std::string::npos);
    std::vector<std::int32_t> streams;
    for (int i = 0; i < 50; ++i) {
        streams.push_back(client.begin("POST", "/echo", std::string(1000, 'y')));
    }
    for (const auto stream : streams) CHECK(value_of(client.wait(stream), ":status") == "200");
    CHECK(client.ask("GET", "/much").body.size() == 3'000'000);
    CHECK(client.ask("HEAD", "/echo").body.empty());
    CHECK(value_of(client.ask("GET", "/nowhere"), ":status") == "404");
    CHECK(value_of(client.ask("GET", "/lost"), ":status") == "500");
}

TEST_CASE("http/2: the same port speaks HTTP/1.1, and the preface may come byte by byte",
          "[http]") {
    H2Site site;
    RawClient one(site.server->port());
    one.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(one.read_response().find("200") != std::string::npos);
    RawClient slow(site.server->port());
    for (const char c : std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
        slow.send(std::string(1, c));
        sleep_for(1ms);
    }
    slow.send(std::string("\0\0\0\4\0\0\0\0\0", 9));
    // SETTINGS of the server come first.
    CHECK(slow.read_exactly(5).at(3) == '\4');
    RawClient wrong(site.server->port());
    wrong.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    wrong.read_to_end();
    CHECK(wrong.closed());
    RawClient post(site.server->port());
    post.send("P");
    post.send("OST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(post.read_response().find("200") != std::string::npos);
}

TEST_CASE("http/2: trailers never pass for headers", "[http]") {
    H2Site site;
    H2Client client(site.server->port());
    const auto& answer = client.wait(client.begin("POST", "/header", "body", {{"x-b", "1"}}, false,
                                                  {{"x-a", "from a trailer"}}));
    CHECK(value_of(answer, ":status") == "200");
    CHECK(answer.body.empty());
    CHECK(client.ask("POST", "/header", "body", {{"x-a", "from a header"}}).body ==
          "from a header");
}

TEST_CASE("http/2: a server that was not told to does not speak it", "[http]") {
    Site site;
    site.router.add("POST", "/echo", echo);
    site.start();
    RawClient client(site.server->port());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    CHECK(client.read_to_end().find("HTTP/1.1 400") != std::string::npos);
}

TEST_CASE("http/2: limits are answered with their status", "[http]") {
    Server::Options options;
    options.body_bytes_max = 100'000;
    options.header_bytes_max = 4096;
    options.request_timeout = 1s;
    options.host_allowed = [](std::string_view host) { return host == "127.0.0.1"; };
    H2Site site(options);
    H2Client client(site.server->port());
    CHECK(value_of(client.ask("POST", "/echo", std::string(100'000, 'x')), ":status") == "200");
    CHECK(value_of(client.ask("POST", "/echo", std::string(100'001, 'x')), ":status") == "413");
    CHECK(site.refused("body_too_large") == 1);
    CHECK(value_of(client.ask("GET", "/echo", "", {{"x-long", std::string(4096, 'x')}}),
                   ":status") == "431");
    // A malformed request ends its stream, unanswered (RFC 9113, 8.1.1), and only that.
    CHECK(value_of(client.ask("GET", "no-slash"), ":status").empty());
    CHECK(value_of(client.ask("GET", "/echo"), ":status") == "200");
    H2Client slow(site.server->port());
    const auto open = slow.begin("POST", "/echo", "part", {}, true);
    CHECK(value_of(slow.wait(open), ":status") == "408");
    CHECK(site.refused("timeout") == 1);
}

TEST_CASE("http/2: above the streams that a connection may have, more are refused", "[http]") {
    H2Site site;
    H2Client client(site.server->port());
    client.ask("GET", "/echo");  // The settings are known.
    std::vector<std::int32_t> streams;
    for (int i = 0; i < 100; ++i) streams.push_back(client.begin("POST", "/later", "x"));
    REQUIRE(eventually([&] { return site.waiting() == 100; }));
    // nghttp2's client keeps to the limit: this one waits until another is over.
    const auto more = client.begin("POST", "/echo", "x");
    CHECK(!client.answer(more).over);
    const std::scoped_lock lock(site.mutex);
    for (auto& respond : site.later) respond(Response::text(200, "done"));
    for (const auto stream : streams) CHECK(client.wait(stream).body == "done");
    CHECK(value_of(client.wait(more), ":status") == "200");
}

TEST_CASE("http/2: a flood of resets or pings closes the connection", "[http]") {
    H2Site site;
    {
        H2Client client(site.server->port());
        for (int i = 0; i < 250; ++i) client.reset(client.begin("POST", "/echo", "", {}, true));
        CHECK(client.wait_closed());
        CHECK(client.goodbye() == NGHTTP2_ENHANCE_YOUR_CALM);
        CHECK(site.refused("h2_flood") == 1);
    }
    H2Client client(site.server->port());
    for (int i = 0; i < 1100; ++i) client.ping();
    CHECK(client.wait_closed());
    CHECK(site.refused("h2_flood") == 2);
    CHECK(value_of(H2Client(site.server->port()).ask("GET", "/echo"), ":status") == "200");
}

TEST_CASE("http/2: the bounds of a connection are options, kept on both sides", "[http]") {
    Server::Options options;
    options.http2_bounds.streams_max = 2;
    options.http2_bounds.resets_max = 5;
    options.http2_bounds.control_frames_max = 20;
    H2Site site(options);
    {
        H2Client client(site.server->port());
        const auto first = client.begin("POST", "/later", "x");
        const auto second = client.begin("POST", "/later", "x");
        REQUIRE(eventually([&] { return site.waiting() == 2; }));
        const auto third = client.begin("POST", "/later", "x");
        CHECK(client.wait(third).error == NGHTTP2_REFUSED_STREAM);
        const std::scoped_lock lock(site.mutex);
        for (auto& respond : site.later) respond(Response::text(200, "late"));
        CHECK(client.wait(first).body == "late");
        CHECK(client.wait(second).body == "late");
    }
    {
        H2Client client(site.server->port());
        for (int i = 0; i < 5; ++i) client.reset(client.begin("POST", "/echo", "", {}, true));
        CHECK(value_of(client.ask("GET", "/echo"), ":status") == "200");
        client.reset(client.begin("POST", "/echo", "", {}, true));
        CHECK(client.wait_closed());
        CHECK(client.goodbye() == NGHTTP2_ENHANCE_YOUR_CALM);
    }
    H2Client client(site.server->port());
    for (int i = 0; i < 30; ++i) client.ping();
    CHECK(client.wait_closed());
    CHECK(site.refused("h2_flood") == 2);

    options.http2 = true;
    options.http2_bounds.streams_max = 0;
    Router router;
    MetricsRegistry metrics;
    MemoryLog log;
    CHECK_FALSE(Server::start(options, router, metrics, log).has_value());
    options.http2_bounds = {};
    options.http2_bounds.window_bytes = 65'534;
    CHECK_FALSE(Server::start(options, router, metrics, log).has_value());
}

TEST_CASE("http/2: draining says GOAWAY, answers what runs, and ends", "[http]") {
    H2Site site;
    H2Client idle(site.server->port());
    idle.ask("GET", "/echo");
    H2Client client(site.server->port());
    const auto stream = client.begin("POST", "/later", "x");
    REQUIRE(eventually([&] { return site.waiting() == 1; }));
    std::jthread drain([&] { site.server->drain(10s); });
    CHECK(idle.wait_closed());
    CHECK(idle.goodbye() == NGHTTP2_NO_ERROR);
    {
        const std::scoped_lock lock(site.mutex);
        site.later.at(0)(Response::text(200, "late"));
    }
    CHECK(client.wait(stream).body == "late");
    CHECK(client.wait_closed());
}

TEST_CASE("http/2: an idle connection is closed", "[http]") {
    Server::Options options;
    options.idle_timeout = 1s;
    H2Site site(options);
    H2Client client(site.server->port());
    client.ask("GET", "/echo");
    CHECK(client.wait_closed());
    CHECK(client.goodbye() == NGHTTP2_NO_ERROR);
}

TEST_CASE("grpc: a call has its message and its status in trailers", "[http]") {
    H2Site site;
    H2Client client(site.server->port());
    const H2Client::Fields headers{{"content-type", "application/grpc"}, {"te", "trailers"}};
    const auto& answer = client.ask("POST", "/call", std::string("\0\0\0\0\2hi", 7), headers);
    CHECK(value_of(answer, ":status") == "200");
    CHECK(value_of(answer, "grpc-status") == "0");
    CHECK(answer.body == std::string("\0\0\0\0\2hi", 7));
    const auto& wrong = client.ask("POST", "/call", std::string("\0\0\0\0\3hi", 7), headers);
    CHECK(value_of(wrong, "grpc-status") == "3");
    CHECK(value_of(wrong, "grpc-message") == "gRPC: the message has 2 bytes and says 3");
    CHECK(wrong.body.empty());
}

TEST_CASE("grpc: a deadline that passes is DEADLINE_EXCEEDED", "[http]") {
    H2Site site;
    H2Client client(site.server->port());
    const auto& answer = client.ask("POST", "/later", "x", {{"grpc-timeout", "150m"}});
    CHECK(value_of(answer, "grpc-status") == "4");
    CHECK(site.refused("deadline") == 1);
    // The answer that comes later is nobody's.
    const std::scoped_lock lock(site.mutex);
    site.later.at(0)(Response::text(200, "late"));
}

TEST_CASE("grpc: messages and timeouts are read as the protocol says", "[http]") {
    CHECK(!read_grpc_message(""));
    CHECK(!read_grpc_message(std::string(4, '\0')));
    CHECK(read_grpc_message(std::string(5, '\0'))->bytes.empty());
    CHECK(read_grpc_message(std::string("\1\0\0\0\1x", 6))->compressed);
    CHECK(!read_grpc_message(std::string("\2\0\0\0\1x", 6)));
    CHECK(!read_grpc_message(std::string("\0\xff\xff\xff\xffx", 6)));
    CHECK(!read_grpc_message(std::string("\0\0\0\0\1xy", 7)));
    CHECK(parse_grpc_timeout("1S") == 1s);
    CHECK(parse_grpc_timeout("100m") == 100ms);
    CHECK(parse_grpc_timeout("2M") == 2min);
    CHECK(parse_grpc_timeout("1H") == 1h);
    CHECK(parse_grpc_timeout("2500u") == 2ms);
    CHECK(parse_grpc_timeout("99999999n") == 99ms);
    for (const auto* wrong : {"", "S", "1", "1x", "-1S", "123456789S", "1.5S"}) {
        INFO(wrong);
        CHECK(!parse_grpc_timeout(wrong));
    }
    CHECK(grpc_refusal(GrpcCode::kInternal, "50 % \n\xc3\xa9").header("grpc-message") ==
          "50 %25 %0A%C3%A9");
    CHECK(grpc_refusal(GrpcCode::kInternal, "", "ab").header("grpc-status-details-bin") == "YWI");
}
