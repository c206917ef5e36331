#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "responders/notify/notifier.h"
#include "streams/processor.h"

namespace vigie::app {

// The notifier as a processor of vigie.incidents.
class NotifyStage final : public streams::Processor {
public:
    explicit NotifyStage(std::unique_ptr<notify::Notifier> notifier)
        : notifier_(std::move(notifier)) {}

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;
    void on_committed() override { notifier_->on_committed(); }

private:
    std::unique_ptr<notify::Notifier> notifier_;
};

}  // namespace vigie::app
