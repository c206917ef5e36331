// HTTP/1.1 alone, for tests/bench/ingest.py: Vigie's server with a handler that answers at once, a
// loop around epoll that knows no more of HTTP than where a request ends, and the sender for both.
//
// usage: http_floor vigie|epoll            prints its port, serves until its input ends
//        http_floor send PORT CONNECTIONS REQUESTS BODY_BYTES
#include <sys/epoll.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "core/log.h"
#include "core/metrics.h"
#include "http/router.h"
#include "http/server.h"
#include "tests/bench/http_post.h"

namespace {

using namespace vigie;

void tell_port(unsigned port) {
    fmt::print("{}\n", port);
    std::fflush(stdout);
}

int serve_vigie() {
    MetricsRegistry metrics;
    MemoryLog log;
    http::Router router;
    router.add("POST", "/post", [](http::Request request, http::Respond respond) {
        respond({request.body.empty() ? 400 : 204, {}, ""});
    });
    http::Server::Options options;
    options.name = "bench";
    options.threads = 1;
    auto server = http::Server::start(std::move(options), router, metrics, log);
    if (!server) {
        fmt::print(stderr, "{}\n", server.error().message);
        return 1;
    }
    tell_port((*server)->port());
    std::string line;
    while (std::getline(std::cin, line)) {
    }
    return 0;
}

// Reads what there is of a request; answers when it is complete.
bool take(int fd, std::string& got) {
    constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
    char buffer[16384];
    const auto size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    got.append(buffer, static_cast<std::size_t>(size));
    const auto end = got.find("\r\n\r\n");
    if (end == std::string::npos) return true;
    const auto at = got.find("Content-Length: ");
    if (at == std::string::npos) return false;
    if (got.size() < end + 4 + static_cast<std::size_t>(std::atol(got.c_str() + at + 16)))
        return true;
    got.clear();
    return send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) > 0;
}

int serve_epoll() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return 1;
    }
    tell_port(ntohs(address.sin_port));
    const int poll = epoll_create1(0);
    const auto watch = [poll](int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    };
    watch(listener);
    watch(STDIN_FILENO);
    std::unordered_map<int, std::string> connections;
    while (true) {
        epoll_event events[64];
        const int count = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) return 0;
            if (fd == listener) {
                const int fresh = accept(listener, nullptr, nullptr);
                const int on = 1;
                setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                watch(fresh);
                connections[fresh].clear();
            } else if (!take(fd, connections[fd])) {
                connections.erase(fd);
                close(fd);
            }
        }
    }
}

int send_posts(std::uint16_t port, int connections, long requests, std::size_t bytes) {
    const std::string body(bytes, 'x');
    const std::string head = fmt::format(
        "POST /post HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: vigie-bench/1\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        bytes);
    const std::string all = head + body;
    std::atomic<long> next{0};
    std::atomic<long> ok{0};
    {
        std::vector<std::jthread> threads;
        threads.reserve(static_cast<std::size_t>(connections));
        for (int i = 0; i < connections; ++i) {
            threads.emplace_back([&] {
                bench::Connection connection(port);
                while (next.fetch_add(1) < requests) ok += connection.post(all, "") == 204 ? 1 : 0;
            });
        }
    }
    fmt::print("{{\"ok\":{}}}\n", ok.load());
    return ok == requests ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "vigie") return serve_vigie();
    if (what == "epoll") return serve_epoll();
    if (what != "send" || argc < 6) return 2;
    return send_posts(static_cast<std::uint16_t>(std::atoi(argv[2])), std::atoi(argv[3]),
                      std::atol(argv[4]), static_cast<std::size_t>(std::atol(argv[5])));
}
