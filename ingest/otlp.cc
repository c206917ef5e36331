#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/metrics.h"
#include "ingest/metrics_check.h"
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

using Decode = std::function<Result<Content>(std::string_view bytes, std::string_view type,
                                             std::string_view coding, const DecodeLimits&)>;

void see(Content& content, const EntityId& of, EventTime at) {
    if (content.items++ == 0) content.entity = of.value;
    if (content.entity != of.value) content.entity.clear();
    content.newest = std::max(content.newest, at);
}

Result<Content> logs_content(std::string_view bytes, std::string_view type, std::string_view coding,
                             const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_logs(bytes, type, coding, limits));
    Content content;
    for (const auto& log : all) see(content, schemas::entity_of(log.attributes), log.at);
    return content;
}

Result<Content> traces_content(std::string_view bytes, std::string_view type,
                               std::string_view coding, const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_traces(bytes, type, coding, limits));
    Content content;
    for (const auto& span : all) see(content, schemas::entity_of(span.resource), span.end);
    return content;
}

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>((value & 0x7fU) | 0x80U);
        value >>= 7U;
    }
    out += static_cast<char>(value);
}

// Field 2, which is the text of both messages below.
void put_text(std::string& out, std::string_view text) {
    out += '\x12';
    put_varint(out, text.size());
    out += text;
}

// google.rpc.Status as protobuf: code = 1, message = 2.
std::string rpc_status(int code, std::string_view message) {
    std::string out("\x08", 1);
    put_varint(out, static_cast<std::uint64_t>(code));
    put_text(out, message);
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

// An ExportMetricsServiceResponse, alike for all three signals: empty, or with what was left out.
http::Response success_answer(bool protobuf, const Content& content) {
    if (!protobuf) {
        if (content.refused == 0) return http::Response::json(200, "{}");
        const schemas::Json partial{{"rejectedDataPoints", std::to_string(content.refused)},
                                    {"errorMessage", content.refused_why}};
        return http::Response::json(200, schemas::dump_json({{"partialSuccess", partial}}));
    }
    std::string body;
    if (content.refused > 0) {
        std::string partial("\x08", 1);
        put_varint(partial, content.refused);
        put_text(partial, content.refused_why);
        body += '\x0a';
        put_varint(body, partial.size());
        body += partial;
    }
    return {200, {{"content-type", std::string(schemas::kContentOtlpProtobuf)}}, std::move(body)};
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
        intake->refuse(*arrival, refusal_of(content.error()));
        return;
    }
    if (content->refused > 0) intake->count(metrics::kRefusedItems, kSource, content->refused);
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
                   success_answer(protobuf, *content));
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
    add("/v1/metrics", topics::kMetrics,
        [check = metrics_check_](std::string_view bytes, std::string_view type,
                                 std::string_view coding, const DecodeLimits& limits) {
            return check->check(bytes, type, coding, limits);
        });
    add("/v1/logs", topics::kLogs, logs_content);
    add("/v1/traces", topics::kSpans, traces_content);
}

}  // namespace vigie::ingest
