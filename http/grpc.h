#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "http/message.h"

// gRPC over HTTP/2 for calls of one request and one answer. No routes and no messages: those are
// the handler's. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
namespace vigie::http {

// google.rpc.Code
enum class GrpcCode : std::uint8_t {
    kOk = 0,
    kCancelled = 1,
    kInvalidArgument = 3,
    kDeadlineExceeded = 4,
    kNotFound = 5,
    kPermissionDenied = 7,
    kResourceExhausted = 8,
    kUnimplemented = 12,
    kInternal = 13,
    kUnavailable = 14,
    kUnauthenticated = 16,
};

// The one message of a request's body, and whether it is compressed by its grpc-encoding. kInvalid
// when it is not exactly one.
struct GrpcMessage {
    std::string_view bytes;  // Of the body, which must outlive it
    bool compressed = false;
};
Result<GrpcMessage> read_grpc_message(std::string_view body);

// "100m" is 100 ms; nullopt for no timeout, or one that is not written as the protocol says.
std::optional<std::chrono::milliseconds> parse_grpc_timeout(std::string_view text);

// OK with its message.
Response grpc_answer(std::string_view message);

// Anything else. `details` is a google.rpc.Status in protobuf, or empty.
Response grpc_refusal(GrpcCode code, std::string_view message, std::string_view details = {});

}  // namespace vigie::http
