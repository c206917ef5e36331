#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

using std::chrono::seconds;

// The key and its answer are the example of RFC 6455, 1.3.
std::string upgrade(std::string_view path, std::string_view more = "") {
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: vigie:9099\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
        "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
        path, more);
}

struct Frame {
    int opcode = -1;  // -1: the connection ended.
    std::string text;
};

Frame read_frame(RawClient& client) {
    const auto head = client.read_exactly(2);
    if (head.size() < 2) return {};
    Frame frame{head[0] & 0x0F, ""};
    auto length = static_cast<std::size_t>(head[1] & 0x7F);
    if (length >= 126) {
        const auto more = client.read_exactly(length == 126 ? 2 : 8);
        length = 0;
        for (const char c : more) length = length * 256 + static_cast<unsigned char>(c);
    }
    if (length > 0) frame.text = client.read_exactly(length);
    return frame;
}

// A client's frame, masked with zeros.
std::string make_frame(int opcode, std::string_view text) {
    std::string frame{static_cast<char>(0x80 | opcode), static_cast<char>(0x80 | text.size())};
    frame.append(4, '\0');
    frame += text;
    return frame;
}

struct LiveSite : Site {
    std::mutex mutex;
    std::vector<std::shared_ptr<WebSocket>> sockets;

    explicit LiveSite(Server::Options options = {}) {
        options.websocket_path = "/api/v1/live";
        options.on_websocket = [this](std::shared_ptr<WebSocket> socket) {
            const std::scoped_lock lock(mutex);
            sockets.push_back(std::move(socket));
        };
        router.add("GET", "/x", echo);
        start(std::move(options));
    }
    ~LiveSite() { server.reset(); }

    std::shared_ptr<WebSocket> connect(RawClient& client) {
        const auto before = count();
        REQUIRE(client.send(upgrade("/api/v1/live")));
        const auto answer = client.read_response();
        CHECK(answer.starts_with("HTTP/1.1 101 "));
        CHECK(answer.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != std::string::npos);
        REQUIRE(eventually([&] { return count() == before + 1; }));
        const std::scoped_lock lock(mutex);
        return sockets.back();
    }
    std::size_t count() {
        const std::scoped_lock lock(mutex);
        return sockets.size();
    }
    bool connections(double wanted) {
        return eventually(
            [&] { return metric(R"(vigie_http_connections{server="test"})") == wanted; });
    }
};

}  // namespace

TEST_CASE("websocket: messages arrive in order, also from several threads", "[http]") {
    LiveSite site;
    RawClient client(site.server->port());
    const auto socket = site.connect(client);
    CHECK(socket->send("one"));
    CHECK(socket->send(std::string(70'000, 'x')));
    CHECK(socket->send(""));
    CHECK(read_frame(client).text == "one");
    CHECK(read_frame(client).text.size() == 70'000);
    const auto empty = read_frame(client);
    CHECK(empty.opcode == 1);
    CHECK(empty.text.empty());
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i) socket->send("many");
            });
        }
    }
    for (int i = 0; i < 200; ++i) REQUIRE(read_frame(client).text == "many");
}

TEST_CASE("websocket: messages from the client are ignored, pings are answered", "[http]") {
    LiveSite site;
    RawClient client(site.server->port());
    const auto socket = site.connect(client);
    REQUIRE(client.send(make_frame(1, "hello") + make_frame(2, "bytes") + make_frame(9, "ping")));
    const auto pong = read_frame(client);
    CHECK(pong.opcode == 10);
    CHECK(pong.text == "ping");
    CHECK(socket->send("still here"));
    CHECK(read_frame(client).text == "still here");
}

TEST_CASE("websocket: a client that leaves is noticed", "[http]") {
    LiveSite site;
    RawClient client(site.server->port());
    const auto socket = site.connect(client);
    SECTION("with a closing handshake") {
        REQUIRE(client.send(make_frame(8, "\x03\xe8")));
        CHECK(read_frame(client).opcode == 8);
    }
    SECTION("without") {
        client.close();
    }
    CHECK(site.connections(0));
    CHECK_FALSE(socket->send("nobody reads this"));
}

