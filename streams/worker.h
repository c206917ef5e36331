#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"
#include "streams/processor.h"

namespace vigie::streams {

// Records whose headers say kind=tick move the watermark and fire timers, and are then given
// to the processor like any other record. See docs/architecture.md, "Time".
//
// Everything one thread owns: a consumer and one processor for each assigned partition. Shares
// nothing with other workers. The thread is only a loop around step(); the simulator calls
// step() itself.
class Worker final : private AssignmentListener {
public:
    using ProcessorFactory = std::function<std::unique_ptr<Processor>(const Partition&)>;

    struct Options {
        std::string stage;  // Label of metrics and logs: "agent".
        Subscription subscription;
        ProcessorFactory make_processor;
        std::chrono::milliseconds lateness_max{0};
        // With bulk state: a snapshot after so many records or so much event time.
        std::size_t snapshot_records = 20'000;
        std::chrono::seconds snapshot_interval{30};
        std::string dead_letter_topic = "vigie.deadletter";
    };

    // All references must outlive the worker.
    static Result<std::unique_ptr<Worker>> open(Bus& bus, Options options, MetricsRegistry& metrics,
                                                Log& log, const Clock& clock);
    ~Worker() override;

    // Polls one batch, processes it, and commits one step for each partition in it. Returns how
    // many records were processed. After an error nothing of the failing step happened or its
    // fate is unknown: in both cases destroy the worker and open a new one, which continues
    // from the store.
    Result<std::size_t> step(const PollLimits& limits);

private:
    struct Task;  // One partition: processor, watermark, counters.

    Worker(Options options, MetricsRegistry& metrics, Log& log, const Clock& clock);
    Status on_assigned(std::span<const Partition> partitions) override;
    void on_revoked(std::span<const Partition> partitions) override;
    Status process(Task& task, std::span<const Record> records);

    const Options options_;
    MetricsRegistry& metrics_;
    Log& log_;
    const Clock& clock_;
    // Owned by the thread that calls step().
    std::map<Partition, std::unique_ptr<Task>> tasks_;
    std::unique_ptr<Consumer> consumer_;  // Last: it calls back into this object until destroyed.
};

}  // namespace vigie::streams
