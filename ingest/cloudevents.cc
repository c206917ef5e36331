#include "ingest/cloudevents.h"
#include "schemas/json_fields.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/url.h"
#include "ingest/receivers.h"

namespace vigie::ingest {

using schemas::Json;

namespace {

constexpr std::string_view kStructured = "application/cloudevents+json";
constexpr std::string_view kBatch = "application/cloudevents-batch+json";
constexpr std::size_t kIdBytesMax = 1024;

Status check_event(const Json& event) {
    if (!event.is_object()) return fail(ErrorKind::kInvalid, "the event is not an object");
    if (schemas::string_at(event, "/specversion") != "1.0") {
        return fail(ErrorKind::kInvalid, "specversion is not 1.0");
    }
    for (const auto* name : {"id", "source", "type"}) {
        const auto text = schemas::string_at(event, fmt::format("/{}", name));
        if (!text || text->empty() || text->size() > kIdBytesMax) {
            return fail(ErrorKind::kInvalid, fmt::format("{} is missing or too long", name));
        }
    }
    if (const auto time = schemas::string_at(event, "/time")) {
        if (const auto at = parse_rfc3339(*time); !at) return fail(Error(at.error()).in("time"));
    }
    return {};
}

Result<Json> binary_event(std::string_view content_type, std::string_view body,
                          const Attributes& attributes) {
    Json event = Json::object();
    for (const auto& [name, value] : attributes) event[name] = value;
    if (body.empty()) return event;
    const auto type = media_type(content_type);
    if (!type.empty() && type != "application/json" && !type.ends_with("+json")) {
        return event;  // Its data is of a form that no pointer leads into.
    }
    VIGIE_TRY_ASSIGN(event["data"], schemas::parse_json(body));
    return event;
}

const CloudEventRule* rule_for(const std::string& type, const std::vector<CloudEventRule>& rules) {
    const auto found = std::ranges::find_if(rules, [&](const CloudEventRule& rule) {
        if (!rule.type.ends_with('*')) return rule.type == type;
        return type.starts_with(std::string_view(rule.type).substr(0, rule.type.size() - 1));
    });
    return found == rules.end() ? nullptr : &*found;
}

// Of our own type: checked by its schema, as everything that is read from a topic.
Result<schemas::EventData> own_data(const Json& event, EventTime now) {
    Json complete = event;
    if (!complete.contains("time")) complete["time"] = to_rfc3339(now);
    VIGIE_TRY_ASSIGN(auto decoded, schemas::decode(schemas::dump_json(complete)));
    return std::move(decoded.data);
}

Result<NamedEvents> one_event(const Json& event, const std::vector<CloudEventRule>& rules,
                              EventTime now, const schemas::DecodeLimits& limits) {
    const auto type = *schemas::string_at(event, "/type");
    const auto source = *schemas::string_at(event, "/source");
    const auto id = event_id(
        "ce", fmt::format("{}:{}{}", source.size(), source, *schemas::string_at(event, "/id")));
    NamedEvents events;
    // Only these two of our own: whoever may send events may not decide.
    if (type == "io.vigie.alert.v1" || type == "io.vigie.change.v1") {
        VIGIE_TRY_ASSIGN(auto data, own_data(event, now));
        events.emplace_back(id, std::move(data));
        return events;
    }
    const auto* const rule = rule_for(type, rules);
    if (rule == nullptr) return events;
    VIGIE_TRY_ASSIGN(events,
                     map_events(rule->mapping, type, schemas::dump_json(event), now, limits));
    for (std::size_t i = 0; i < events.size(); ++i) {
        events[i].first = i == 0 ? id : EventId{fmt::format("{}-{}", id.value, i)};
    }
    return events;
}

Attributes attributes_of(const http::Request& request) {
    Attributes attributes;
    constexpr std::string_view kPrefix = "ce-";
    for (const auto& [name, value] : request.headers) {
        if (!name.starts_with(kPrefix)) continue;
        // Values are percent-encoded where a header cannot hold them.
        attributes.emplace_back(name.substr(kPrefix.size()),
                                http::percent_decode(value).value_or(value));
    }
    return attributes;
}

Result<std::vector<Json>> read_cloud_events(std::string_view content_type, std::string_view body,
                                            const Attributes& attributes,
                                            const schemas::DecodeLimits& limits) {
    const auto type = media_type(content_type);
    std::vector<Json> events;
    if (type == kBatch) {
        VIGIE_TRY_ASSIGN(const Json list, schemas::parse_json(body));
        if (!list.is_array()) return fail(ErrorKind::kInvalid, "the batch is not a list");
        if (list.size() > limits.items_max) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("the batch has more than {} events", limits.items_max));
        }
        events.assign(list.begin(), list.end());
    } else if (type == kStructured) {
        VIGIE_TRY_ASSIGN(auto event, schemas::parse_json(body));
        events.push_back(std::move(event));
    } else {
        VIGIE_TRY_ASSIGN(auto event, binary_event(content_type, body, attributes));
        events.push_back(std::move(event));
    }
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (const auto good = check_event(events[i]); !good) {
            return fail(Error(good.error()).in(fmt::format("event {}", i)));
        }
    }
    return events;
}

}  // namespace

Result<NamedEvents> parse_cloud_events(std::string_view content_type, std::string_view body,
                                       const Attributes& attributes,
                                       const std::vector<CloudEventRule>& rules, EventTime now,
                                       const schemas::DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto events, read_cloud_events(content_type, body, attributes, limits));
    NamedEvents all;
    for (std::size_t i = 0; i < events.size(); ++i) {
        auto some = one_event(events[i], rules, now, limits);
        if (!some) return fail(std::move(some).error().in(fmt::format("event {}", i)));
        for (auto& event : *some) all.push_back(std::move(event));
    }
    return all;
}

void Receivers::add_generic(http::Router& router) const {
    const auto no_delivery = [](const http::Request&) -> Result<std::string> {
        return std::string();
    };
    Webhook cloudevents;
    cloudevents.source = "cloudevents";
    cloudevents.event_source = "/ingest/cloudevents";
    cloudevents.any_content_type = true;
    cloudevents.distrust = [token = options_.cloudevents_token](const http::Request& request) {
        return check_required_token(token, "ingest.cloudevents.token_file", request);
    };
    cloudevents.delivery_id = no_delivery;
    cloudevents.parse = [rules = options_.cloudevents, limits = options_.intake.decode](
                            const http::Request& request, const std::string&,
                            EventTime now) -> Result<NamedEvents> {
        return parse_cloud_events(request.header("content-type"), request.body,
                                  attributes_of(request), rules, now, limits);
    };
    router.add("POST", "/cloudevents", make_webhook(std::move(cloudevents), intake_, deliveries_));

    for (const auto& source : options_.generic) {
        Webhook webhook;
        webhook.source = "generic";
        webhook.event_source = "/ingest/generic/" + source.name;
        webhook.distrust = [token = source.token](const http::Request& request) {
            return check_required_token(token, "its token_file in ingest.webhooks", request);
        };
        webhook.delivery_id = no_delivery;
        webhook.parse = [source, limits = options_.intake.decode](
                            const http::Request& request, const std::string&,
                            EventTime now) -> Result<NamedEvents> {
            return map_events(source.mapping, source.name, request.body, now, limits);
        };
        router.add("POST", "/webhooks/generic/" + source.name,
                   make_webhook(std::move(webhook), intake_, deliveries_));
    }
}

}  // namespace vigie::ingest
