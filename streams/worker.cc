#include "streams/worker.h"

#include <algorithm>

#include <fmt/format.h>

#include "streams/context.h"
#include "streams/metrics.h"

namespace vigie::streams {

namespace {

constexpr std::chrono::seconds kReportInterval{1};

}  // namespace

struct Worker::Task {
    Task(Partition input, const Store& store, std::size_t message_bytes_max)
        : partition(std::move(input)), context(store, message_bytes_max) {}

    const Partition partition;
    StepContext context;
    std::unique_ptr<Processor> processor;
    bool bulk = false;
    std::size_t snapshot_bytes = 0;  // Of the last one.
    Offset next = 0;                 // The first record not yet processed.
    bool start_over = false;         // The stored snapshot is of no use.
    bool fenced = false;             // The partition belongs to another worker.
    std::size_t records_since_snapshot = 0;
    std::optional<EventTime> watermark_at_snapshot;
    EventTime event_time_last;
    Gauge* event_lag = nullptr;
    Gauge* input_lag = nullptr;
    std::optional<SteadyTime> reported_at;
};

struct Worker::Counters {
    Counters(MetricsRegistry& registry, const std::string& stage_name)
        : stage{{"stage", stage_name}},
          records_in(registry.counter(metrics::kRecordsIn, stage)),
          records_out(registry.counter(metrics::kRecordsOut, stage)),
          records_late(registry.counter(metrics::kRecordsLate, stage)),
          records_skipped(registry.counter(metrics::kRecordsSkipped, stage)),
          dead_letters(registry.counter(metrics::kDeadLetters, stage)),
          fenced(registry.counter(metrics::kFenced, stage)),
          timers_fired(registry.counter(metrics::kTimersFired, stage)),
          timers_deferred(registry.counter(metrics::kTimersDeferred, stage)),
          snapshots(registry.counter(metrics::kSnapshots, stage)),
          snapshot_bytes(registry.gauge(metrics::kSnapshotBytes, stage)),
          step_seconds(registry.histogram(metrics::kStepSeconds, stage)) {}

    const MetricLabels stage;
    Counter& records_in;
    Counter& records_out;
    Counter& records_late;
    Counter& records_skipped;
    Counter& dead_letters;
    Counter& fenced;
    Counter& timers_fired;
    Counter& timers_deferred;
    Counter& snapshots;
    Gauge& snapshot_bytes;
    Histogram& step_seconds;
};

Worker::Worker(Bus& bus, Options options, MetricsRegistry& metrics, Log& log, const Clock& clock)
    : options_(std::move(options)),
      bus_(bus),
      metrics_(metrics),
      log_(log),
      clock_(clock),
      counters_(std::make_unique<Counters>(metrics, options_.stage)) {}

Worker::~Worker() = default;

Result<std::unique_ptr<Worker>> Worker::open(Bus& bus, Options options, MetricsRegistry& metrics,
                                             Log& log, const Clock& clock) {
    if (!options.make_processor) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("stage {} has no processor factory", options.stage));
    }
    VIGIE_TRY(bus.partition_count(options.dead_letter_topic));
    std::unique_ptr<Worker> worker(new Worker(bus, std::move(options), metrics, log, clock));
    VIGIE_TRY(worker->subscribe());
    return worker;
}

Status Worker::subscribe() {
    consumer_.reset();
    tasks_.clear();
    VIGIE_TRY_ASSIGN(consumer_, bus_.subscribe(options_.subscription, *this));
    return {};
}

Status Worker::on_assigned(std::span<const Partition> partitions) {
    for (const Partition& partition : partitions) VIGIE_TRY(open_task(partition));
    return {};
}

void Worker::on_revoked(std::span<const Partition> partitions) {
    for (const Partition& partition : partitions) {
        const auto found = tasks_.find(partition);
        if (found == tasks_.end()) continue;
        found->second->input_lag->set(0);
        tasks_.erase(found);
    }
}

Status Worker::open_task(const Partition& partition) {
    auto task =
        std::make_unique<Task>(partition, consumer_->store(partition), bus_.message_bytes_max());
    VIGIE_TRY(task->context.load());
    VIGIE_TRY_ASSIGN(task->next, consumer_->position(partition));
    task->processor = options_.make_processor(partition);
    task->bulk = task->processor->has_bulk_state();
    MetricLabels labels = counters_->stage;
    labels.emplace_back("partition", to_string(partition));
    task->event_lag = &metrics_.gauge(metrics::kEventLagSeconds, labels);
    task->input_lag = &metrics_.gauge(metrics::kInputLag, labels);
    if (task->bulk) {
        const Status restored = restore(*task);
        if (!restored && restored.error().kind != ErrorKind::kInvalid) return restored;
        if (!restored) {
            log_.warn("snapshot is of no use, the stage starts from the oldest record",
                      {{"stage", options_.stage},
                       {"partition", to_string(partition)},
                       {"reason", restored.error().message}});
            task->start_over = true;
        }
    }
    tasks_[partition] = std::move(task);
    return {};
}

