#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/result.h"
#include "core/system_clock.h"

// As much of the NATS client protocol (docs.nats.io, "Client Protocol") as it takes to publish to
// JetStream and read the acknowledgements.
namespace vigie::bench {

// One client with at most one message under way.
class NatsClient {
public:
    // Connects; kUnavailable when nobody listens.
    static Result<std::unique_ptr<NatsClient>> open(int port, int number) {
        const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        std::unique_ptr<NatsClient> client(new NatsClient(descriptor, number));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            return fail(ErrorKind::kUnavailable, "nats-server does not listen");
        const int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        client->write(fmt::format("CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\n", client->inbox_));
        return client;
    }
    ~NatsClient() { close(descriptor_); }
    NatsClient(const NatsClient&) = delete;
    NatsClient& operator=(const NatsClient&) = delete;

    void publish(std::string_view subject, std::string_view payload) {
        write(fmt::format("PUB {} {} {}\r\n{}\r\n", subject, inbox_, payload.size(), payload));
    }

    // Reads what is there; answers that came are in `answers`.
    void read_some(std::vector<std::string>& answers) {
        std::array<char, 4096> bytes{};
        const ssize_t count = read(descriptor_, bytes.data(), bytes.size());
        VIGIE_ASSERT(count > 0);
        input_.append(bytes.data(), static_cast<std::size_t>(count));
        while (take_one(answers)) {
        }
    }

    int descriptor() const { return descriptor_; }

private:
    NatsClient(int descriptor, int number)
        : descriptor_(descriptor), inbox_(fmt::format("_INBOX.{}", number)) {}

    void write(std::string_view bytes) {
        VIGIE_ASSERT(::write(descriptor_, bytes.data(), bytes.size()) ==
                     static_cast<ssize_t>(bytes.size()));
    }

    // "INFO …", "PING", or "MSG subject id length" and a line of that length.
    bool take_one(std::vector<std::string>& answers) {
        const std::size_t end = input_.find("\r\n");
        if (end == std::string::npos) return false;
        const std::string line = input_.substr(0, end);
        std::size_t used = end + 2;
        if (line.starts_with("MSG ")) {
            const std::size_t length = std::stoul(line.substr(line.rfind(' ') + 1));
            if (input_.size() < used + length + 2) return false;
            answers.push_back(input_.substr(used, length));
            used += length + 2;
        } else if (line == "PING") {
            write("PONG\r\n");
        }
        input_.erase(0, used);
        return true;
    }

    const int descriptor_;
    const std::string inbox_;
    std::string input_;
};

// Acknowledged messages a second of `producers` clients that each wait for their answer, on a new
// stream in a file. kUnavailable when the server cannot be reached or refuses the stream.
inline Result<double> nats_rate(int port, int producers, std::string_view payload,
                                std::chrono::seconds time) {
    std::vector<std::unique_ptr<NatsClient>> clients;
    std::vector<pollfd> waits;
    std::vector<std::string> answers;
    for (int i = 0; i < producers; ++i) {
        VIGIE_TRY_ASSIGN(auto client, NatsClient::open(port, i));
        waits.push_back({client->descriptor(), POLLIN, 0});
        clients.push_back(std::move(client));
    }
    clients[0]->publish("$JS.API.STREAM.CREATE.bench",
                        R"({"name":"bench","subjects":["bench.*"],"storage":"file"})");
    while (answers.empty()) clients[0]->read_some(answers);
    if (answers[0].find("\"error\"") != std::string::npos)
        return fail(ErrorKind::kUnavailable, answers[0]);
    const SystemClock clock;
    const SteadyTime start = clock.steady();
    for (const auto& client : clients) client->publish("bench.in", payload);
    std::size_t acknowledged = 0;
    while (clock.steady() - start < time) {
        poll(waits.data(), waits.size(), 100);
        for (std::size_t i = 0; i < waits.size(); ++i) {
            if ((waits[i].revents & POLLIN) == 0) continue;
            answers.clear();
            clients[i]->read_some(answers);
            for (const std::string& answer : answers) {
                if (answer.find("\"seq\"") == std::string::npos)
                    return fail(ErrorKind::kUnavailable, answer);
                ++acknowledged;
                clients[i]->publish("bench.in", payload);
            }
        }
    }
    return static_cast<double>(acknowledged) /
           std::chrono::duration<double>(clock.steady() - start).count();
}

}  // namespace vigie::bench
