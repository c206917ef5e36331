#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/id.h"
#include "core/metrics.h"
#include "schemas/events.h"
#include "streams/processor.h"

namespace vigie::app {

// The dead-man's switch: a processor of vigie.heartbeats. Each heartbeat has a row and a timer in
// event time; when `every` and `grace` pass without a beat, an alert fires on vigie.alerts, and the
// next beat resolves it. Beyond `heartbeats_max` a new name is not taken, and counted.
class HeartbeatStage final : public streams::Processor {
public:
    struct Options {
        DomainId domain{"default"};
        std::size_t heartbeats_max = 10'000;
    };
    // `metrics` must outlive it.
    HeartbeatStage(Options options, MetricsRegistry& metrics);

    Status on_record(const streams::Record& record, streams::Context& context) override;
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override;

private:
    struct Row {
        schemas::Heartbeat beat;
        EventTime last;
        std::optional<EventTime> missing_since;
    };

    Status on_beat(const schemas::Heartbeat& beat, EventTime at, streams::Context& context);
    static Result<std::optional<Row>> load(std::string_view name, const streams::Context& context);
    static void store(const Row& row, streams::Context& context);
    Status forget(const Row& row, streams::Context& context);
    Result<bool> has_room(streams::Context& context) const;
    void tell(const Row& row, EventTime now, bool firing, streams::Context& context);

    const Options options_;
    Counter& refused_;
    Counter& missing_;
};

}  // namespace vigie::app
