#include "http/frame_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <mutex>
#include <thread>

#include "core/system_clock.h"

namespace vigie::http {
namespace {

using namespace std::chrono_literals;

// A server on free ports that keeps what it is given; it takes nothing while `refuse` is true.
struct Served {
    explicit Served(FrameServer::Options options = {}) {
        options.name = "test";
        options.udp = FrameServer::Address{};
        options.tcp = FrameServer::Address{};
        options.retry_wait = 10ms;
        auto opened = FrameServer::open(
            options,
            [this](std::vector<std::string> frames, const std::string&, FrameServer::Done done) {
                bool taken = false;
                {
                    const std::scoped_lock lock(mutex);
                    ++offers;
                    taken = !refuse;
                    if (taken) received.insert(received.end(), frames.begin(), frames.end());
                }
                done(taken);
            },
            metrics, log);
        REQUIRE(opened.has_value());
        server = *std::move(opened);
        thread = std::jthread([this](const std::stop_token& stop) { server->run(stop); });
    }

    int connect() const {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const auto address = at(server->tcp_port());
        REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return fd;
    }
    static void put(int fd, std::string_view text) {
        REQUIRE(send(fd, text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    void datagram(std::string_view text) const {
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        const auto address = at(server->udp_port());
        sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
               sizeof address);
        close(fd);
    }
    static sockaddr_in at(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    bool wait_for(const std::function<bool()>& what) {
        for (int i = 0; i < 1000; ++i) {
            {
                const std::scoped_lock lock(mutex);
                if (what()) return true;
            }
            sleep_for(5ms);
        }
        return false;
    }

    MetricsRegistry metrics;
    MemoryLog log;
    std::mutex mutex;  // Protects the next three.
    std::vector<std::string> received;
    int offers = 0;
    bool refuse = false;
    std::unique_ptr<FrameServer> server;
    std::jthread thread;
};

}  // namespace

TEST_CASE("frame server: datagrams and streams become messages", "[http]") {
    Served served;
    served.datagram("<1>a datagram");
    const int fd = served.connect();
    served.put(fd, "<2>one\n5 c\nunt<3>un");
    served.put(fd, "finished");
    close(fd);
    const std::vector<std::string> expected{"<1>a datagram", "<2>one", "<3>unfinished", "c\nunt"};
    REQUIRE(served.wait_for([&] {
        auto sorted = served.received;
        std::sort(sorted.begin(), sorted.end());
        return sorted == expected;
    }));
}

TEST_CASE("frame server: what is not taken is offered again, and nothing more is read", "[http]") {
    Served served;
    served.refuse = true;
    const int fd = served.connect();
    served.put(fd, "one\n");
    REQUIRE(served.wait_for([&] { return served.offers >= 3; }));
    served.put(fd, "two\n");
    {
        const std::scoped_lock lock(served.mutex);
        CHECK(served.received.empty());
        served.refuse = false;
    }
    REQUIRE(
        served.wait_for([&] { return served.received == std::vector<std::string>{"one", "two"}; }));
    close(fd);
}

TEST_CASE("frame server: half a message holds a connection for a while only", "[http]") {
    FrameServer::Options options;
    options.frame_timeout = 1s;
    Served served(options);
    const int fd = served.connect();
    served.put(fd, "half a mess");
    char byte = 0;
    CHECK(recv(fd, &byte, 1, 0) == 0);  // Closed by the server
    close(fd);
    CHECK(served.metrics.expose().find(
              R"(vigie_http_refused_total{reason="timeout",server="test"} 1)") !=
          std::string::npos);
}

TEST_CASE("frame server: too many connections and datagrams are refused and counted", "[http]") {
    FrameServer::Options options;
    options.connections_max = 1;
    options.datagrams_waiting_max = 0;
    Served served(options);
    const int first = served.connect();
    served.put(first, "one\n");
    REQUIRE(served.wait_for([&] { return served.received.size() == 1; }));
    const int second = served.connect();
    char byte = 0;
    CHECK(recv(second, &byte, 1, 0) <= 0);
    served.datagram("lost");
    const auto counted = [&](std::string_view line) {
        return served.metrics.expose().find(line) != std::string::npos;
    };
    CHECK(served.wait_for([&] {
        return counted(R"(vigie_http_refused_total{reason="connections_max",server="test"} 1)") &&
               counted(R"(vigie_http_dropped_frames_total{reason="full",server="test"} 1)");
    }));
    close(first);
    close(second);
}

TEST_CASE("frame server: a port that is taken, and TLS without a certificate, are errors",
          "[http]") {
    Served served;
    FrameServer::Options options;
    options.tcp = FrameServer::Address{"127.0.0.1", served.server->tcp_port()};
    const auto nothing = [](std::vector<std::string>, const std::string&, FrameServer::Done) {};
    const auto taken = FrameServer::open(options, nothing, served.metrics, served.log);
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().kind == ErrorKind::kConflict);
    options = {};
    options.tls = FrameServer::Address{};
    CHECK_FALSE(FrameServer::open(options, nothing, served.metrics, served.log).has_value());
    options = {};
    options.udp = FrameServer::Address{"nowhere", 0};
    CHECK_FALSE(FrameServer::open(options, nothing, served.metrics, served.log).has_value());
}

}  // namespace vigie::http
