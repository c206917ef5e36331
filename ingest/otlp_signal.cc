#include "ingest/otlp_signal.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ingest/metrics.h"
#include "schemas/refused.h"
#include "schemas/telemetry.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::DecodeLimits;

namespace {

void see(Content& content, const EntityId& of, EventTime at) {
    if (content.items++ == 0) content.entity = of.value;
    if (content.entity != of.value) content.entity.clear();
    content.newest = std::max(content.newest, at);
}

void say_refused(Content& content, schemas::Refused refused) {
    content.refused = refused.items;
    content.refused_why = std::move(refused.why);
}

Result<Content> check_logs(std::string_view bytes, std::string_view type, std::string_view coding,
                           const DecodeLimits& limits, SeriesBound& /*bound*/) {
    schemas::Refused refused;
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_logs(bytes, type, coding, limits, refused));
    Content content;
    say_refused(content, std::move(refused));
    for (const auto& log : all) see(content, schemas::entity_of(log.attributes), log.at);
    return content;
}

Result<Content> check_traces(std::string_view bytes, std::string_view type, std::string_view coding,
                             const DecodeLimits& limits, SeriesBound& /*bound*/) {
    schemas::Refused refused;
    VIGIE_TRY_ASSIGN(const auto all, schemas::decode_traces(bytes, type, coding, limits, refused));
    Content content;
    say_refused(content, std::move(refused));
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

void put_number(std::string& out, unsigned field, std::uint64_t value) {
    put_varint(out, std::uint64_t{field} << 3U);
    put_varint(out, value);
}

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
    put_varint(out, std::uint64_t{field} << 3U | 2U);
    put_varint(out, bytes.size());
    out += bytes;
}

std::string grpc_path(std::string_view package, std::string_view service) {
    return fmt::format("/opentelemetry.proto.collector.{}.v1.{}/Export", package, service);
}

}  // namespace

std::vector<OtlpSignal> otlp_signals(const std::shared_ptr<MetricsCheck>& metrics) {
    const auto check_metrics = [metrics](std::string_view bytes, std::string_view type,
                                         std::string_view coding, const DecodeLimits& limits,
                                         SeriesBound& bound) {
        return metrics->check(bytes, type, coding, limits, bound);
    };
    const auto plain = [](auto* rewrite) {
        return [rewrite](std::string_view bytes, std::string_view type, std::string_view coding,
                         const DecodeLimits& limits, const TenantLabel& tenant,
                         SeriesBound* /*bound*/) {
            return rewrite(bytes, type, coding, limits, tenant);
        };
    };
    return {{topics::kMetrics, "/v1/metrics", grpc_path("metrics", "MetricsService"),
             "rejectedDataPoints", check_metrics, rewrite_metrics},
            {topics::kLogs, "/v1/logs", grpc_path("logs", "LogsService"), "rejectedLogRecords",
             check_logs, plain(rewrite_logs)},
            {topics::kSpans, "/v1/traces", grpc_path("trace", "TraceService"), "rejectedSpans",
             check_traces, plain(rewrite_traces)}};
}

namespace {

// Who has a tenant, or more series than he may, has his body written anew.
Status fit(const Door& door, Source& source, const OtlpSignal& signal, const Content& content,
           Arrival& arrival, std::string_view& type, std::string_view& coding) {
    const TenantLabel tenant{door.sources->tenant_label(), source.options().tenant};
    if (content.items == 0 || (tenant.value.empty() && !content.over_bound)) return {};
    VIGIE_TRY_ASSIGN(
        auto rewritten,
        signal.rewrite(arrival.request.body, type, coding, door.intake->options().decode, tenant,
                       content.over_bound ? &source.series() : nullptr));
    arrival.request.body = std::move(rewritten.body);
    type = rewritten.content_type;
    coding = rewritten.content_encoding;
    arrival.record->overflowed_items = rewritten.overflowed;
    source.overflowed(rewritten.overflowed);
    return {};
}

}  // namespace

void take_otlp(const Door& door, Source& source, const OtlpSignal& signal, Arrival arrival,
               std::string_view type, std::string_view coding, const OtlpAnswer& answer) {
    const auto& intake = door.intake;
    const auto content =
        signal.check(arrival.request.body, type, coding, intake->options().decode, source.series());
    if (!content) {
        intake->refuse(arrival, refusal_of(content.error()));
        return;
    }
    if (content->refused > 0) {
        intake->count(metrics::kRefusedItems, arrival.source, content->refused);
        arrival.record->refused_items = content->refused;
        arrival.record->reason = content->refused_why;
    }
    source.took(content->items);
    if (const auto fits = fit(door, source, signal, *content, arrival, type, coding); !fits) {
        intake->refuse(arrival, refusal_of(fits.error()));
        return;
    }
    std::vector<streams::Message> messages;
    if (content->items > 0) {
        streams::Message message;
        message.topic = signal.topic;
        message.key =
            content->entity.empty() ? peer_address(arrival.request.remote) : content->entity;
        message.event_time = intake->stamp(arrival.source, content->newest);
        message.headers.emplace_back(topics::kHeaderContentType, type);
        if (!coding.empty()) message.headers.emplace_back(topics::kHeaderContentEncoding, coding);
        message.value = std::move(arrival.request.body);
        messages.push_back(std::move(message));
    }
    intake->append(std::move(arrival), std::move(messages), content->items, answer(*content));
}

std::string otlp_response(const Content& content) {
    std::string body;
    if (content.refused == 0) return body;
    std::string partial;
    put_number(partial, 1, content.refused);
    put_bytes(partial, 2, content.refused_why);
    put_bytes(body, 1, partial);
    return body;
}

std::string rpc_status(int code, std::string_view message, std::chrono::seconds retry_after) {
    std::string out;
    put_number(out, 1, static_cast<std::uint64_t>(code));
    put_bytes(out, 2, message);
    if (retry_after.count() <= 0) return out;
    std::string delay;
    put_number(delay, 1, static_cast<std::uint64_t>(retry_after.count()));
    std::string info;
    put_bytes(info, 1, delay);
    std::string any;
    put_bytes(any, 1, "type.googleapis.com/google.rpc.RetryInfo");
    put_bytes(any, 2, info);
    put_bytes(out, 3, any);
    return out;
}

}  // namespace vigie::ingest
