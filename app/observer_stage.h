#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "schemas/events.h"
#include "streams/processor.h"

namespace vigie::app {

// Makes something outside the log agree with it: a file, for instance. `observe` is called for
// each event before its position is committed, so it may be repeated after a crash and must be
// idempotent. An error stops the stage and is tried again.
class ObserverStage final : public streams::Processor {
public:
    using Observe = std::function<Status(const schemas::Event&)>;
    explicit ObserverStage(Observe observe) : observe_(std::move(observe)) {}

    Status on_record(const streams::Record& record, streams::Context&) override {
        VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
        return observe_(event);
    }
    Status on_timer(std::string_view, EventTime, streams::Context&) override { return {}; }

private:
    const Observe observe_;
};

}  // namespace vigie::app
