#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "responders/actions/executor.h"
#include "responders/actions/kill_switch.h"
#include "responders/actions/pool.h"
#include "responders/actions/runner.h"
#include "schemas/events.h"
#include "tests/support/memory_state.h"

namespace vigie::actions::test {

using schemas::ActionEvent;
using schemas::ActionPhase;
using schemas::ActionStatus;

inline constexpr EventTime kStart = event_time_from_micros(1'795'000'000'000'000);

// Shows the event time of the topic as wall time, so that intents have the age they seem to.
class TopicClock final : public Clock {
public:
    WallTime wall() const override {
        return WallTime{
            std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch())};
    }
    SteadyTime steady() const override { return SteadyTime{now.time_since_epoch()}; }

    EventTime now = kStart;
};

class FakeKillSwitch final : public KillSwitch {
public:
    Status check_off() const override { return status; }

    Status status;
};

// What a fake action does to its world, and what it says about it.
struct FakeTarget {
    bool applied = false;
    int calls = 0;  // Requests that changed something or tried to
    int inspections = 0;
    int looks = 0;
    int inspections_failing = 0;            // That many answer kUnavailable first
    std::optional<Fate> says;               // Instead of the truth
    bool drop = false;                      // The request is lost and its fate unknown
    std::optional<Sight> sight;             // Instead of the truth
    std::function<void()> on_call = [] {};  // In the middle of the call
};

class FakeAction final : public Action {
public:
    FakeAction(std::string name, FakeTarget& target) : name_(std::move(name)), target_(target) {}

    std::string_view name() const override { return name_; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }
    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override;
    Outcome execute(const ActionRequest& request, CallBudget& budget) const override;
    Look look(const ActionRequest& request, CallBudget& budget) const override;

private:
    const std::string name_;
    FakeTarget& target_;
};

// vigie.actions with one partition and everything around it, in one thread: the log, a process
// with executor, runner and pool that can die, and its state that does not.
class ActionsWorld {
public:
    ActionsWorld();
    ~ActionsWorld();

    Catalogue catalogue;  // Before start()
    TopicClock clock;
    FakeKillSwitch kill_switch;
    InstantWaiter waiter;
    MetricsRegistry metrics;
    MemoryLog log;
    FakeTarget target;  // Of the actions "fake" and "other"
    Runner::Options runner_options{.instance = {}};
    Executor::Options executor_options;
    std::size_t pool_queue_max = 256;
    bool publish_works = true;

    void start();  // A new process, with a new instance
    void crash();  // It is gone, with all that was queued
    // The worker failed in a step: its processor is made anew, the process lives on.
    void remake_executor();

    void append(ActionEvent event);
    void tick(std::chrono::microseconds later);  // A tick record, so much later
    // One step: processes one record and commits. False when there is none left.
    bool step();
    // As step, but nothing of it is durable, as after a lost disk; then remake_executor().
    void step_and_fail();
    // As step, but the worker is told that it failed although it is durable.
    void step_without_acknowledgement();
    std::size_t run_pool() { return pool_->run_all(); }
    void stop_pool() { pool_->stop(); }
    Executor& executor() { return *executor_; }
    Runner& runner() { return *runner_; }
    void settle();  // Steps and pool, until nothing happens any more

    const std::vector<ActionEvent>& events() const { return events_; }
    // Of one action, in order: "intended started succeeded".
    std::string story(const std::string& id) const;
    const ActionEvent& last() const { return events_.back(); }
    vigie::test::MemoryState state;

private:
    struct Record {
        std::optional<ActionEvent> event;  // nullopt: a tick
        EventTime at;
    };
    std::vector<ActionEvent> process(const Record& record);

    std::vector<Record> records_;
    std::vector<ActionEvent> events_;
    std::size_t position_ = 0;
    int starts_ = 0;
    std::unique_ptr<InlinePool> pool_;
    std::unique_ptr<Runner> runner_;
    std::unique_ptr<Executor> executor_;
};

ActionEvent intent(const std::string& id, ActionPhase phase = ActionPhase::kExecute,
                   const std::string& action = "fake");

}  // namespace vigie::actions::test
