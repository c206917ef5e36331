// Webhooks and other events in JSON. The first byte chooses: GitLab, Jenkins, Argo CD, PagerDuty,
// CloudEvents (structured, batch, binary), a mapping to alerts, one to changes, a line of a watch.
#include <cstdint>
#include <string>

#include "ingest/cloudevents.h"
#include "ingest/deployments.h"
#include "ingest/kubernetes_event.h"
#include "ingest/mapping.h"
#include "ingest/pagerduty.h"
#include "tests/fuzz/event_checks.h"

namespace {

using namespace vigie;
using namespace vigie::ingest;
using fuzz::kNow;

void check(const Error& error) {
    VIGIE_ASSERT(error.kind == ErrorKind::kInvalid);
    fuzz::check_reason(error.message);
}

void check(const Result<std::optional<schemas::Change>>& change) {
    if (!change) return check(change.error());
    if (!*change) return;
    VIGIE_ASSERT((*change)->at <= kNow && !(*change)->key.empty());
    VIGIE_ASSERT((*change)->url.empty() || (*change)->url.starts_with("http"));
    fuzz::check_event(**change);
}

void check(const Result<NamedEvents>& events) {
    if (!events) return check(events.error());
    for (const auto& [id, data] : *events) {
        VIGIE_ASSERT(!id.empty());
        fuzz::check_event(data);
    }
}

Mapping mapping_of(bool alert) {
    Mapping mapping;
    mapping.each = "/items";
    if (alert) {
        mapping.alert.emplace();
        mapping.alert->name = "/name";
        mapping.alert->severity = "/severity";
        mapping.alert->state = "/state";
        mapping.alert->entity = "/entity";
        mapping.alert->at = "/at";
        mapping.alert->url = "/url";
        mapping.alert->labels = {{"a", "/a"}, {"b", "fixed"}};
    } else {
        mapping.change.emplace();
        mapping.change->entity = "/entity";
        mapping.change->version = "/version";
        mapping.change->at = "/at";
    }
    return mapping;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const schemas::DecodeLimits limits;
    const SenderEntities entities{{"shop/checkout", EntityId{"service:till"}}};
    auto whole = mapping_of(false);
    whole.each.clear();
    const std::vector<CloudEventRule> rules{{"com.*", whole}};
    switch (data[0] % 10) {
        case 0: check(parse_gitlab(bytes, entities, kNow)); break;
        case 1: check(parse_jenkins(bytes, entities, kNow)); break;
        case 2: check(parse_argocd(bytes, entities, kNow)); break;
        case 3: check(parse_pagerduty(bytes, kNow)); break;
        case 4:
            check(
                parse_cloud_events("application/cloudevents+json", bytes, {}, rules, kNow, limits));
            break;
        case 5:
            check(parse_cloud_events("application/cloudevents-batch+json", bytes, {}, rules, kNow,
                                     limits));
            break;
        case 6:
            check(parse_cloud_events(
                "application/json", bytes,
                {{"specversion", "1.0"}, {"id", "1"}, {"source", "s"}, {"type", "com.x"}}, rules,
                kNow, limits));
            break;
        case 7: check(map_events(mapping_of(true), "fuzz", bytes, kNow, limits)); break;
        case 8: check(map_events(mapping_of(false), "fuzz", bytes, kNow, limits)); break;
        default: {
            const auto line = parse_watch_line(bytes);
            if (!line) check(line.error());
            const auto page = parse_event_page(bytes, EventTime{});
            if (!page) check(page.error());
        }
    }
    return 0;
}
