#include "app/context_stage.h"

#include <algorithm>

#include <fmt/format.h>

#include "schemas/events.h"
#include "schemas/topics.h"
#include "streams/record.h"

namespace vigie::app {

namespace topics = schemas::topics;

ContextStage::ContextStage(std::int32_t partitions) {
    std::vector<std::string> found(static_cast<std::size_t>(std::max(partitions, 1)));
    std::size_t missing = found.size();
    for (std::int64_t i = 0; missing > 0; ++i) {
        std::string key = fmt::format("context-{}", i);
        auto& place = found[static_cast<std::size_t>(
            streams::partition_of(key, static_cast<std::int32_t>(found.size())))];
        if (!place.empty()) continue;
        place = std::move(key);
        --missing;
    }
    keys_ = std::move(found);
}

void ContextStage::emit(const std::string& value, EventTime at, streams::Context& context) const {
    for (const std::string& key : keys_) {
        context.emit({std::string(topics::kMetrics),
                      key,
                      value,
                      {{std::string(topics::kHeaderKind), std::string(topics::kKindContext)}},
                      at});
    }
}

Status ContextStage::on_record(const streams::Record& record, streams::Context& context) {
    for (const auto& [name, value] : record.message.headers) {
        if (name == topics::kHeaderKind && value == topics::kKindTick) return {};
    }
    VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
    if (const auto* change = std::get_if<schemas::Change>(&event.data)) {
        if (change->kind == schemas::ChangeKind::kDeployment) {
            emit(record.message.value, event.meta.time, context);
        }
        return {};
    }
    const auto* review = std::get_if<schemas::IncidentEvent>(&event.data);
    if (review == nullptr || review->incident.state != schemas::IncidentState::kReviewed ||
        review->previous == schemas::IncidentState::kReviewed) {
        return {};
    }
    const auto& timeline = review->incident.timeline;
    const auto said = std::ranges::find(timeline.rbegin(), timeline.rend(), "verdict",
                                        &schemas::TimelineEntry::kind);
    if (said == timeline.rend()) return {};
    for (const schemas::Evidence& evidence : review->incident.evidence) {
        if (evidence.kind != "anomaly") continue;
        schemas::Decision decision;
        decision.kind = schemas::DecisionKind::kVerdict;
        decision.incident = review->incident.id;
        decision.actor = "vigie";  // It passes on what a person said: see `incident`.
        decision.value = said->text;
        decision.scope = evidence.key;
        const schemas::EventMeta meta{
            stable_event_id("context-", fmt::format("{}/{}", said->ref, evidence.key)),
            "/app/detect-context", event.meta.time, event.meta.domain};
        emit(schemas::encode({meta, std::move(decision)}), event.meta.time, context);
    }
    return {};
}

Status ContextStage::on_timer(std::string_view, EventTime, streams::Context&) {
    return {};
}

}  // namespace vigie::app
