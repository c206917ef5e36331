#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/otlp_signal.h"
#include "ingest/receivers.h"
#include "schemas/json.h"
#include "schemas/telemetry.h"

namespace vigie::ingest {

namespace {

constexpr std::string_view kSource = "otlp";

// google.rpc.Code, which OTLP puts into its error bodies.
constexpr int kCodeInvalidArgument = 3;
constexpr int kCodeResourceExhausted = 8;
constexpr int kCodeUnavailable = 14;
constexpr int kCodeUnauthenticated = 16;

int rpc_code(int status) {
    switch (status) {
        case 401: return kCodeUnauthenticated;
        case 413:
        case 429: return kCodeResourceExhausted;
        case 503: return kCodeUnavailable;
        default: return kCodeInvalidArgument;
    }
}

// Errors go back in the encoding of the request; JSON when that is not one of OTLP's.
http::Response refusal_answer(bool protobuf, int status, std::string_view reason) {
    if (!protobuf) {
        const schemas::Json body{{"code", rpc_code(status)}, {"message", reason}};
        return http::Response::json(status, schemas::dump_json(body));
    }
    return {status,
            {{"content-type", std::string(schemas::kContentOtlpProtobuf)}},
            rpc_status(rpc_code(status), reason)};
}

http::Response success_answer(bool protobuf, std::string_view refused, const Content& content) {
    if (protobuf) {
        return {200,
                {{"content-type", std::string(schemas::kContentOtlpProtobuf)}},
                otlp_response(content)};
    }
    if (content.refused == 0) return http::Response::json(200, "{}");
    const schemas::Json partial{{refused, std::to_string(content.refused)},
                                {"errorMessage", content.refused_why}};
    return http::Response::json(200, schemas::dump_json({{"partialSuccess", partial}}));
}

std::optional<Refusal> refusal_of_encoding(std::string_view type, std::string_view coding) {
    if (type != schemas::kContentOtlpProtobuf && type != schemas::kContentOtlpJson) {
        return Refusal{415, "encoding",
                       fmt::format("content type '{}' is neither application/x-protobuf nor "
                                   "application/json",
                                   type)};
    }
    if (!coding.empty() && coding != "gzip" && coding != "zstd") {
        Refusal refusal{415, "encoding",
                        fmt::format("content encoding '{}' is not known: set the exporter's "
                                    "compression to gzip, zstd or none",
                                    coding)};
        refusal.headers.emplace_back("accept-encoding", "gzip, zstd");
        return refusal;
    }
    return std::nullopt;
}

void receive(const Door& door, const OtlpSignal& signal, http::Request request,
             http::Respond respond) {
    const auto& intake = door.intake;
    const std::string type = media_type(request.header("content-type"));
    const bool protobuf = type == schemas::kContentOtlpProtobuf;
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond),
                                  [protobuf](int status, std::string_view reason) {
                                      return refusal_answer(protobuf, status, reason);
                                  });
    if (!arrival) return;
    const auto source = door.admit(*arrival);
    if (!source) return;
    std::string coding = media_type(arrival->request.header("content-encoding"));
    if (coding == "identity") coding.clear();
    if (const auto refusal = refusal_of_encoding(type, coding)) {
        intake->refuse(*arrival, *refusal);
        return;
    }
    take_otlp(door, *source, signal, *std::move(arrival), type, coding,
              [protobuf, refused = signal.refused](const Content& content) {
                  return success_answer(protobuf, refused, content);
              });
}

}  // namespace

void Receivers::add_otlp(http::Router& router) const {
    const auto door = std::make_shared<const Door>(Door{intake_, sources_, options_.otlp_token});
    for (OtlpSignal& signal : otlp_signals(metrics_check_)) {
        const std::string path = signal.http_path;
        router.add(
            "POST", path,
            [door, signal = std::move(signal)](http::Request request, http::Respond respond) {
                receive(*door, signal, std::move(request), std::move(respond));
            });
    }
}

}  // namespace vigie::ingest
