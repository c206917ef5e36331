#pragma once

#include <string_view>
#include <utility>

#include "core/id.h"
#include "core/metrics.h"
#include "ingest/foreign_topic.h"
#include "streams/processor.h"

namespace vigie::app {

// Topics of others as a processor: each record becomes what its mapping says, exactly once. What
// cannot be read goes to the dead letters.
class ForeignStage final : public streams::Processor {
public:
    struct Options {
        DomainId domain{"default"};
        std::vector<ingest::ForeignTopic> topics;
        std::vector<ingest::CloudEventRule> rules;
        schemas::DecodeLimits limits;
    };
    // `metrics` must outlive it.
    ForeignStage(Options options, MetricsRegistry& metrics)
        : options_(std::move(options)), metrics_(metrics) {}

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view, EventTime, streams::Context&) override { return {}; }

private:
    const Options options_;
    MetricsRegistry& metrics_;
};

}  // namespace vigie::app
