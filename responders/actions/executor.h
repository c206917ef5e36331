#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/state.h"
#include "core/time.h"
#include "responders/actions/runner.h"
#include "schemas/events.h"

namespace vigie::actions {

// The durable half of the action protocol, for one partition of vigie.actions. An execute
// intent is called at most once, whatever crashes:
//
//   intended  -> a row, and "started" with our instance, in one atomic step
//   our "started" read back, step committed -> the call, on the pool (runner.h)
//   outcome read back -> the row becomes a finished id, which refuses duplicates of the intent
//   a row started by a dead process -> never called again: a look at the target settles it
//
// Inspections only read; they follow the same way and are simply repeated after a crash.
// Not thread-safe: the worker that owns the partition owns its executor. Belongs to one
// assignment: after a failed step it is thrown away and made anew.
class Executor {
public:
    struct Options {
        std::size_t rows_max = 1'000;  // Running at once; above, intents are refused
        std::chrono::seconds finished_age{std::chrono::hours{24 * 7}};
        std::size_t finished_max = 100'000;  // Above, the oldest is forgotten and counted
        // Before touching what another process started. With the embedded log that process is
        // dead, as the data folder has one owner. On a shared bus it may live: then this must
        // be longer than intent_age_max and twice action_timeout of Runner::Options together.
        std::chrono::seconds orphan_wait{5};
        // A row that the pool could not take for so long is refused.
        std::chrono::seconds start_wait_max{60};
    };

    // `runner`, `metrics` and `log` must outlive the executor.
    Executor(Options options, Runner& runner, MetricsRegistry& metrics, Log& log);

    // Every event of vigie.actions, in order, with the partition's watermark as `now`. Returns
    // the events to emit in the same step. Errors are those of the state: the step fails.
    Result<std::vector<schemas::ActionEvent>> on_event(const schemas::ActionEvent& event,
                                                       EventTime now, State& state);

    // Each tick of vigie.actions. Finds what another process left, hands over what the pool had
    // no room for, refuses what waited too long, forgets old ids. As on_event otherwise.
    Result<std::vector<schemas::ActionEvent>> on_tick(EventTime now, State& state);

    // After the step is durable: hands its work to the pool. Work that does not fit is found
    // again by the next tick.
    void on_committed();

private:
    struct Row;
    struct Work {
        Runner::Job job;
        std::string key;
        schemas::ActionEvent intent;
        EventTime intended_at;
    };
    using Events = std::vector<schemas::ActionEvent>;

    Result<Events> on_intended(const schemas::ActionEvent& event, EventTime now, State& state);
    Result<Events> on_started(const schemas::ActionEvent& event, State& state);
    Status on_outcome(const schemas::ActionEvent& event, EventTime now, State& state);
    Status revisit(Row row, EventTime now, State& state, Events& out);
    schemas::ActionEvent refuse(const schemas::ActionEvent& intent, std::string message) const;
    Status finish(const schemas::ActionEvent& event, EventTime now, State& state);
    Status forget_old(EventTime now, State& state);
    static std::string work_key(Runner::Job job, const schemas::ActionEvent& intent,
                                EventTime intended_at);
    void queue(Runner::Job job, const Row& row);
    void ignore(const schemas::ActionEvent& event);

    const Options options_;
    Runner& runner_;
    MetricsRegistry& metrics_;
    Log& log_;
    std::vector<Work> work_;  // Of the step that is not committed yet
};

}  // namespace vigie::actions
