#include "responders/actions/action.h"

#include <algorithm>
#include <utility>

namespace vigie::actions {

ActionRequest to_request(const schemas::ActionEvent& event) {
    return {.id = event.id,
            .target = event.target,
            .parameters = event.parameters,
            .facts = event.facts};
}

CallBudget::CallBudget(Options options, const Clock& clock, Waiter& waiter)
    : options_(std::move(options)),
      clock_(clock),
      waiter_(waiter),
      deadline_(clock.steady() + options_.time_max) {}

std::chrono::milliseconds CallBudget::left() const {
    if (options_.stop.stop_requested()) return std::chrono::milliseconds{0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - clock_.steady());
    return std::max(left, std::chrono::milliseconds{0});
}

bool CallBudget::wait(std::chrono::milliseconds duration) {
    const auto time = std::min(duration, left());
    if (time.count() <= 0) return false;
    return waiter_.wait(time, options_.stop) && left().count() > 0;
}

Status CallBudget::may_change() const {
    if (!options_.may_change) {
        return fail(ErrorKind::kRefused, "this call may only read");
    }
    if (left().count() <= 0) {
        return fail(ErrorKind::kRefused, "the time for this action is used up");
    }
    return options_.may_change();
}

void Catalogue::add(std::unique_ptr<Action> action) {
    std::string name(action->name());
    const bool is_new = actions_.emplace(std::move(name), std::move(action)).second;
    VIGIE_ASSERT(is_new);
}

const Action* Catalogue::find(std::string_view name) const {
    const auto it = actions_.find(name);
    return it == actions_.end() ? nullptr : it->second.get();
}

std::vector<std::string> Catalogue::names() const {
    std::vector<std::string> names;
    names.reserve(actions_.size());
    for (const auto& [name, action] : actions_) names.push_back(name);
    return names;
}

}  // namespace vigie::actions
