#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace vigie::bench {

// One kept-alive HTTP/1.1 connection to loopback that sends one request after the other.
class Connection {
public:
    explicit Connection(std::uint16_t port) : port_(port) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { close_now(); }

    // The status of the answer, 0 when the connection broke.
    int post(std::string_view head, std::string_view body) {
        if (fd_ < 0 && !open_now()) return 0;
        if (!send_all(head, !body.empty()) || !send_all(body, false)) return broken();
        std::string answer;
        char buffer[4096];
        while (true) {
            const auto got = recv(fd_, buffer, sizeof buffer, 0);
            if (got <= 0) return broken();
            answer.append(buffer, static_cast<std::size_t>(got));
            const auto end = answer.find("\r\n\r\n");
            if (end == std::string::npos) continue;
            if (answer.size() < end + 4 + length_of(answer.substr(0, end))) continue;
            int status = 0;
            std::from_chars(answer.data() + 9, answer.data() + 12, status);
            return status;
        }
    }

private:
    bool open_now() {
        fd_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            close_now();
            return false;
        }
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return true;
    }
    void close_now() {
        if (fd_ >= 0) close(fd_);
        fd_ = -1;
    }
    int broken() {
        close_now();
        return 0;
    }
    bool send_all(std::string_view bytes, bool more) {
        while (!bytes.empty()) {
            const auto sent =
                send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    static std::size_t length_of(std::string head) {
        for (char& c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        std::size_t length = 0;
        if (const auto at = head.find("content-length: "); at != std::string::npos) {
            std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
        }
        return length;
    }

    const std::uint16_t port_;
    int fd_ = -1;
};

}  // namespace vigie::bench
