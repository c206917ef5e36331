#include "ingest/kubernetes_event.h"
#include "schemas/json_fields.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "ingest/log_messages.h"
#include "schemas/topics.h"

namespace vigie::ingest {

using schemas::fields::first_line_at;
using schemas::fields::first_text;
using schemas::fields::parse_any_time;
using schemas::fields::required_text;
using schemas::fields::text_at;

namespace topics = schemas::topics;
using schemas::Change;
using schemas::ChangeKind;
using schemas::Json;

namespace {

constexpr std::string_view kSource = "kubernetes";

struct Reason {
    std::string_view reason;
    ChangeKind kind;
};
// Written by the controllers of Kubernetes itself.
constexpr std::array kChanges{
    Reason{"ScalingReplicaSet", ChangeKind::kDeployment},
    Reason{"DeploymentRollback", ChangeKind::kDeployment},
    Reason{"SuccessfulRescale", ChangeKind::kScaling},
    Reason{"NodeNotSchedulable", ChangeKind::kConfiguration},
    Reason{"NodeSchedulable", ChangeKind::kConfiguration},
    Reason{"Drain", ChangeKind::kConfiguration},
    Reason{"Rebooted", ChangeKind::kConfiguration},
    Reason{"NodeNotReady", ChangeKind::kConfiguration},
    Reason{"RegisteredNode", ChangeKind::kConfiguration},
    Reason{"RemovingNode", ChangeKind::kConfiguration},
    Reason{"UpdatedLoadBalancer", ChangeKind::kConfiguration},
    Reason{"Sync", ChangeKind::kConfiguration},
};

EntityId entity_of(const Json& event) {
    const auto kind = text_at(event, "/involvedObject/kind");
    const auto name = text_at(event, "/involvedObject/name");
    if (name.empty()) return {};
    if (kind == "Node") return make_entity("host", name);
    const auto in_namespace =
        fmt::format("{}/{}", text_at(event, "/involvedObject/namespace"), name);
    if (kind == "Pod") return make_entity("pod", in_namespace);
    // An autoscaler has, by habit, the name of what it scales.
    if (kind == "Deployment" || kind == "HorizontalPodAutoscaler") {
        return make_entity("deployment", in_namespace);
    }
    std::string word = kind;
    std::ranges::transform(word, word.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    });
    return make_entity(word.empty() ? "object" : word, in_namespace);
}

// When it was last seen; the epoch when it does not say.
EventTime kubernetes_time(const Json& event) {
    for (const auto* place : {"/series/lastObservedTime", "/lastTimestamp", "/eventTime",
                              "/firstTimestamp", "/metadata/creationTimestamp"}) {
        if (const auto at = parse_any_time(schemas::string_at(event, place).value_or("")))
            return *at;
    }
    return {};
}

std::string identity(const Json& event) {
    return fmt::format("{}|{}|{}", text_at(event, "/metadata/uid"), text_at(event, "/count"),
                       micros_of(kubernetes_time(event)));
}

Change change_of(const Json& event, ChangeKind kind, EventTime now) {
    Change change;
    change.kind = kind;
    change.entity = entity_of(event);
    change.key = fmt::format("kubernetes:{}", text_at(event, "/metadata/uid"));
    change.status = text_at(event, "/reason");
    change.environment = text_at(event, "/involvedObject/namespace");
    change.actor = first_text(event, {"/source/component", "/reportingComponent"});
    change.summary = first_line_at(event, "/message");
    const auto at = kubernetes_time(event);
    change.at = at > EventTime{} ? std::min(at, now) : now;
    return change;
}

schemas::LogGroup line_of(const Json& event) {
    schemas::LogGroup group;
    const auto name = text_at(event, "/involvedObject/name");
    const auto kind = text_at(event, "/involvedObject/kind");
    const auto in_namespace = text_at(event, "/involvedObject/namespace");
    const auto put = [&](const char* label, const std::string& value) {
        if (!value.empty()) group.resource.emplace_back(label, value);
    };
    if (kind == "Node") put("host.name", name);
    if (kind == "Deployment") put("k8s.deployment.name", name);
    put("k8s.namespace.name", in_namespace);
    if (kind == "Pod") put("k8s.pod.name", name);
    auto& record = group.records.emplace_back();
    record.at = kubernetes_time(event);
    record.severity = 13;
    record.body =
        fmt::format("{}: {}", text_at(event, "/reason"), first_line_at(event, "/message"));
    record.attributes = {{"k8s.event.reason", text_at(event, "/reason")}};
    return group;
}

}  // namespace

Result<std::vector<streams::Message>> kubernetes_messages(Intake& intake, std::string_view text) {
    VIGIE_TRY_ASSIGN(const Json event, schemas::parse_json(text));
    VIGIE_TRY(required_text(event, "/metadata/uid"));
    const auto reason = text_at(event, "/reason");
    const auto* const known = std::ranges::find(kChanges, std::string_view(reason),
                                                [](const Reason& entry) { return entry.reason; });
    std::vector<streams::Message> messages;
    if (known != kChanges.end() && !entity_of(event).empty()) {
        messages.push_back(intake.event_message(topics::kChanges, "/ingest/kubernetes",
                                                event_id(kSource, identity(event)),
                                                change_of(event, known->kind, intake.now())));
    } else if (text_at(event, "/type") == "Warning") {
        std::size_t items = 0;
        messages = log_messages(intake, kSource, {line_of(event)}, "kubernetes:0", items);
    }
    return messages;
}

Result<EventPage> parse_event_page(std::string_view text, EventTime oldest) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(text));
    EventPage page;
    VIGIE_TRY_ASSIGN(page.resource_version, required_text(body, "/metadata/resourceVersion"));
    page.next = schemas::string_at(body, "/metadata/continue").value_or("");
    const Json* const items = schemas::find(body, "/items");
    if (items == nullptr || !items->is_array()) return page;
    for (const auto& item : *items) {
        if (kubernetes_time(item) >= oldest) page.events.push_back(schemas::dump_json(item));
    }
    return page;
}

std::string status_message(std::string_view text) {
    const auto body = schemas::parse_json(text);
    return body ? first_line_at(*body, "/message") : std::string();
}

Result<WatchLine> parse_watch_line(std::string_view text) {
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(text));
    const auto type = schemas::string_at(json, "/type");
    const Json* const object = schemas::find(json, "/object");
    if (!type || object == nullptr || !object->is_object()) {
        return fail(ErrorKind::kInvalid, "a line of the watch has no type or no object");
    }
    WatchLine line;
    if (*type == "ERROR") {
        const auto code = schemas::integer_at(*object, "/code").value_or(0);
        line.type = code == 410 ? WatchLine::Type::kGone : WatchLine::Type::kError;
        line.message = first_line_at(*object, "/message");
        return line;
    }
    line.type = *type == "BOOKMARK"  ? WatchLine::Type::kBookmark
                : *type == "DELETED" ? WatchLine::Type::kDeleted
                                     : WatchLine::Type::kObject;
    line.resource_version = schemas::string_at(*object, "/metadata/resourceVersion").value_or("");
    line.object = schemas::dump_json(*object);
    return line;
}

}  // namespace vigie::ingest
