#include "responders/actions/runner.h"

#include <fmt/format.h>

#include <utility>

#include "core/redact.h"
#include "responders/actions/metrics.h"

namespace vigie::actions {

namespace {

using schemas::ActionEvent;
using schemas::ActionPhase;
using schemas::ActionStatus;

constexpr std::size_t kFactsMax = 64;
constexpr std::size_t kFactBytesMax = 4096;
constexpr std::size_t kDiffLinesMax = 200;
constexpr std::size_t kLineBytesMax = 1024;
constexpr std::string_view kCutMark = "…";

std::string cut(const std::string& text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    return one_line(text, bytes_max - kCutMark.size()).append(kCutMark);
}

// The fact "applied" of an execution's outcome: what is certain, in one word.
std::string_view applied(ActionStatus status) {
    switch (status) {
        case ActionStatus::kSucceeded: return "yes";
        case ActionStatus::kFailed:
        case ActionStatus::kRefused: return "no";
        default: return "unknown";
    }
}

ActionStatus status_of(const Error& error) {
    return error.kind == ErrorKind::kRefused ? ActionStatus::kRefused : ActionStatus::kFailed;
}

}  // namespace

void bound(ActionEvent& event) {
    while (event.facts.size() > kFactsMax) event.facts.erase(std::prev(event.facts.end()));
    for (auto& [name, value] : event.facts) value = cut(value, kFactBytesMax);
    if (event.diff.size() > kDiffLinesMax) {
        event.diff.resize(kDiffLinesMax - 1);
        event.diff.emplace_back(kCutMark);
    }
    for (auto& line : event.diff) line = cut(line, kLineBytesMax);
    event.message = cut(one_line(event.message, event.message.size()), kLineBytesMax);
}

Runner::Runner(Options options, Doors doors, Publish publish)
    : options_(std::move(options)), doors_(doors), publish_(std::move(publish)) {
    VIGIE_ASSERT(!options_.instance.empty());
    VIGIE_ASSERT(publish_ != nullptr);
}

Runner::~Runner() {
    doors_.pool.stop();
}

bool Runner::knows(std::string_view key) const {
    const std::scoped_lock lock(mutex_);
    return keys_.contains(key);
}

Status Runner::submit(Job job, const std::string& key, const ActionEvent& intent,
                      EventTime intended_at) {
    {
        const std::scoped_lock lock(mutex_);
        if (!keys_.insert(key).second) {
            return fail(ErrorKind::kConflict, fmt::format("'{}' was taken before", key));
        }
    }
    auto status =
        doors_.pool.submit([this, job, key, intent, intended_at](const std::stop_token& stop) {
            run(job, key, intent, intended_at, stop);
        });
    if (!status) {
        // Certainly not run: the key may be used again.
        const std::scoped_lock lock(mutex_);
        keys_.erase(key);
    }
    return status;
}

void Runner::run(Job job, const std::string& key, const ActionEvent& intent, EventTime intended_at,
                 const std::stop_token& stop) {
    const auto* action = doors_.catalogue.find(intent.action);
    const auto started = doors_.clock.steady();
    std::optional<ActionEvent> event;
    if (action == nullptr) {
        event = outcome(intent, ActionStatus::kRefused,
                        fmt::format("no action '{}' is configured here", intent.action), {});
    } else if (job == Job::kInspect) {
        event = inspect(*action, intent, stop);
    } else if (job == Job::kExecute) {
        event = execute(*action, intent, intended_at, stop);
    } else {
        CallBudget budget({.stop = stop, .time_max = options_.action_timeout, .may_change = {}},
                          doors_.clock, doors_.waiter);
        event = settle(*action, intent, "another process started it and left no outcome", budget);
    }
    // Nothing to say means that Vigie is stopping: the row stays, and the next start settles it.
    if (!event) return;
    if (action != nullptr) {
        const std::chrono::duration<double> took = doors_.clock.steady() - started;
        doors_.metrics
            .histogram(metric::kCallSeconds,
                       {{"action", intent.action}, {"phase", std::string(to_string(intent.phase))}})
            .observe(took.count());
    }
    deliver(key, *event);
}

std::optional<ActionEvent> Runner::inspect(const Action& action, const ActionEvent& intent,
                                           const std::stop_token& stop) {
    CallBudget budget({.stop = stop, .time_max = options_.action_timeout, .may_change = {}},
                      doors_.clock, doors_.waiter);
    const auto request = to_request(intent);
    for (int tries = 1;; ++tries) {
        auto found = action.inspect(request, budget);
        if (found) {
            auto event = outcome(intent, ActionStatus::kSucceeded, "inspected", {});
            event.facts = std::move(found->facts);
            event.diff = std::move(found->diff);
            bound(event);
            return event;
        }
        if (stop.stop_requested()) return std::nullopt;
        const bool again = is_retryable(found.error().kind) && tries < options_.inspections_max &&
                           budget.wait(options_.inspection_wait * tries);
        if (again) continue;
        if (stop.stop_requested()) return std::nullopt;
        return outcome(intent, status_of(found.error()), found.error().message, {});
    }
}

std::optional<ActionEvent> Runner::execute(const Action& action, const ActionEvent& intent,
                                           EventTime intended_at, const std::stop_token& stop) {
    if (stop.stop_requested()) return std::nullopt;
    if (const auto status = check_may_call(intended_at); !status) {
        return outcome(intent, ActionStatus::kRefused, status.error().message, {});
    }
    CallBudget budget({.stop = stop,
                       .time_max = options_.action_timeout,
                       .may_change = [this, intended_at] { return check_may_call(intended_at); }},
                      doors_.clock, doors_.waiter);
    const auto done = action.execute(to_request(intent), budget);
    switch (done.fate) {
        case Fate::kDone:
            return outcome(intent, ActionStatus::kSucceeded, done.message, done.facts);
        case Fate::kRefused:
            return outcome(intent, ActionStatus::kRefused, done.message, done.facts);
        case Fate::kFailed: return outcome(intent, ActionStatus::kFailed, done.message, done.facts);
        case Fate::kUnknown: break;
    }
    doors_.log.warn("action in doubt, looking at its target", {{"action", intent.action},
                                                               {"action_id", intent.id.value},
                                                               {"target", intent.target.value},
                                                               {"reason", done.message}});
    // The looks have their own time: a call that used up its budget is the usual way to doubt.
    CallBudget looks({.stop = stop, .time_max = options_.action_timeout, .may_change = {}},
                     doors_.clock, doors_.waiter);
    // The request may still be on its way: what a look says before it has arrived is worth nothing.
    if (!looks.wait(options_.settle_wait) && stop.stop_requested()) return std::nullopt;
    return settle(action, intent, done.message, looks);
}

std::optional<ActionEvent> Runner::settle(const Action& action, const ActionEvent& intent,
                                          std::string_view before, CallBudget& budget) {
    const auto request = to_request(intent);
    Look look;
    for (int looks = 1; looks <= options_.looks_max; ++looks) {
        look = action.look(request, budget);
        if (look.sight == Sight::kApplied) {
            return outcome(intent, ActionStatus::kSucceeded,
                           fmt::format("{}; a look at the target shows it was applied: {}", before,
                                       look.message),
                           look.facts);
        }
        if (look.sight == Sight::kNotApplied) {
            return outcome(intent, ActionStatus::kFailed,
                           fmt::format("{}; a look at the target shows it was not applied: {}",
                                       before, look.message),
                           look.facts);
        }
        if (looks < options_.looks_max && !budget.wait(options_.look_wait)) break;
    }
    if (budget.stop().stop_requested()) return std::nullopt;
    doors_.log.error("action stays in doubt, a person must look at its target",
                     {{"action", intent.action},
                      {"action_id", intent.id.value},
                      {"target", intent.target.value},
                      {"reason", look.message}});
    return outcome(
        intent, ActionStatus::kInDoubt,
        fmt::format("{}; looking at the target did not settle it: {}", before, look.message),
        look.facts);
}

Status Runner::check_may_call(EventTime intended_at) {
    if (options_.intent_age_max.count() > 0) {
        const auto age = to_event_time(doors_.clock.wall()) - intended_at;
        if (age > options_.intent_age_max) {
            return fail(
                ErrorKind::kRefused,
                fmt::format("the intent is {} s old, more than the {} s allowed; inspect and plan "
                            "again",
                            std::chrono::duration_cast<std::chrono::seconds>(age).count(),
                            options_.intent_age_max.count()));
        }
    }
    return check_kill_switch();
}

Status Runner::check_kill_switch() {
    auto status = doors_.kill_switch.check_off();
    if (status) return {};
    doors_.metrics.counter(metric::kKillSwitchRefusals).add();
    if (status.error().kind == ErrorKind::kRefused) return status;
    return fail(ErrorKind::kRefused,
                "the kill switch cannot be read and counts as on: " + status.error().message);
}

ActionEvent Runner::outcome(const ActionEvent& intent, ActionStatus status,
                            std::string_view message, const Facts& facts) const {
    auto event = intent;
    event.status = status;
    event.message = std::string(message);
    event.instance = options_.instance;
    for (const auto& [name, value] : facts) event.facts.insert_or_assign(name, value);
    if (event.phase == ActionPhase::kExecute) {
        event.facts.insert_or_assign("applied", std::string(applied(status)));
    }
    bound(event);
    return event;
}

void Runner::deliver(const std::string& key, const ActionEvent& event) {
    doors_.metrics
        .counter(metric::kOutcomes, {{"phase", std::string(to_string(event.phase))},
                                     {"status", std::string(to_string(event.status))}})
        .add();
    const auto status = publish_(event);
    if (status) {
        finish(key);
        return;
    }
    doors_.metrics.counter(metric::kPublishFailures).add();
    doors_.log.warn("action outcome not published yet, trying again at the next tick",
                    {{"action_id", event.id.value},
                     {"status", std::string(to_string(event.status))},
                     {"reason", status.error().message}});
    const std::scoped_lock lock(mutex_);
    unpublished_.insert_or_assign(key, event);
}

// Forgetting the oldest finished key is safe as long as keys_max is larger than the number of
// rows of all executors: its outcome is on the log before those of all younger keys, so it was
// read back, and its row is gone.
void Runner::finish(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    finished_.push_back(key);
    while (finished_.size() > options_.keys_max) {
        keys_.erase(finished_.front());
        finished_.pop_front();
    }
}

void Runner::publish_pending() {
    {
        const std::scoped_lock lock(mutex_);
        if (publishing_ || unpublished_.empty()) return;
        publishing_ = true;
    }
    const auto status = doors_.pool.submit([this](const std::stop_token&) {
        std::map<std::string, ActionEvent> events;
        {
            const std::scoped_lock lock(mutex_);
            events = unpublished_;
        }
        for (const auto& [key, event] : events) {
            if (!publish_(event)) break;  // The log does not answer: the others wait as well.
            {
                const std::scoped_lock lock(mutex_);
                unpublished_.erase(key);
            }
            finish(key);
        }
        const std::scoped_lock lock(mutex_);
        publishing_ = false;
    });
    if (!status) {
        const std::scoped_lock lock(mutex_);
        publishing_ = false;
    }
}

}  // namespace vigie::actions
