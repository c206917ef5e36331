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
        // Both times two when the last one had so many bytes, times three when it had twice as
        // many, and so on. Above zero.
        std::size_t snapshot_bytes_cheap = std::size_t{256} << 20U;
        // With bulk state: a snapshot also when so many rows or bytes of state wait for one.
        std::size_t snapshot_changes_max = 100'000;
        std::size_t snapshot_bytes_max = std::size_t{64} << 20U;
        // Timers that fire before one record; the rest fire before the next one.
        std::size_t timers_per_record_max = 10'000;
        std::string dead_letter_topic = "vigie.deadletter";
    };

    // All references must outlive the worker. kNotFound names a topic that does not exist, the
    // dead-letter topic included. kInvalid: no processor factory.
    static Result<std::unique_ptr<Worker>> open(Bus& bus, Options options, MetricsRegistry& metrics,
                                                Log& log, const Clock& clock);
    ~Worker() override;

    // Polls one batch, processes it, and commits one step for each partition in it (and one at
    // each snapshot). Returns how many records were processed. After an error nothing of the
    // failing step happened or its fate is unknown: in both cases destroy the worker and open a
    // new one, which continues from the store. A partition that moved to another worker in the
    // meantime is not an error: its step is dropped. What a step does depends on the records
    // only, never on how they were batched (docs/adr/0003-exactly-once-step.md).
    Result<std::size_t> step(const PollLimits& limits);

private:
    struct Task;  // One partition: processor, context, counters.
    struct Counters;

    Worker(Bus& bus, Options options, MetricsRegistry& metrics, Log& log, const Clock& clock);
    Status on_assigned(std::span<const Partition> partitions) override;
    void on_revoked(std::span<const Partition> partitions) override;
    Result<std::size_t> step_once(const PollLimits& limits);
    Status subscribe();
    Status open_task(const Partition& partition);
    Status restore(Task& task);
    Result<bool> start_again_where_needed();
    Status process(Task& task, std::span<const Record> records);
    Status apply(Task& task, const Record& record);
    Status fire_timers(Task& task, const Record& record);
    void refuse(Task& task, const Record& record, std::string_view timer, const Error& error);
    bool snapshot_due(const Task& task) const;
    Status commit(Task& task, bool snapshot);
    void report(Task& task);

    const Options options_;
    Bus& bus_;
    MetricsRegistry& metrics_;
    Log& log_;
    const Clock& clock_;
    const std::unique_ptr<Counters> counters_;
    // Owned by the thread that calls step().
    std::map<Partition, std::unique_ptr<Task>> tasks_;
    std::unique_ptr<Consumer> consumer_;  // Last: it calls back into this object until destroyed.
};

}  // namespace vigie::streams
