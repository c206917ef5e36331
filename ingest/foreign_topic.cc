#include "ingest/foreign_topic.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "ingest/cloudevents.h"
#include "schemas/events.h"
#include "schemas/log_groups.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;
using Messages = std::vector<streams::Message>;

namespace {

std::string header_of(const streams::Record& record, std::string_view name) {
    for (const auto& [key, value] : record.message.headers) {
        if (key == name) return value;
    }
    return {};
}

// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
Attributes attributes_of(const streams::Record& record) {
    Attributes attributes;
    constexpr std::string_view kPrefix = "ce_";
    for (const auto& [key, value] : record.message.headers) {
        if (key.starts_with(kPrefix)) attributes.emplace_back(key.substr(kPrefix.size()), value);
    }
    return attributes;
}

Messages event_messages(NamedEvents events, const ForeignTopic& topic,
                        const streams::Record& record, const DomainId& domain) {
    Messages messages;
    const EventTime at = record.message.event_time;
    for (auto& [id, data] : events) {
        const bool alert = std::holds_alternative<schemas::Alert>(data);
        messages.push_back(
            {.topic = std::string(alert ? topics::kAlerts : topics::kChanges),
             .key = domain.value,
             .value = schemas::encode(
                 {{std::move(id), "/ingest/kafka/" + topic.topic, at, domain}, std::move(data)}),
             .headers = {{std::string(topics::kHeaderContentType), "application/cloudevents+json"}},
             .event_time = at});
    }
    return messages;
}

Result<Messages> read_lines(const streams::Record& record, const schemas::DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(auto groups, schemas::decode_json_lines(record.message.value, limits));
    for (auto& group : groups) {
        for (auto& line : group.records) {
            if (line.at <= EventTime{}) line.at = record.message.event_time;
        }
    }
    Messages messages;
    for (const auto& group : groups) {
        const auto entity = schemas::entity_of(group.resource);
        messages.push_back({.topic = std::string(topics::kLogs),
                            .key = entity.empty() ? record.message.key : entity.value,
                            .value = schemas::encode_otlp_logs({&group, 1}),
                            .headers = {{std::string(topics::kHeaderContentType),
                                         std::string(schemas::kContentOtlpProtobuf)}},
                            .event_time = record.message.event_time});
    }
    return messages;
}

// The bytes as they are: vigie.* topics hold what a Collector writes.
Result<Messages> read_otlp(const ForeignTopic& topic, const streams::Record& record) {
    const bool json = record.message.value.starts_with('{');
    streams::Message message = record.message;
    message.topic = topic.signal;
    message.headers = {
        {std::string(topics::kHeaderContentType),
         std::string(json ? schemas::kContentOtlpJson : schemas::kContentOtlpProtobuf)}};
    return Messages{std::move(message)};
}

}  // namespace

Result<Messages> read_foreign(const ForeignTopic& topic, const std::vector<CloudEventRule>& rules,
                              const streams::Record& record, const DomainId& domain,
                              const schemas::DecodeLimits& limits) {
    const EventTime at = record.message.event_time;
    switch (topic.format) {
        case ForeignFormat::kCloudEvents: {
            VIGIE_TRY_ASSIGN(
                auto named,
                parse_cloud_events(header_of(record, "content-type"), record.message.value,
                                   attributes_of(record), rules, at, limits));
            return event_messages(std::move(named), topic, record, domain);
        }
        case ForeignFormat::kJson: {
            VIGIE_TRY_ASSIGN(auto named, map_events(topic.mapping, topic.topic,
                                                    record.message.value, at, limits));
            return event_messages(std::move(named), topic, record, domain);
        }
        case ForeignFormat::kJsonLines: return read_lines(record, limits);
        case ForeignFormat::kOtlp: return read_otlp(topic, record);
    }
    return Messages{};
}

}  // namespace vigie::ingest
