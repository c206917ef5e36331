#include "app/foreign_stage.h"

#include <algorithm>

#include "app/metrics.h"

namespace vigie::app {

Status ForeignStage::on_record(const streams::Record& record, streams::Context& context) {
    const auto topic = std::ranges::find_if(
        options_.topics, [&](const auto& one) { return one.topic == record.partition.topic; });
    if (topic == options_.topics.end()) {
        return fail(ErrorKind::kInvalid, "no mapping is configured for this topic");
    }
    VIGIE_TRY_ASSIGN(auto messages, ingest::read_foreign(*topic, options_.rules, record,
                                                         options_.domain, options_.limits));
    metrics_
        .counter(messages.empty() ? kForeignIgnored : kForeignRecords,
                 {{"topic", record.partition.topic}})
        .add();
    for (auto& message : messages) context.emit(std::move(message));
    return {};
}

}  // namespace vigie::app
