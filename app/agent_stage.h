#pragma once

#include <string_view>

#include "core/metrics.h"
#include "core/time.h"
#include "responders/agent/agent.h"
#include "streams/processor.h"

namespace vigie::app {

// The agent as a processor of vigie.signals: decodes signals, gives ids to what the agent says
// and chains the audit (each entry holds the SHA-256 of the one before it).
class AgentStage final : public streams::Processor {
public:
    // Both must outlive it; the clock is read for metrics alone, never for a decision.
    AgentStage(MetricsRegistry& metrics, const Clock& clock) : metrics_(metrics), clock_(clock) {}

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;

private:
    MetricsRegistry& metrics_;
    const Clock& clock_;
    agent::Agent agent_;
};

}  // namespace vigie::app
