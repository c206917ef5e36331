#include "tests/responders/actions/harness.h"

#include <catch2/catch.hpp>

namespace vigie::actions::test {

Result<Inspection> FakeAction::inspect(const ActionRequest& request, CallBudget&) const {
    ++target_.inspections;
    if (target_.inspections_failing-- > 0) {
        return fail(ErrorKind::kUnavailable, "the target does not answer");
    }
    if (request.parameters.contains("bad")) return fail(ErrorKind::kInvalid, "bad parameters");
    return Inspection{.facts = {{"applied", target_.applied ? "true" : "false"}},
                      .diff = {"- old", "+ new"}};
}

Outcome FakeAction::execute(const ActionRequest&, CallBudget& budget) const {
    if (const auto may = budget.may_change(); !may) {
        return {.fate = Fate::kRefused, .message = may.error().message, .facts = {}};
    }
    ++target_.calls;
    target_.on_call();
    if (target_.says != Fate::kFailed && !target_.drop) target_.applied = true;
    const auto fate = target_.drop ? Fate::kUnknown : target_.says.value_or(Fate::kDone);
    return {.fate = fate, .message = "called", .facts = {{"answer", "200"}}};
}

Look FakeAction::look(const ActionRequest&, CallBudget&) const {
    ++target_.looks;
    const auto truth = target_.applied ? Sight::kApplied : Sight::kNotApplied;
    return {.sight = target_.sight.value_or(truth), .message = "looked", .facts = {}};
}

ActionsWorld::ActionsWorld() {
    catalogue.add(std::make_unique<FakeAction>("fake", target));
    catalogue.add(std::make_unique<FakeAction>("other", target));
}

ActionsWorld::~ActionsWorld() {
    crash();
}

void ActionsWorld::start() {
    crash();
    ++starts_;
    pool_ = std::make_unique<InlinePool>(pool_queue_max);
    auto options = runner_options;
    options.instance = "instance-" + std::to_string(starts_);
    runner_ = std::make_unique<Runner>(options,
                                       Runner::Doors{.catalogue = catalogue,
                                                     .pool = *pool_,
                                                     .kill_switch = kill_switch,
                                                     .waiter = waiter,
                                                     .clock = clock,
                                                     .metrics = metrics,
                                                     .log = log},
                                       [this](const ActionEvent& event) -> Status {
                                           if (!publish_works) {
                                               return fail(ErrorKind::kUnavailable, "no log");
                                           }
                                           append(event);
                                           return {};
                                       });
    remake_executor();
}

void ActionsWorld::crash() {
    executor_.reset();
    runner_.reset();
    pool_.reset();
}

void ActionsWorld::remake_executor() {
    executor_ = std::make_unique<Executor>(executor_options, *runner_, metrics, log);
}

void ActionsWorld::append(ActionEvent event) {
    records_.push_back({.event = event, .at = clock.now});
    events_.push_back(std::move(event));
}

void ActionsWorld::tick(std::chrono::microseconds later) {
    clock.now += later;
    records_.push_back({.event = std::nullopt, .at = clock.now});
}

std::vector<ActionEvent> ActionsWorld::process(const Record& record) {
    auto out = record.event ? executor_->on_event(*record.event, record.at, state)
                            : executor_->on_tick(record.at, state);
    REQUIRE(out.has_value());
    return *std::move(out);
}

bool ActionsWorld::step() {
    if (position_ == records_.size()) return false;
    const auto record = records_[position_];
    for (auto& event : process(record)) append(std::move(event));
    ++position_;
    executor_->on_committed();
    return true;
}

void ActionsWorld::step_and_fail() {
    REQUIRE(position_ < records_.size());
    const auto before = state.rows;
    process(Record(records_[position_]));
    state.rows = before;
    remake_executor();
}

void ActionsWorld::step_without_acknowledgement() {
    REQUIRE(position_ < records_.size());
    for (auto& event : process(Record(records_[position_]))) append(std::move(event));
    ++position_;
    remake_executor();
}

void ActionsWorld::settle() {
    for (bool busy = true; busy;) {
        busy = step();
        busy = run_pool() > 0 || busy;
    }
}

std::string ActionsWorld::story(const std::string& id) const {
    std::string out;
    for (const auto& event : events_) {
        if (event.id.value != id) continue;
        if (!out.empty()) out += ' ';
        out += to_string(event.status);
    }
    return out;
}

ActionEvent intent(const std::string& id, ActionPhase phase, const std::string& action) {
    ActionEvent event;
    event.id = {id};
    event.incident = {"inc-000000000001"};
    event.phase = phase;
    event.status = ActionStatus::kIntended;
    event.action = action;
    event.target = {"deployment:shop/checkout"};
    return event;
}

}  // namespace vigie::actions::test
