#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

double seconds_of(const std::function<void()>& work) {
    const SystemClock clock;
    const auto start = clock.steady();
    work();
    return std::chrono::duration<double>(clock.steady() - start).count();
}

// Keeps every request until the test answers it.
struct Held {
    std::mutex mutex;
    std::vector<Respond> responds;

    Handler handler() {
        return [this](Request, Respond respond) {
            const std::scoped_lock lock(mutex);
            responds.push_back(std::move(respond));
        };
    }
    bool wait(std::size_t count) {
        return eventually([&] {
            const std::scoped_lock lock(mutex);
            return responds.size() == count;
        });
    }
};

}  // namespace

TEST_CASE("drain: idle connections are closed at once", "[http]") {
    Site site;
    site.router.add("GET", "/x", echo);
    site.start();
    RawClient used(site.server->port());
    RawClient unused(site.server->port());
    REQUIRE(used.send(kGet));
    CHECK_FALSE(used.read_response().empty());
    CHECK(eventually([&] { return site.metric(R"(vigie_http_connections{server="test"})") == 2; }));
    CHECK(seconds_of([&] { site.server->drain(seconds{60}); }) < 5);
    CHECK(used.read_to_end().empty());
    CHECK(used.closed());
    CHECK(unused.read_to_end().empty());
    CHECK_FALSE(RawClient(site.server->port()).connected());
}

TEST_CASE("drain: a running request is answered, and told that the connection closes", "[http]") {
    Held held;
    Site site;
    site.router.add("GET", "/x", held.handler());
    site.start();
    RawClient client(site.server->port());
    REQUIRE(client.send(kGet));
    REQUIRE(held.wait(1));

    std::atomic<bool> drained{false};
    std::jthread drainer([&] {
        site.server->drain(seconds{60});
        drained = true;
    });
    REQUIRE(eventually([&] { return !RawClient(site.server->port()).connected(); }));
    CHECK_FALSE(drained);
    held.responds[0](Response::text(200, "done"));
    const auto answer = client.read_to_end();
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(answer.ends_with("done"));
    client.close();
    drainer.join();
    CHECK(drained);
}

TEST_CASE("drain: a request that arrives in pieces meanwhile is answered", "[http]") {
    Site site;
    site.router.add("POST", "/x", echo);
    site.start();
    RawClient client(site.server->port());
    REQUIRE(
        client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: "
                    "100-continue\r\n\r\n"));
    REQUIRE(client.read_response().starts_with("HTTP/1.1 100"));
    std::jthread drainer([&] { site.server->drain(seconds{60}); });
    REQUIRE(eventually([&] { return !RawClient(site.server->port()).connected(); }));
    REQUIRE(client.send("body"));
    CHECK(client.read_to_end().ends_with("POST /x body"));
    client.close();
}

TEST_CASE("drain: what is not answered in time is closed and counted in the log", "[http]") {
    Held held;
    Site site;
    site.router.add("GET", "/x", held.handler());
    site.start();
    RawClient client(site.server->port());
    REQUIRE(client.send(kGet));
    REQUIRE(held.wait(1));
    CHECK(seconds_of([&] { site.server->drain(milliseconds{100}); }) < 5);
    CHECK(client.read_to_end().empty());
    CHECK(client.closed());
    CHECK(site.log.lines().back().find("count=1") != std::string::npos);
    held.responds[0](Response::text(200, "too late"));
}

TEST_CASE("drain: under load, every request is answered whole or certainly not begun", "[http]") {
    Site site;
    std::atomic<int> handled{0};
    site.router.add("GET", "/x", [&](Request, Respond respond) {
        handled.fetch_add(1);
        respond(Response::text(200, std::string(100'000, 'x')));
    });
    site.start();
    std::atomic<int> answered{0};
    std::atomic<int> broken{0};
    std::vector<std::jthread> clients;
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back([&] {
            RawClient client(site.server->port());
            while (client.connected() && client.send(kGet)) {
                const auto head_and_body = client.read_response();
                if (head_and_body.empty()) {
                    // Closed between two requests: not a byte of an answer may have come.
                    if (!client.read_to_end().empty()) broken.fetch_add(1);
                    return;
                }
                answered.fetch_add(1);
            }
        });
    }
    REQUIRE(eventually([&] { return answered.load() > 100; }));
    site.server->drain(seconds{30});
    clients.clear();
    CHECK(broken == 0);
    CHECK(answered == handled);
    CHECK(site.metric(R"(vigie_http_connections{server="test"})") == 0);
}

TEST_CASE("drain: twice is once, and the destructor after it is nothing", "[http]") {
    Site site;
    site.router.add("GET", "/x", echo);
    site.start();
    site.server->drain(milliseconds{0});
    site.server->drain(seconds{60});
    site.server.reset();
}

}  // namespace vigie::http::test
