// Frames of HTTP/2 from a client to the server, over a socket pair and without threads. The first
// byte says in pieces of which size they arrive; the preface is put in front of what follows.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "http/grpc.h"
#include "http/h2_session.h"
#include "http/server_impl.h"
#include "http/url.h"

namespace {

using namespace vigie;
using http::Request;
using http::Response;

constexpr std::size_t kHeaderBytesMax = 2048;
constexpr std::size_t kBodyBytesMax = 1024;

class Site {
public:
    Site() {
        router_.add("POST", "/a", [this](Request request, const http::Respond& respond) {
            check(request);
            respond({200, {{"x-seen", "1"}}, std::string(2000, 'x')});
        });
        router_.add("POST", "/call", [this](Request request, const http::Respond& respond) {
            check(request);
            const auto message = http::read_grpc_message(request.body);
            respond(message ? http::grpc_answer(message->bytes)
                            : http::grpc_refusal(http::GrpcCode::kInvalidArgument, "no"));
        });
        router_.add("GET", "/lost", [](Request, const http::Respond&) {});
        http::Server::Options options;
        options.name = "fuzz";
        options.header_bytes_max = kHeaderBytesMax;
        options.body_bytes_max = kBodyBytesMax;
        options.http2 = true;
        options.http2_bounds.streams_max = 4;
        options.http2_bounds.resets_max = 3;
        options.http2_bounds.control_frames_max = 20;
        core_ = std::make_shared<http::ServerCore>(std::move(options), router_, metrics_, log_);
    }

    // Sends the bytes in pieces, then says that no more will come, and returns what was answered.
    std::string converse(std::string_view bytes, std::size_t piece);

private:
    static void check(const Request& request) {
        VIGIE_ASSERT(request.http2 && request.remote == "client");
        VIGIE_ASSERT(request.body.size() <= kBodyBytesMax);
        std::size_t header_bytes = 0;
        for (const auto& [name, value] : request.headers) {
            VIGIE_ASSERT(http::is_token(name) && http::is_header_value(value));
            header_bytes += name.size() + value.size();
        }
        VIGIE_ASSERT(header_bytes <= kHeaderBytesMax);
    }
    bool run() {
        core_->io.restart();
        return core_->io.poll() > 0;
    }

    http::Router router_;
    MetricsRegistry metrics_;
    MemoryLog log_;
    std::shared_ptr<http::ServerCore> core_;
};

std::string Site::converse(std::string_view bytes, std::size_t piece) {
    std::array<int, 2> ends{};
    VIGIE_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) ==
                 0);
    http::Socket socket(http::net::make_strand(core_->io));
    socket.assign(http::net::ip::tcp::v4(), ends[0]);
    http::start_connection(core_, std::move(socket), false, "client");
    std::string answers;
    std::array<char, 4096> some{};
    const auto hear = [&] {
        const auto got = recv(ends[1], some.data(), some.size(), 0);
        if (got > 0) answers.append(some.data(), static_cast<std::size_t>(got));
        return got > 0;
    };
    bool said_all = false;
    for (int idle = 0; core_->session_count() > 0; ++idle) {
        // Nobody but us moves: a connection that stands still now would never end.
        VIGIE_ASSERT(idle < 100);
        if (run()) idle = 0;
        if (hear()) {
            idle = 0;
            continue;
        }
        const auto next = bytes.substr(0, piece);
        const auto sent = send(ends[1], next.data(), next.size(), MSG_NOSIGNAL);
        if (!next.empty() && sent > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
            idle = 0;
        } else if (!said_all && (next.empty() || sent < 0)) {
            said_all = shutdown(ends[1], SHUT_WR) == 0;
            idle = 0;
        }
    }
    while (run()) {
    }
    while (hear()) {
    }
    close(ends[1]);
    return answers;
}

// What the server says is frames, each with its nine bytes of header (RFC 9113, 4.1), none larger
// than a peer takes that has said nothing else, and begins with its settings.
void check_answers(std::string_view rest) {
    constexpr std::size_t kHeader = 9;
    constexpr std::size_t kFrameBytesMax = std::size_t{1} << 24U;
    bool first = true;
    while (rest.size() >= kHeader) {
        const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
        const std::size_t size =
            (std::size_t{byte(0)} << 16U) | (std::size_t{byte(1)} << 8U) | byte(2);
        VIGIE_ASSERT(size < kFrameBytesMax);
        if (first) VIGIE_ASSERT(byte(3) == 4);  // SETTINGS
        first = false;
        if (rest.size() < kHeader + size) return;  // The connection ended in between.
        rest.remove_prefix(kHeader + size);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static Site site;
    const std::string bytes = std::string(http::kH2Preface) +
                              std::string(reinterpret_cast<const char*>(data) + 1, size - 1);
    check_answers(site.converse(bytes, std::size_t{1} + data[0]));
    return 0;
}
