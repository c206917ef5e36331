#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/receivers.h"
#include "schemas/json.h"
#include "schemas/telemetry.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::DecodeLimits;

namespace {

constexpr std::string_view kSource = "otlp";

// google.rpc.Code, which OTLP puts into its error bodies.
constexpr int kCodeInvalidArgument = 3;
constexpr int kCodeResourceExhausted = 8;
constexpr int kCodeUnavailable = 14;

// What is worth knowing of a body that was decoded.
struct Content {
    std::size_t items = 0;
    EventTime newest{EventClock::duration::min()};
    std::string entity;  // "" when the items belong to several, or to none.

    void see(const EntityId& of, EventTime at) {
        if (items++ == 0) entity = of.value;
        if (entity != of.value) entity.clear();
        newest = std::max(newest, at);
    }
};

using Decode = std::function<Result<Content>(std::string_view bytes, std::string_view type,
                                             std::string_view coding, const DecodeLimits&)>;

Result<Content> metrics_content(std::string_view bytes, std::string_view type,
                                std::string_view coding, const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_metrics(bytes, type, coding, limits));
    Content content;
    for (const auto& series : all) {
        const EntityId entity = schemas::entity_of(series.labels, series.metric);
        for (const auto& point : series.points) content.see(entity, point.at);
    }
    return content;
}

Result<Content> logs_content(std::string_view bytes, std::string_view type, std::string_view coding,
                             const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_logs(bytes, type, coding, limits));
    Content content;
    for (const auto& log : all) content.see(schemas::entity_of(log.attributes), log.at);
    return content;
}

Result<Content> traces_content(std::string_view bytes, std::string_view type,
                               std::string_view coding, const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_traces(bytes, type, coding, limits));
    Content content;
    for (const auto& span : all) content.see(schemas::entity_of(span.resource), span.end);
    return content;
}

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>((value & 0x7fU) | 0x80U);
        value >>= 7U;
    }
    out += static_cast<char>(value);
}

// google.rpc.Status as protobuf: code = 1, message = 2.
std::string rpc_status(int code, std::string_view message) {
    std::string out("\x08", 1);
    put_varint(out, static_cast<std::uint64_t>(code));
    out += '\x12';
    put_varint(out, message.size());
    out += message;
    return out;
}

int rpc_code(int status) {
    if (status == 503) return kCodeUnavailable;
    return status == 413 ? kCodeResourceExhausted : kCodeInvalidArgument;
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

// An empty ExportMetricsServiceResponse, which is the same for all three signals.
http::Response success_answer(bool protobuf) {
    if (!protobuf) return http::Response::json(200, "{}");
    return {200, {{"content-type", std::string(schemas::kContentOtlpProtobuf)}}, ""};
}

std::optional<Refusal> refusal_of_encoding(std::string_view type, std::string_view coding) {
    if (type != schemas::kContentOtlpProtobuf && type != schemas::kContentOtlpJson) {
        return Refusal{415, "encoding",
                       fmt::format("content type '{}' is neither application/x-protobuf nor "
                                   "application/json",
                                   type)};
    }
    if (!coding.empty() && coding != "gzip") {
        Refusal refusal{415, "encoding",
                        fmt::format("content encoding '{}' is not gzip: set the exporter's "
                                    "compression to gzip or none",
                                    coding)};
        refusal.headers.emplace_back("accept-encoding", "gzip");
        return refusal;
    }
    return std::nullopt;
}

void receive(const std::shared_ptr<Intake>& intake, std::string_view topic, const Decode& decode,
             http::Request request, http::Respond respond) {
    const std::string type = media_type(request.header("content-type"));
    const bool protobuf = type == schemas::kContentOtlpProtobuf;
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond),
                                  [protobuf](int status, std::string_view reason) {
                                      return refusal_answer(protobuf, status, reason);
                                  });
    if (!arrival) return;
    std::string coding = media_type(arrival->request.header("content-encoding"));
    if (coding == "identity") coding.clear();
    if (const auto refusal = refusal_of_encoding(type, coding)) {
        intake->refuse(*arrival, *refusal);
        return;
    }
    const auto content = decode(arrival->request.body, type, coding, intake->options().decode);
    if (!content) {
        intake->refuse(*arrival, {400, "body", content.error().message});
        return;
    }
    std::vector<streams::Message> messages;
    if (content->items > 0) {
        streams::Message message;
        message.topic = topic;
        message.key =
            content->entity.empty() ? peer_address(arrival->request.remote) : content->entity;
        message.event_time = intake->stamp(kSource, content->newest);
        message.headers.emplace_back(topics::kHeaderContentType, type);
        if (!coding.empty()) message.headers.emplace_back(topics::kHeaderContentEncoding, coding);
        message.value = std::move(arrival->request.body);
        messages.push_back(std::move(message));
    }
    intake->append(*std::move(arrival), std::move(messages), content->items,
                   success_answer(protobuf));
}

}  // namespace

void Receivers::add_otlp(http::Router& router) const {
    const auto add = [&](const std::string& path, std::string_view topic, Decode decode) {
        router.add("POST", path,
                   [intake = intake_, topic, decode = std::move(decode)](http::Request request,
                                                                         http::Respond respond) {
                       receive(intake, topic, decode, std::move(request), std::move(respond));
                   });
    };
    add("/v1/metrics", topics::kMetrics, metrics_content);
    add("/v1/logs", topics::kLogs, logs_content);
    add("/v1/traces", topics::kSpans, traces_content);
}

}  // namespace vigie::ingest
