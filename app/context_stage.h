#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "streams/processor.h"

namespace vigie::app {

// Puts what detectors must know beside telemetry onto vigie.metrics, into every partition, as
// records whose header `kind` is "context": deployments from vigie.changes, and what a person said
// of the anomalies of an incident, from its review on vigie.incidents. So its place among the
// samples is recorded, and a replay sees it there again.
//
// A verdict becomes one decision for each anomaly of the incident, with the anomaly's key as its
// scope.
class ContextStage final : public streams::Processor {
public:
    // `partitions`: of vigie.metrics.
    explicit ContextStage(std::int32_t partitions);

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;

private:
    void emit(const std::string& value, EventTime at, streams::Context& context) const;

    std::vector<std::string> keys_;  // One that falls into each partition.
};

}  // namespace vigie::app