TEST_CASE("websocket: a client that sends nonsense or too much is closed", "[http]") {
    LiveSite site;
    RawClient client(site.server->port());
    const auto socket = site.connect(client);
    SECTION("an unmasked frame") {
        REQUIRE(client.send("\x81\x02hi"));
    }
    SECTION("a frame that never ends") {
        std::string head{"\x81\xff\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00", 14};
        client.send(head);
        client.send(std::string(10'000, 'x'));
    }
    CHECK(site.connections(0));
    CHECK_FALSE(socket->send("x"));
}

TEST_CASE("websocket: a client that does not read is closed, the others are not", "[http]") {
    LiveSite site;
    RawClient slow(site.server->port());
    slow.shrink_receive_buffer();
    RawClient fast(site.server->port());
    const auto slow_socket = site.connect(slow);
    const auto fast_socket = site.connect(fast);
    bool open = true;
    int sent = 0;
    for (; open && sent < 100'000; ++sent) open = slow_socket->send(std::string(64 * 1024, 'x'));
    CHECK_FALSE(open);
    CHECK(sent > 256);
    CHECK(site.connections(1));
    CHECK(site.metric(R"(vigie_http_refused_total{reason="websocket_slow",server="test"})") == 1);
    CHECK_FALSE(slow_socket->send("x"));
    CHECK(fast_socket->send("still here"));
    CHECK(read_frame(fast).text == "still here");
}

TEST_CASE("websocket: a client that answers no ping is closed", "[http]") {
    LiveSite site({.websocket_silence_max = seconds{1}});
    RawClient silent(site.server->port());
    const auto socket = site.connect(silent);
    CHECK(read_frame(silent).opcode == 9);
    CHECK(site.connections(0));
    CHECK_FALSE(socket->send("x"));
}

TEST_CASE("websocket: only the configured path upgrades, and only with an upgrade", "[http]") {
    LiveSite site;
    RawClient other(site.server->port());
    REQUIRE(other.send(upgrade("/x")));
    CHECK(other.read_response().starts_with("HTTP/1.1 200 "));
    RawClient plain(site.server->port());
    REQUIRE(plain.send("GET /api/v1/live HTTP/1.1\r\nHost: a\r\n\r\n"));
    const auto answer = plain.read_response();
    CHECK(answer.starts_with("HTTP/1.1 426 "));
    CHECK(answer.find("upgrade: websocket\r\n") != std::string::npos);
    CHECK(site.count() == 0);
}

TEST_CASE("websocket: a page of another origin cannot upgrade", "[http]") {
    LiveSite site;
    for (const std::string origin :
         {"http://evil.example", "http://vigie", "http://vigie:9098", "null", "vigie:9099"}) {
        INFO(origin);
        RawClient client(site.server->port());
        REQUIRE(client.send(upgrade("/api/v1/live", "Origin: " + origin + "\r\n")));
        CHECK(client.read_response().starts_with("HTTP/1.1 403 "));
    }
    RawClient own(site.server->port());
    REQUIRE(own.send(upgrade("/api/v1/live", "Origin: https://Vigie:9099\r\n")));
    CHECK(own.read_response().starts_with("HTTP/1.1 101 "));
}

TEST_CASE("websocket: a drain says goodbye, and sending afterwards does no harm", "[http]") {
    std::shared_ptr<WebSocket> socket;
    {
        LiveSite site;
        RawClient client(site.server->port());
        socket = site.connect(client);
        std::jthread drainer([&] { site.server->drain(seconds{30}); });
        const auto goodbye = read_frame(client);
        CHECK(goodbye.opcode == 8);
        CHECK(goodbye.text.starts_with("\x03\xe9"));  // 1001, going away
        REQUIRE(client.send(make_frame(8, "\x03\xe9")));
        drainer.join();
        CHECK_FALSE(socket->send("x"));
    }
    CHECK_FALSE(socket->send("x"));
}

TEST_CASE("websocket: a drain does not wait for a client that does not say goodbye", "[http]") {
    LiveSite site;
    RawClient client(site.server->port());
    const auto socket = site.connect(client);
    site.server->drain(std::chrono::milliseconds{100});
    CHECK_FALSE(socket->send("x"));
}

TEST_CASE("websocket: pushing while clients come, go and the server drains", "[http]") {
    LiveSite site;
    const auto slow = [&] {
        return site.metric(R"(vigie_http_refused_total{reason="websocket_slow",server="test"})");
    };
    std::atomic<bool> done{false};
    std::jthread pusher([&] {
        while (!done.load()) {
            std::vector<std::shared_ptr<WebSocket>> sockets;
            {
                const std::scoped_lock lock(site.mutex);
                sockets = site.sockets;
            }
            for (const auto& socket : sockets) socket->send("push");
            std::this_thread::yield();
        }
    });
    for (int i = 0; i < 20; ++i) {
        RawClient client(site.server->port());
        site.connect(client);
        // On a busy machine 256 pushes may be faster than this thread: then it was closed for that.
        const auto frame = read_frame(client);
        CHECK((frame.text == "push" || (frame.opcode == -1 && slow() >= 1)));
    }
    RawClient last(site.server->port());
    site.connect(last);
    site.server->drain(std::chrono::milliseconds{50});
    done = true;
}

}  // namespace vigie::http::test
