#include "http/grpc.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace vigie::http {

namespace {

constexpr std::size_t kFrameBytes = 5;
constexpr std::size_t kMessageBytesMax = 1024;  // Of a status: it goes into a header.

// Percent-encoding of what is not printable ASCII.
std::string encode_message(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kMessageBytesMax)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte <= 0x7e && c != '%') {
            out += c;
        } else {
            out += fmt::format("%{:02X}", byte);
        }
    }
    return out;
}

// Without padding, as gRPC writes binary headers.
std::string base64(std::string_view bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (const char c : bytes) {
        held = held << 8U | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6) out += kDigits[held >> (bits - 6) & 63U];
    }
    if (bits > 0) out += kDigits[held << (6 - bits) & 63U];
    return out;
}

}  // namespace

Result<GrpcMessage> read_grpc_message(std::string_view body) {
    if (body.size() < kFrameBytes) return fail(ErrorKind::kInvalid, "gRPC: there is no message");
    const auto byte = [&](std::size_t at) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(body[at]));
    };
    if (byte(0) > 1) return fail(ErrorKind::kInvalid, "gRPC: the flag is neither 0 nor 1");
    const std::uint32_t size = byte(1) << 24U | byte(2) << 16U | byte(3) << 8U | byte(4);
    if (size != body.size() - kFrameBytes) {
        return fail(ErrorKind::kInvalid, fmt::format("gRPC: the message has {} bytes and says {}",
                                                     body.size() - kFrameBytes, size));
    }
    return GrpcMessage{body.substr(kFrameBytes), byte(0) == 1};
}

std::optional<std::chrono::milliseconds> parse_grpc_timeout(std::string_view text) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    if (text.size() < 2 || text.size() > 9) return std::nullopt;
    std::int64_t value = 0;
    const std::string_view digits = text.substr(0, text.size() - 1);
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || stop != digits.data() + digits.size() || value < 0)
        return std::nullopt;
    switch (text.back()) {
        case 'H': return std::chrono::hours{value};
        case 'M': return std::chrono::minutes{value};
        case 'S': return std::chrono::seconds{value};
        case 'm': return milliseconds{value};
        case 'u': return duration_cast<milliseconds>(std::chrono::microseconds{value});
        case 'n': return duration_cast<milliseconds>(std::chrono::nanoseconds{value});
        default: return std::nullopt;
    }
}

Response grpc_answer(std::string_view message) {
    Response response{200, {{"content-type", "application/grpc"}}, {}};
    response.body.reserve(kFrameBytes + message.size());
    response.body += '\0';
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        response.body += static_cast<char>(message.size() >> shift & 0xffU);
    }
    response.body += message;
    response.trailers = {{"grpc-status", "0"}};
    return response;
}

Response grpc_refusal(GrpcCode code, std::string_view message, std::string_view details) {
    Response response{200,
                      {{"content-type", "application/grpc"},
                       {"grpc-status", std::to_string(static_cast<int>(code))},
                       {"grpc-message", encode_message(message)}},
                      {}};
    if (!details.empty()) {
        response.headers.emplace_back("grpc-status-details-bin", base64(details));
    }
    return response;
}

}  // namespace vigie::http
