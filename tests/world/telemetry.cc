#include "tests/world/telemetry.h"

#include <fmt/format.h>

#include "core/id.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;

streams::Message telemetry(std::string_view topic, std::string key, std::string body,
                           EventTime at) {
    return {std::string(topic),
            std::move(key),
            std::move(body),
            {{std::string(topics::kHeaderContentType), std::string(schemas::kContentOtlpJson)}},
            at};
}

streams::Message event(std::string_view topic, const std::string& id, schemas::EventData data,
                       EventTime at) {
    const schemas::EventMeta meta{stable_event_id("sim-", id), "/sim", at, {"default"}};
    return {std::string(topic), "default", schemas::encode({meta, std::move(data)}), {}, at};
}

std::string resource(const std::string& service) {
    return fmt::format(
        R"({{"attributes":[{{"key":"service.name","value":{{"stringValue":"{}"}}}}]}})", service);
}

std::string gauge(const std::string& name, double value, EventTime at) {
    return fmt::format(
        R"({{"name":"{}","gauge":{{"dataPoints":[{{"timeUnixNano":"{}000","asDouble":{}}}]}}}})",
        name, micros_of(at), value);
}

}  // namespace

streams::Message metrics_message(const std::string& service, double latency_seconds,
                                 double error_ratio, EventTime at) {
    return telemetry(
        topics::kMetrics, service,
        fmt::format(
            R"({{"resourceMetrics":[{{"resource":{},"scopeMetrics":[{{"metrics":[{},{}]}}]}}]}})",
            resource(service), gauge("latency_seconds", latency_seconds, at),
            gauge("error_ratio", error_ratio, at)),
        at);
}

streams::Message span_message(const std::string& from, const std::string& to, EventTime at) {
    const std::string trace = fmt::format("{:032x}", micros_of(at));
    const std::string span = fmt::format(
        R"({{"traceId":"{}","spanId":"{:016x}","name":"call","kind":3,"startTimeUnixNano":"{}000","endTimeUnixNano":"{}000","attributes":[{{"key":"peer.service","value":{{"stringValue":"{}"}}}}]}})",
        trace, micros_of(at), micros_of(at), micros_of(at) + 20'000, to);
    return telemetry(
        topics::kSpans, from,
        fmt::format(R"({{"resourceSpans":[{{"resource":{},"scopeSpans":[{{"spans":[{}]}}]}}]}})",
                    resource(from), span),
        at);
}

streams::Message alert_message(const std::string& service, bool firing, EventTime starts_at,
                               EventTime at) {
    schemas::Alert alert;
    alert.fingerprint = "slow-" + service;
    alert.firing = firing;
    alert.name = "HighLatency";
    alert.severity = schemas::Severity::kCritical;
    alert.entity = make_entity("service", service);
    alert.summary = service + " is slow";
    alert.starts_at = starts_at;
    if (!firing) alert.ends_at = at;
    // As ingest does: the id is a hash of the content, a repeat at another time is another event.
    return event(topics::kAlerts, fmt::format("alert/{}/{}/{}", service, firing, micros_of(at)),
                 alert, at);
}

streams::Message deployment_message(const std::string& service, const std::string& version,
                                    EventTime at) {
    schemas::Change change;
    change.kind = schemas::ChangeKind::kDeployment;
    change.key = fmt::format("sim:{}:{}", service, version);
    change.status = "success";
    change.entity = make_entity("service", service);
    change.version = version;
    change.actor = "ci";
    change.summary = fmt::format("deploy {} {}", service, version);
    change.at = at;
    return event(topics::kChanges, change.key, change, at);
}

}  // namespace vigie::sim
