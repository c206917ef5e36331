#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/actions/pool.h"
#include "schemas/events.h"

namespace vigie::actions {

using Facts = std::map<std::string, std::string>;

// What an action is asked to do, without the story around it.
struct ActionRequest {
    ActionId id;  // The idempotency key: the same id never changes a target twice.
    EntityId target;
    std::map<std::string, std::string> parameters;
    Facts facts;  // Of the last inspection; empty when there was none.
};
ActionRequest to_request(const schemas::ActionEvent& event);

// What an inspection found: facts for preconditions and for the guard of the call, and what
// would change, in lines for people.
struct Inspection {
    Facts facts;
    std::vector<std::string> diff;
};

// What is certain after a call.
enum class Fate : std::uint8_t {
    kDone,     // Certainly applied.
    kRefused,  // Certainly nothing was called: a precondition, a permission, the kill switch.
    kFailed,   // Called or not, certainly nothing was changed.
    kUnknown,  // The request may have been applied: look at the target.
};
struct Outcome {
    Fate fate = Fate::kUnknown;
    std::string message;  // One sentence.
    Facts facts;          // What the answer said.
};

// What a look at the target says about a call whose fate is unknown.
enum class Sight : std::uint8_t { kApplied, kNotApplied, kUnknown };
struct Look {
    Sight sight = Sight::kUnknown;
    std::string message;
    Facts facts;
};

// What one call may use up, and its permission to change things.
class CallBudget {
public:
    using MayChange = std::function<Status()>;

    struct Options {
        std::stop_token stop;
        std::chrono::milliseconds time_max{300'000};
        MayChange may_change;  // Empty: this call may not change anything.
    };
    // `clock` and `waiter` must outlive the budget.
    CallBudget(Options options, const Clock& clock, Waiter& waiter);

    const std::stop_token& stop() const { return options_.stop; }
    // Zero when it is used up or stop was requested.
    std::chrono::milliseconds left() const;
    // Lets time pass; false when the budget is used up or stop was requested.
    bool wait(std::chrono::milliseconds duration);
    // To be asked immediately before every request that changes something. Reads the kill
    // switch; kRefused says why not.
    Status may_change() const;

private:
    const Options options_;
    const Clock& clock_;
    Waiter& waiter_;
    const SteadyTime deadline_;
};

// One way to change the outside world. Runs on the pool, may block within its budget. Safe to
// call from several threads at once.
class Action {
public:
    Action() = default;
    Action(const Action&) = delete;
    Action& operator=(const Action&) = delete;
    virtual ~Action() = default;

    virtual std::string_view name() const = 0;  // Catalogue name: "kubernetes.scale_deployment".
    virtual schemas::Risk risk() const = 0;

    // Reads only. kInvalid for parameters that make no sense, kNotFound when the target does
    // not exist, kRefused beyond a configured bound, kUnavailable when it did not answer.
    virtual Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const = 0;

    // Does it once, guarded by the facts of the inspection: when the target has changed since,
    // or the same request was applied before, it refuses or fails and changes nothing.
    virtual Outcome execute(const ActionRequest& request, CallBudget& budget) const = 0;

    // Reads only. Says whether `request` was applied, for a call whose fate is unknown. Called
    // when the request cannot be on its way any more.
    virtual Look look(const ActionRequest& request, CallBudget& budget) const = 0;
};

// Every action this process can do, by name. Filled at start, then only read.
class Catalogue {
public:
    // Asserts that the name is new.
    void add(std::unique_ptr<Action> action);
    const Action* find(std::string_view name) const;  // nullptr when there is none
    std::vector<std::string> names() const;           // Sorted

private:
    std::map<std::string, std::unique_ptr<Action>, std::less<>> actions_;
};

}  // namespace vigie::actions
