#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/metrics.h"
#include "detectors/detector.h"
#include "schemas/identity.h"
#include "schemas/series.h"
#include "schemas/series_table.h"
#include "streams/processor.h"

namespace vigie::app {

enum class Telemetry : std::uint8_t { kMetrics, kLogs, kSpans };

struct NamedDetector {
    std::string family;  // Label of its metrics: "metrics", "rules", …
    std::unique_ptr<detectors::Detector> detector;
};

// Detectors as a processor of one telemetry topic. Anomalies go to vigie.anomalies, learned
// edges to vigie.changes, both with ids that are a hash of what they say: when the log is
// processed again after a restart, they repeat and are dropped downstream.
class DetectStage final : public streams::Processor {
public:
    // `metrics` must outlive the stage. `series` bounds the table of series that metrics are
    // decoded with; when it is full, series that were not heard of for an hour make room.
    DetectStage(Telemetry kind, DomainId domain, std::int32_t partition,
                std::vector<NamedDetector> detectors, MetricsRegistry& metrics,
                schemas::Identity identity = {}, schemas::SeriesTable::Options series = {});

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;
    bool has_bulk_state() const override { return true; }
    std::string snapshot() const override;
    Status restore(std::string_view snapshot) override;

private:
    struct Part {
        NamedDetector made;
        std::map<std::string, std::uint64_t> dropped;  // What the counters already have,
        std::map<std::string, std::uint64_t> events;   // both.
    };

    void count();
    Status observe_metrics(std::string_view bytes, std::string_view type, std::string_view encoding,
                           detectors::Findings& found);
    void forget_idle(EventTime now);
    Status observe(const streams::Record& record, detectors::Findings& found);
    void publish(const detectors::Findings& found, EventTime now, streams::Context& context);

    const Telemetry kind_;
    const DomainId domain_;
    const std::int32_t partition_;
    const schemas::Identity identity_;
    MetricsRegistry& metrics_;
    Counter& items_;
    Counter& overflowed_;
    // Owned by the worker's thread.
    std::vector<Part> parts_;
    // Of metrics. Numbers are of this process: neither is in a snapshot.
    schemas::SeriesTable series_;
    schemas::DecodedSamples decoded_;
    std::vector<EventTime> last_at_;  // When each series was heard of, by number
    std::uint64_t overflowed_before_ = 0;
    EventTime full_until_;
};

}  // namespace vigie::app