Status Worker::restore(Task& task) {
    VIGIE_TRY_ASSIGN(const auto reference, task.context.load_snapshot());
    if (!reference) return {};
    VIGIE_TRY_ASSIGN(const auto snapshot, consumer_->load_bulk(task.partition, *reference));
    task.watermark_at_snapshot = task.context.watermark();
    task.snapshot_bytes = snapshot.size();
    return task.processor->restore(snapshot);
}

// True when the worker subscribed again: what was polled before must not be used.
Result<bool> Worker::start_again_where_needed() {
    bool any = false;
    for (const auto& [partition, task] : tasks_) {
        if (!task->start_over) continue;
        any = true;
        VIGIE_TRY_ASSIGN(Changes nothing, StepContext::erase_all(consumer_->store(partition)));
        const Status reset = consumer_->commit(
            Step{.input = partition, .next = 0, .state = std::move(nothing), .outputs = {}});
        // Fenced: the new owner sees the same snapshot and does the same.
        if (!reset && reset.error().kind != ErrorKind::kConflict) return fail(reset.error());
    }
    if (any) VIGIE_TRY(subscribe());
    return any;
}

Result<std::size_t> Worker::step(const PollLimits& limits) {
    auto done = step_once(limits);
    if (!done) {
        MetricLabels labels = counters_->stage;
        labels.emplace_back("kind", to_string(done.error().kind));
        metrics_.counter(metrics::kStepsFailed, std::move(labels)).add();
    }
    return done;
}

Result<std::size_t> Worker::step_once(const PollLimits& limits) {
    VIGIE_TRY_ASSIGN(auto records, consumer_->poll(limits));
    VIGIE_TRY_ASSIGN(const bool started_again, start_again_where_needed());
    if (started_again) return 0;
    std::map<Partition, std::vector<Record>> by_partition;
    for (Record& record : records) {
        by_partition[record.partition].push_back(std::move(record));
    }
    std::size_t processed = 0;
    for (const auto& [partition, batch] : by_partition) {
        const auto found = tasks_.find(partition);
        if (found == tasks_.end()) {
            return fail(ErrorKind::kConflict, fmt::format("{} is no longer assigned to stage {}",
                                                          to_string(partition), options_.stage));
        }
        Task& task = *found->second;
        const SteadyTime start = clock_.steady();
        const Status status = process(task, batch);
        if (task.fenced) {
            // Another worker continues from the last commit; our next poll learns of it.
            counters_->fenced.add();
            tasks_.erase(found);
            continue;
        }
        if (!status) return fail(Error(status.error()).in(to_string(partition)));
        processed += batch.size();
        counters_->step_seconds.observe(
            std::chrono::duration<double>(clock_.steady() - start).count());
        report(task);
    }
    return processed;
}

Status Worker::process(Task& task, std::span<const Record> records) {
    for (const Record& record : records) {
        VIGIE_TRY(apply(task, record));
        if (task.bulk && snapshot_due(task)) VIGIE_TRY(commit(task, true));
    }
    return commit(task, false);
}

Status Worker::apply(Task& task, const Record& record) {
    StepContext& context = task.context;
    // A step from one offset to a later one is not enough to say so: offsets may have holes.
    if (record.removed_before > 0) {
        const auto skipped = static_cast<std::uint64_t>(record.removed_before);
        counters_->records_skipped.add(skipped);
        log_.error("records were removed by retention before the stage had read them",
                   {{"stage", options_.stage},
                    {"partition", to_string(task.partition)},
                    {"records", std::to_string(skipped)}});
    }
    const EventTime at = record.message.event_time;
    task.event_time_last = at;
    if (at < context.watermark()) counters_->records_late.add();
    // Compares before it subtracts: a nonsense time must not overflow.
    if (at > EventTime{options_.lateness_max}) context.advance(at - options_.lateness_max);
    if (!task.watermark_at_snapshot) task.watermark_at_snapshot = context.watermark();
    VIGIE_TRY(fire_timers(task, record));

    context.begin();
    const Status status = task.processor->on_record(record, context);
    if (!status && status.error().kind != ErrorKind::kInvalid) return status;
    if (!status || context.refused()) {
        const Error error = status ? *context.refused() : status.error();
        context.roll_back();
        refuse(task, record, {}, error);
    }
    counters_->records_in.add();
    ++task.records_since_snapshot;
    task.next = record.offset + 1;
    return {};
}

