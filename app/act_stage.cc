#include "app/act_stage.h"

#include <fmt/format.h>

#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::app {

streams::Message action_message(const schemas::ActionEvent& event, DomainId domain, EventTime at) {
    // One event for each action, status and executor: an outcome published twice is one.
    const EventId id = stable_event_id(
        "evt-", fmt::format("action/{}/{}/{}/{}", event.id.value, schemas::to_string(event.phase),
                            schemas::to_string(event.status), event.instance));
    const schemas::EventMeta meta{id, "/responders/actions", at, std::move(domain)};
    return {std::string(schemas::topics::kActions),
            meta.domain.value,
            schemas::encode({meta, event}),
            {},
            at};
}

Status ActStage::on_record(const streams::Record& record, streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
    const EventTime now = context.watermark();
    std::vector<schemas::ActionEvent> out;
    if (const auto* action = std::get_if<schemas::ActionEvent>(&event.data)) {
        VIGIE_TRY_ASSIGN(out, executor_->on_event(*action, now, context));
    } else if (std::holds_alternative<schemas::Tick>(event.data)) {
        VIGIE_TRY_ASSIGN(out, executor_->on_tick(now, context));
    }
    for (const schemas::ActionEvent& next : out) {
        context.emit(action_message(next, event.meta.domain, now));
    }
    return {};
}

Status ActStage::on_timer(std::string_view, EventTime, streams::Context&) {
    return {};
}

}  // namespace vigie::app
