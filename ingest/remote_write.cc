#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/metrics.h"
#include "ingest/metrics_check.h"
#include "ingest/receivers.h"
#include "ingest/rewrite.h"
#include "ingest/sources.h"
#include "schemas/telemetry.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::string_view kSource = "remote_write";

// Which version a request speaks: "application/x-protobuf" alone means 1.0, as for all senders
// before there was a 2.0. "" for neither.
std::string_view version_of(const http::Request& request) {
    std::string type(request.header("content-type"));
    if (media_type(type) != "application/x-protobuf") return {};
    std::erase_if(type, [](char c) { return c == ' ' || c == '"'; });
    const auto proto = type.find(";proto=");
    if (proto == std::string::npos) return schemas::kContentRemoteWrite;
    const std::string name = type.substr(proto + 7, type.find(';', proto + 1) - proto - 7);
    if (name == "prometheus.WriteRequest") return schemas::kContentRemoteWrite;
    if (name == "io.prometheus.write.v2.Request") return schemas::kContentRemoteWrite2;
    return {};
}

std::optional<Refusal> refusal_of_encoding(const http::Request& request) {
    if (version_of(request).empty()) {
        return Refusal{415, "encoding",
                       fmt::format("content type '{}' is not application/x-protobuf of "
                                   "prometheus.WriteRequest or io.prometheus.write.v2.Request",
                                   request.header("content-type"))};
    }
    if (media_type(request.header("content-encoding")) != "snappy") {
        return Refusal{
            415, "encoding",
            fmt::format("content encoding '{}' is not snappy", request.header("content-encoding"))};
    }
    return std::nullopt;
}

// 204; or 400 when some of the samples were wrong, with which the sender does not come again.
http::Response answer_of(const Content& content) {
    http::Response answer{204, {}, ""};
    if (content.refused > 0) {
        answer = http::Response::text(
            400, fmt::format("{} samples were wrong and left out, the others were taken: {}\n",
                             content.refused, content.refused_why));
    }
    const auto say = [&](std::string_view what, std::size_t count) {
        answer.headers.emplace_back(fmt::format("x-prometheus-remote-write-{}-written", what),
                                    std::to_string(count));
    };
    say("samples", content.counts.floats);
    say("histograms", content.counts.histograms);
    say("exemplars", content.counts.exemplars);
    return answer;
}

// What goes to the log: the body as it came, or written anew for a tenant or a bound.
Result<Rewritten> body_of(const Door& door, Source& source, const Content& content,
                          Arrival& arrival, std::string_view version) {
    const TenantLabel tenant{door.sources->tenant_label(), source.options().tenant};
    if (tenant.value.empty() && !content.over_bound) {
        return Rewritten{std::move(arrival.request.body), version, "snappy", 0};
    }
    VIGIE_TRY_ASSIGN(
        auto rewritten,
        rewrite_metrics(arrival.request.body, version, "snappy", door.intake->options().decode,
                        tenant, content.over_bound ? &source.series() : nullptr));
    arrival.record->overflowed_items = rewritten.overflowed;
    source.overflowed(rewritten.overflowed);
    return rewritten;
}

void receive(const Door& door, MetricsCheck& check, http::Request request, http::Respond respond) {
    const auto& intake = door.intake;
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond),
                                  [](int status, std::string_view reason) {
                                      return http::Response::text(status, std::string(reason));
                                  });
    if (!arrival) return;
    const auto source = door.admit(*arrival);
    if (!source) return;
    if (const auto refusal = refusal_of_encoding(arrival->request)) {
        intake->refuse(*arrival, *refusal);
        return;
    }
    const std::string_view version = version_of(arrival->request);
    const auto content = check.check(arrival->request.body, version, "snappy",
                                     intake->options().decode, source->series());
    if (!content) {
        intake->refuse(*arrival, refusal_of(content.error()));
        return;
    }
    if (content->refused > 0) intake->count(metrics::kRefusedItems, kSource, content->refused);
    arrival->record->refused_items = content->refused;
    arrival->record->reason = content->refused_why;
    source->took(content->items);
    std::vector<streams::Message> messages;
    if (content->items > 0) {  // A request may carry metadata only.
        auto body = body_of(door, *source, *content, *arrival, version);
        if (!body) {
            intake->refuse(*arrival, refusal_of(body.error()));
            return;
        }
        streams::Message message;
        message.topic = topics::kMetrics;
        message.key = peer_address(arrival->request.remote);
        message.event_time = intake->stamp(kSource, content->newest);
        message.headers = {
            {std::string(topics::kHeaderContentType), std::string(body->content_type)},
            {std::string(topics::kHeaderContentEncoding), "snappy"}};
        message.value = std::move(body->body);
        messages.push_back(std::move(message));
    }
    intake->append(*std::move(arrival), std::move(messages), content->items, answer_of(*content));
}

}  // namespace

void Receivers::add_remote_write(http::Router& router) const {
    const auto door =
        std::make_shared<const Door>(Door{intake_, sources_, options_.remote_write_token});
    router.add("POST", "/api/v1/write",
               [door, check = metrics_check_](http::Request request, http::Respond respond) {
                   receive(*door, *check, std::move(request), std::move(respond));
               });
}

}  // namespace vigie::ingest