Status Worker::fire_timers(Task& task, const Record& record) {
    StepContext& context = task.context;
    for (std::size_t fired = 0; fired < options_.timers_per_record_max; ++fired) {
        const auto due = context.take_due();
        if (!due) return {};
        if (due->is_end) continue;
        context.begin();
        const Status status = task.processor->on_timer(due->name, due->at, context);
        if (!status && status.error().kind != ErrorKind::kInvalid) return status;
        if (!status || context.refused()) {
            const Error error = status ? *context.refused() : status.error();
            context.roll_back();
            refuse(task, record, due->name, error);
        }
        counters_->timers_fired.add();
    }
    if (context.has_due()) counters_->timers_deferred.add();
    return {};
}

// With a timer name the timer is refused, otherwise the record.
void Worker::refuse(Task& task, const Record& record, std::string_view timer, const Error& error) {
    counters_->dead_letters.add();
    const std::string origin = fmt::format("{}@{}", to_string(record.partition), record.offset);
    log_.warn("record refused", {{"stage", options_.stage},
                                 {"origin", origin},
                                 {"timer", std::string(timer)},
                                 {"reason", error.message}});
    // A refused dead letter would come back as a new dead letter for ever.
    if (record.partition.topic == options_.dead_letter_topic) return;
    Message letter;
    letter.topic = options_.dead_letter_topic;
    letter.key = record.partition.topic;
    letter.event_time = record.message.event_time;
    letter.headers = {{"reason", error.message}, {"origin", origin}, {"stage", options_.stage}};
    if (timer.empty()) {
        letter.value = record.message.value;
        letter.headers.emplace_back("key", record.message.key);
        for (const auto& header : record.message.headers) {
            const bool ours = std::any_of(letter.headers.begin(), letter.headers.begin() + 4,
                                          [&](const auto& h) { return h.first == header.first; });
            if (!ours) letter.headers.push_back(header);
        }
    } else {
        letter.headers.emplace_back("timer", timer);
    }
    const std::size_t bytes_max = bus_.message_bytes_max();
    if (bytes_of(letter) > bytes_max) {
        // The record fills the limit alone: the reason matters more than its last bytes.
        letter.headers.resize(3);
        letter.headers.emplace_back("value_bytes", std::to_string(letter.value.size()));
        letter.headers[0].second.resize(std::min<std::size_t>(error.message.size(), 512));
        const std::size_t over = bytes_of(letter) - std::min(bytes_of(letter), bytes_max);
        letter.value.resize(letter.value.size() - std::min(over, letter.value.size()));
    }
    task.context.emit_unchecked(std::move(letter));
}

bool Worker::snapshot_due(const Task& task) const {
    // A large one is due less often. By size, records and event time alone, so that a replay takes
    // the same snapshots.
    const std::size_t times = 1 + task.snapshot_bytes / options_.snapshot_bytes_cheap;
    return task.records_since_snapshot >= options_.snapshot_records * times ||
           task.context.watermark() - *task.watermark_at_snapshot >=
               options_.snapshot_interval * times ||
           task.context.changes_pending() >= options_.snapshot_changes_max ||
           task.context.bytes_pending() >= options_.snapshot_bytes_max;
}

Status Worker::commit(Task& task, bool snapshot) {
    Step step;
    step.input = task.partition;
    std::string reference;
    if (snapshot) {
        const std::string bytes = task.processor->snapshot();
        counters_->snapshot_bytes.set(static_cast<double>(bytes.size()));
        auto saved = consumer_->save_bulk(task.partition, bytes);
        task.fenced = !saved && saved.error().kind == ErrorKind::kConflict;
        if (!saved) return fail(std::move(saved).error());
        reference = *std::move(saved);
        task.context.save_snapshot(reference);
        task.snapshot_bytes = bytes.size();
        task.records_since_snapshot = 0;
        task.watermark_at_snapshot = task.context.watermark();
    }
    if (!task.bulk || snapshot) {
        step.next = task.next;
        step.state = task.context.take_changes();
    }
    step.outputs = task.context.take_outputs();
    const std::size_t outputs = step.outputs.size();
    if (step.next || outputs != 0) {
        const Status status = consumer_->commit(std::move(step));
        task.fenced = !status && status.error().kind == ErrorKind::kConflict;
        if (!status) return status;
    }
    counters_->records_out.add(outputs);
    if (snapshot) {
        consumer_->keep_bulk(task.partition, reference);
        counters_->snapshots.add();
    }
    task.processor->on_committed();
    return {};
}

void Worker::report(Task& task) {
    const auto lag = to_event_time(clock_.wall()) - task.event_time_last;
    task.event_lag->set(std::chrono::duration<double>(lag).count());
    // A bus may have to ask another machine.
    const SteadyTime now = clock_.steady();
    if (task.reported_at && now - *task.reported_at < kReportInterval) return;
    task.reported_at = now;
    if (const auto range = bus_.range(task.partition)) {
        task.input_lag->set(static_cast<double>(std::max<Offset>(range->end - task.next, 0)));
    }
}

}  // namespace vigie::streams
