#pragma once

#include <string_view>

#include "responders/actions/executor.h"
#include "streams/processor.h"

namespace vigie::app {

// The executor as a processor of vigie.actions.
class ActStage final : public streams::Processor {
public:
    explicit ActStage(std::unique_ptr<actions::Executor> executor)
        : executor_(std::move(executor)) {}

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;
    void on_committed() override { executor_->on_committed(); }

private:
    std::unique_ptr<actions::Executor> executor_;
};

// The message that carries an action's event. `id` must be deterministic for what the event
// says, so that a repeat is recognised.
streams::Message action_message(const schemas::ActionEvent& event, DomainId domain, EventTime at);

}  // namespace vigie::app
