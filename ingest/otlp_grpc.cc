#include <utility>

#include <fmt/format.h>

#include "http/grpc.h"
#include "ingest/otlp_signal.h"
#include "ingest/receivers.h"
#include "schemas/telemetry.h"

// opentelemetry/proto/collector/*/v1/*_service.proto
namespace vigie::ingest {

namespace {

constexpr std::string_view kSource = "otlp_grpc";

// What was too much now may fit later, and RetryInfo says when; what is too large never does.
http::Response refusal_answer(std::chrono::seconds retry_after, int status,
                              std::string_view reason) {
    using http::GrpcCode;
    switch (status) {
        case 401: return http::grpc_refusal(GrpcCode::kUnauthenticated, reason);
        case 403: return http::grpc_refusal(GrpcCode::kPermissionDenied, reason);
        case 413: return http::grpc_refusal(GrpcCode::kResourceExhausted, reason);
        case 415: return http::grpc_refusal(GrpcCode::kUnimplemented, reason);
        case 429:
        case 503: {
            const auto code = static_cast<int>(GrpcCode::kResourceExhausted);
            return http::grpc_refusal(GrpcCode::kResourceExhausted, reason,
                                      rpc_status(code, reason, retry_after));
        }
        default: return http::grpc_refusal(GrpcCode::kInvalidArgument, reason);
    }
}

// What compresses the message, or the refusal.
Result<std::string> coding_of(const http::Request& request, bool compressed) {
    if (!compressed) return std::string();
    std::string coding = media_type(request.header("grpc-encoding"));
    if (coding == "gzip" || coding == "zstd") return coding;
    return fail(ErrorKind::kInvalid,
                fmt::format("grpc-encoding '{}' is not known: set the exporter's compression to "
                            "gzip, zstd or none",
                            coding));
}

void receive(const Door& door, const OtlpSignal& signal, http::Request request,
             http::Respond respond) {
    const auto& intake = door.intake;
    const std::string type = media_type(request.header("content-type"));
    if (!request.http2 || (type != "application/grpc" && type != "application/grpc+proto")) {
        respond(http::Response::text(415, "this path speaks gRPC, on HTTP/2\n"));
        return;
    }
    auto arrival = intake->arrive(
        kSource, std::move(request), std::move(respond),
        [retry_after = intake->options().retry_after](int status, std::string_view reason) {
            return refusal_answer(retry_after, status, reason);
        });
    if (!arrival) return;
    const auto source = door.sources->admit(*arrival, door.token);
    if (!source) {
        if (source.error().refusal.status == 429) {
            arrival->refusal = [wait = source.error().wait](int status, std::string_view reason) {
                return refusal_answer(wait, status, reason);
            };
        }
        intake->refuse(*arrival, source.error().refusal);
        return;
    }
    arrival->record->sender = (*source)->options().name;
    const auto message = http::read_grpc_message(arrival->request.body);
    if (!message) {
        intake->refuse(*arrival, {400, "body", message.error().message});
        return;
    }
    const auto coding = coding_of(arrival->request, message->compressed);
    if (!coding) {
        Refusal refusal{415, "encoding", coding.error().message};
        refusal.headers.emplace_back("grpc-accept-encoding", "identity,gzip,zstd");
        intake->refuse(*arrival, refusal);
        return;
    }
    arrival->request.body = std::string(message->bytes);
    take_otlp(door, **source, signal, *std::move(arrival), schemas::kContentOtlpProtobuf, *coding,
              [](const Content& content) { return http::grpc_answer(otlp_response(content)); });
}

}  // namespace

void Receivers::add_otlp_grpc(http::Router& router) const {
    const auto door = std::make_shared<const Door>(Door{intake_, sources_, options_.otlp_token});
    for (OtlpSignal& signal : otlp_signals(metrics_check_)) {
        const std::string path = signal.grpc_path;
        router.add(
            "POST", path,
            [door, signal = std::move(signal)](http::Request request, http::Respond respond) {
                receive(*door, signal, std::move(request), std::move(respond));
            });
    }
}

}  // namespace vigie::ingest
