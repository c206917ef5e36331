#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/metrics.h"
#include "streams/processor.h"

namespace vigie::app {

// Copies what concerns the agent onto vigie.signals: alerts, anomalies, changes, decisions and
// outcomes of actions, value bytes unchanged. The order it chooses is the record: replay reads
// vigie.signals. An event id seen before is dropped and counted, which is what makes senders'
// repeats and detectors' replays harmless.
//
// State, for each input partition: "seen/ID" and "at/TIME/ID", both erased when `seen_max` ids are
// newer or the id is older than `seen_age_max`: some with each new id, more with each tick.
class SequenceStage final : public streams::Processor {
public:
    struct Options {
        std::size_t seen_max = 500'000;
        // Longer than telemetry is kept: detectors that start over repeat what they said then.
        std::chrono::hours seen_age_max{24 * 4};
    };

    // `metrics` must outlive the stage.
    SequenceStage(Options options, MetricsRegistry& metrics);

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;

private:
    Status remember(std::string_view id, EventTime now, streams::Context& context);
    Status forget_old(EventTime now, std::size_t max, streams::Context& context);

    const Options options_;
    Counter& duplicates_;
};

}  // namespace vigie::app
