#include "app/notify_stage.h"

#include "schemas/events.h"

namespace vigie::app {

Status NotifyStage::on_record(const streams::Record& record, streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
    const EventTime now = context.watermark();
    if (const auto* incident = std::get_if<schemas::IncidentEvent>(&event.data)) {
        VIGIE_TRY(notifier_->on_event(*incident, now, context));
    }
    // Not only on ticks: a page leaves with the record that asks for it.
    return notifier_->on_tick(now, context);
}

Status NotifyStage::on_timer(std::string_view, EventTime, streams::Context&) {
    return {};
}

}  // namespace vigie::app
