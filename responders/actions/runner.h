#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/actions/action.h"
#include "responders/actions/kill_switch.h"
#include "responders/actions/pool.h"
#include "schemas/events.h"

namespace vigie::actions {

// Makes the calls: one for each process, shared by the executors of all its partitions. Takes
// each piece of work once, runs it on the pool, settles what is in doubt by looking, and puts
// the outcome on the log. Safe to call from any thread.
class Runner {
public:
    struct Options {
        // Must differ at every start of a process (host name and a random number): that is how
        // the executor tells its own work from what a dead process left behind. Two starts
        // with the same instance could do an action twice.
        std::string instance;
        std::chrono::milliseconds action_timeout{300'000};  // For one action with its looks
        std::chrono::milliseconds settle_wait{2'000};       // Before the first look after a call
        int looks_max = 5;
        std::chrono::milliseconds look_wait{3'000};  // Between looks that settle nothing
        int inspections_max = 3;                     // Tries, while the target does not answer
        std::chrono::milliseconds inspection_wait{1'000};
        // An execute intent older than this (event time against the wall clock) is refused: the
        // world it was planned for is gone. Zero: never too old.
        std::chrono::seconds intent_age_max{300};
        std::size_t keys_max = 10'000;  // Finished keys remembered; above all rows together
    };

    // Outcomes of executions carry the fact "applied": "yes", "no" or "unknown".
    //
    // Puts one outcome on the log and returns when it is durable; may block and retry within
    // reason. Called on pool threads. The event comes without a time: the publisher has one.
    using Publish = std::function<Status(const schemas::ActionEvent&)>;

    // All must outlive the runner; the pool is stopped when the runner is destroyed.
    struct Doors {
        const Catalogue& catalogue;
        Pool& pool;
        const KillSwitch& kill_switch;
        Waiter& waiter;
        const Clock& clock;
        MetricsRegistry& metrics;
        Log& log;
    };

    enum class Job : std::uint8_t {
        kInspect,  // Read, and say what was found.
        kExecute,  // Call once; look when the fate is unknown.
        kLook,     // Another process may have called: only look.
    };

    Runner(Options options, Doors doors, Publish publish);
    ~Runner();
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    const std::string& instance() const { return options_.instance; }
    const Catalogue& catalogue() const { return doors_.catalogue; }

    // Queues `job` once for each `key`. kConflict when the key was taken before: it is not run
    // again. kOverloaded or kCancelled from the pool: the key is free again. `intended_at` is
    // the event time of the intent.
    Status submit(Job job, const std::string& key, const schemas::ActionEvent& intent,
                  EventTime intended_at);

    // True from submit() on, long after the outcome was published.
    bool knows(std::string_view key) const;

    // Queues another try for outcomes that could not be published.
    void publish_pending();

private:
    void run(Job job, const std::string& key, const schemas::ActionEvent& intent,
             EventTime intended_at, const std::stop_token& stop);
    std::optional<schemas::ActionEvent> inspect(const Action& action,
                                                const schemas::ActionEvent& intent,
                                                const std::stop_token& stop);
    std::optional<schemas::ActionEvent> execute(const Action& action,
                                                const schemas::ActionEvent& intent,
                                                EventTime intended_at, const std::stop_token& stop);
    std::optional<schemas::ActionEvent> settle(const Action& action,
                                               const schemas::ActionEvent& intent,
                                               std::string_view before, CallBudget& budget);
    Status check_may_call(EventTime intended_at);
    Status check_kill_switch();
    schemas::ActionEvent outcome(const schemas::ActionEvent& intent, schemas::ActionStatus status,
                                 std::string_view message, const Facts& facts) const;
    void deliver(const std::string& key, const schemas::ActionEvent& event);
    void finish(const std::string& key);

    const Options options_;
    const Doors doors_;
    const Publish publish_;
    mutable std::mutex mutex_;  // Protects everything below.
    std::set<std::string, std::less<>> keys_;
    std::deque<std::string> finished_;  // Oldest first
    std::map<std::string, schemas::ActionEvent> unpublished_;
    bool publishing_ = false;
};

// Keeps what goes on the log small: at most 64 facts of 4 KiB, 200 lines of 1 KiB, one line of
// message. What is cut ends in "…".
void bound(schemas::ActionEvent& event);

}  // namespace vigie::actions
