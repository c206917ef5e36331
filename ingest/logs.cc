#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/signature.h"
#include "ingest/log_messages.h"
#include "ingest/metrics.h"
#include "ingest/receivers.h"
#include "ingest/rewrite.h"
#include "ingest/sources.h"
#include "ingest/syslog.h"
#include "ingest/webhook.h"
#include "schemas/compression.h"
#include "schemas/topics.h"

// Log lines over HTTP that are not OTLP: Loki's push, and JSON lines.
namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::LogGroup;

namespace {

using Groups = Result<std::vector<LogGroup>>;

constexpr std::size_t kTypeBytesMax = 100;

http::Response refusal_answer(int status, std::string_view reason) {
    return http::Response::text(status, std::string(reason));
}

bool is_protobuf(const http::Request& request) {
    const auto type = media_type(request.header("content-type"));
    return type.empty() || type == "application/x-protobuf";
}

// Loki's protobuf is always a snappy block, whatever the header says; JSON may be gzip.
Groups decode_loki(const http::Request& request, const schemas::DecodeLimits& limits) {
    if (is_protobuf(request)) {
        VIGIE_TRY_ASSIGN(const auto body, schemas::unsnappy(request.body, limits.bytes_max));
        return schemas::decode_loki_protobuf(body, limits);
    }
    VIGIE_TRY_ASSIGN(
        const auto body,
        schemas::decompress(request.body, media_type(request.header("content-encoding")),
                            limits.bytes_max));
    return schemas::decode_loki_json(body, limits);
}

Groups decode_lines(const http::Request& request, const schemas::DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(
        const auto body,
        schemas::decompress(request.body, media_type(request.header("content-encoding")),
                            limits.bytes_max));
    return schemas::decode_json_lines(body, limits);
}

struct LogSource {
    std::string_view source;
    std::vector<std::string_view> content_types;
    Groups (*decode)(const http::Request&, const schemas::DecodeLimits&);
};

std::string wrong_type(const LogSource& source, std::string_view type) {
    std::vector<std::string_view> taken = source.content_types;
    const bool may_lack = std::erase(taken, std::string_view()) > 0;
    return fmt::format("the content type is '{}'; taken are {}{}", one_line(type, kTypeBytesMax),
                       fmt::join(taken, ", "), may_lack ? ", or none at all" : "");
}

void receive(const Door& door, const LogSource& source, http::Request request,
             http::Respond respond) {
    Intake& intake = *door.intake;
    auto arrival =
        intake.arrive(source.source, std::move(request), std::move(respond), refusal_answer);
    if (!arrival) return;
    const auto sender = door.admit(*arrival);
    if (!sender) return;
    const auto type = media_type(arrival->request.header("content-type"));
    if (std::ranges::find(source.content_types, type) == source.content_types.end()) {
        intake.refuse(*arrival, {415, "encoding", wrong_type(source, type)});
        return;
    }
    auto groups = source.decode(arrival->request, intake.options().decode);
    if (!groups) {
        intake.refuse(*arrival, {400, "body", groups.error().message});
        return;
    }
    const TenantLabel tenant{door.sources->tenant_label(), sender->options().tenant};
    if (!tenant.value.empty()) {
        for (auto& group : *groups) {
            set_tenant(group.resource, tenant);
            for (auto& record : group.records) {
                std::erase_if(record.attributes,
                              [&](const auto& pair) { return pair.first == tenant.name; });
            }
        }
    }
    std::size_t items = 0;
    auto messages =
        log_messages(intake, source.source, *std::move(groups), arrival->request.remote, items);
    sender->took(items);
    intake.append(*std::move(arrival), std::move(messages), items, {204, {}, ""});
}

}  // namespace

std::vector<streams::Message> log_messages(Intake& intake, std::string_view source,
                                           std::vector<LogGroup> groups, std::string_view remote,
                                           std::size_t& items) {
    const EventTime now = intake.now();
    items = 0;
    struct Part {
        std::vector<LogGroup> groups;
        EventTime newest{EventClock::duration::min()};
    };
    std::map<std::string, Part> by_key;
    for (auto& group : groups) {
        if (group.records.empty()) continue;
        const auto entity = schemas::entity_of(group.resource);
        Part& part = by_key[entity.empty() ? peer_address(remote) : entity.value];
        for (auto& record : group.records) {
            if (record.at <= EventTime{}) record.at = now;
            part.newest = std::max(part.newest, record.at);
        }
        items += group.records.size();
        part.groups.push_back(std::move(group));
    }
    std::vector<streams::Message> messages;
    for (const auto& [key, part] : by_key) {
        streams::Message message;
        message.topic = topics::kLogs;
        message.key = key;
        message.value = schemas::encode_otlp_logs(part.groups);
        message.headers.emplace_back(topics::kHeaderContentType, schemas::kContentOtlpProtobuf);
        message.event_time = intake.stamp(source, part.newest);
        messages.push_back(std::move(message));
    }
    return messages;
}

void Receivers::receive_syslog(const std::vector<std::string>& frames, std::string remote,
                               std::function<void(bool taken)> done) const {
    constexpr std::string_view kSource = "syslog";
    http::Request request;
    request.method = "SYSLOG";
    request.path = "syslog";
    request.remote = std::move(remote);
    for (const auto& frame : frames) request.body.append(frame).push_back('\n');
    // What is too much for a record is never offered again: 413, and kept as far as it fits.
    auto arrival = intake_->arrive(
        kSource, std::move(request),
        [done = std::move(done)](const http::Response& answer) { done(answer.status != 503); },
        refusal_answer);
    if (!arrival) return;
    const EventTime now = intake_->now();
    std::map<schemas::Labels, std::vector<schemas::LogRecord>> by_resource;
    const auto peer = peer_address(arrival->request.remote);
    std::size_t foreign = 0;
    for (const auto& frame : frames) {
        auto line = parse_syslog(frame, now, peer);
        if (!line.understood) ++foreign;
        by_resource[std::move(line.resource)].push_back(std::move(line.record));
    }
    if (foreign > 0) intake_->count(metrics::kForeignLines, kSource, foreign);
    std::vector<LogGroup> groups;
    groups.reserve(by_resource.size());
    for (auto& [resource, records] : by_resource) groups.push_back({resource, std::move(records)});
    std::size_t items = 0;
    auto messages =
        log_messages(*intake_, kSource, std::move(groups), arrival->request.remote, items);
    intake_->append(*std::move(arrival), std::move(messages), items, {204, {}, ""});
}

void Receivers::add_logs(http::Router& router) const {
    const auto add = [&](const char* path, const std::string& token, LogSource source) {
        const auto shared = std::make_shared<const LogSource>(std::move(source));
        const auto door = std::make_shared<const Door>(Door{intake_, sources_, token});
        router.add("POST", path, [door, shared](http::Request request, http::Respond respond) {
            receive(*door, *shared, std::move(request), std::move(respond));
        });
    };
    add("/loki/api/v1/push", options_.loki_token,
        {"loki", {"application/x-protobuf", "application/json", ""}, decode_loki});
    add("/api/v1/logs", options_.json_lines_token,
        {"json_lines",
         {"application/x-ndjson", "application/json", "application/jsonl", "application/json-lines",
          "text/plain", ""},
         decode_lines});
}

}  // namespace vigie::ingest
