#include "tests/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

namespace vigie::http::test {
namespace {

constexpr int kWaitMaxMs = 10'000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

bool wait_for(int fd, short events) {
    pollfd waiting{fd, events, 0};
    return ::poll(&waiting, 1, kWaitMaxMs) == 1;
}

std::size_t content_length(std::string_view head) {
    constexpr std::string_view kName = "Content-Length: ";
    const auto at = head.find(kName);
    if (at == std::string_view::npos) return 0;
    std::size_t length = 0;
    std::from_chars(head.data() + at + kName.size(), head.data() + head.size(), length);
    return length;
}

}  // namespace

RawClient::RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const auto address = loopback(port);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

void RawClient::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void RawClient::shrink_receive_buffer() {
    const int bytes = 4096;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

bool RawClient::fill() {
    if (fd_ < 0 || !wait_for(fd_, POLLIN)) return false;
    char bytes[16 * 1024];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) {
        closed_ = true;
        return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
}

std::string RawClient::read_exactly(std::size_t bytes) {
    while (buffer_.size() < bytes) {
        if (!fill()) return {};
    }
    auto text = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return text;
}

std::string RawClient::read_response(bool has_body) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) return {};
    }
    end += 4;
    return read_exactly(end + (has_body ? content_length(buffer_.substr(0, end)) : 0));
}

std::string RawClient::read_to_end() {
    while (fill()) {
    }
    return std::move(buffer_);
}

SilentListener::SilentListener(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size);
    ::listen(fd_, backlog);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
}

SilentListener::~SilentListener() {
    ::close(fd_);
}

int SilentListener::accept_request(std::string& request) {
    if (!wait_for(fd_, POLLIN)) return -1;
    const int peer = ::accept(fd_, nullptr, nullptr);
    while (!request.contains("\r\n\r\n") && wait_for(peer, POLLIN)) {
        char text[4096];
        const auto got = ::recv(peer, text, sizeof text, 0);
        if (got <= 0) break;
        request.append(text, static_cast<std::size_t>(got));
    }
    return peer;
}

std::string SilentListener::serve_once(std::string_view reply) {
    std::string request;
    const int peer = accept_request(request);
    ::send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
    // Closing with unread bytes would reset the connection and may destroy the reply.
    ::shutdown(peer, SHUT_WR);
    char text[4096];
    while (wait_for(peer, POLLIN) && ::recv(peer, text, sizeof text, 0) > 0) {
    }
    ::close(peer);
    return request;
}

void SilentListener::read_request_then(const std::function<void()>& next) {
    std::string request;
    const int peer = accept_request(request);
    next();
    wait_for(peer, POLLIN);
    ::close(peer);
}

void SilentListener::serve_slowly(const std::atomic<bool>& done) {
    std::string request;
    const int peer = accept_request(request);
    constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    ::send(peer, kHead.data(), kHead.size(), MSG_NOSIGNAL);
    while (!done.load() && ::send(peer, "x", 1, MSG_NOSIGNAL) == 1) {
        sleep_for(std::chrono::milliseconds{10});
    }
    ::close(peer);
}

}  // namespace vigie::http::test
