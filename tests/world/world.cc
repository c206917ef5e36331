#include "tests/world/world.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "app/act_stage.h"
#include "app/notify_stage.h"
#include "core/result.h"
#include "core/step_guard.h"
#include "ingest/ticker.h"
#include "responders/actions/kill_switch.h"
#include "responders/actions/pool.h"
#include "responders/actions/runner.h"
#include "responders/notify/channel.h"
#include "responders/notify/notifier.h"
#include "schemas/topics.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr EventTime kStart = event_time_from_micros(1'790'000'000'000'000);
constexpr std::size_t kStepsPerSecond = 60;  // With hazards
constexpr std::size_t kRoundsToSettle = 2000;
constexpr std::uint32_t kOutageCallsMax = 60;
constexpr std::size_t kTurnsOfOthers = 20;  // While a member is stalled, at most
// A process that waits for a slow disk dies so many times more often.
constexpr std::uint32_t kCrashesOfTheSlow = 50;

streams::Faults bus_faults(const Hazards& hazards) {
    streams::Faults faults;
    faults.poll_unavailable = hazards.bus;
    faults.commit_lost_before = hazards.bus;
    faults.commit_lost_after = hazards.bus;
    faults.append_lost_before = hazards.bus;
    faults.append_lost_after = hazards.bus;
    faults.disk_full = hazards.outage;
    faults.disk_slow = 3 * hazards.outage;
    faults.unreachable = hazards.outage;
    faults.while_calls_max = kOutageCallsMax;
    faults.crash = hazards.inside;
    faults.commit_crash = 10 * hazards.inside;
    faults.stall = hazards.stall;
    faults.short_batch = hazards.shuffle ? 300 : 0;
    faults.shuffle_partitions = hazards.shuffle;
    return faults;
}

Cluster::Faults cluster_faults(const Hazards& hazards) {
    return {static_cast<int>(hazards.call), static_cast<int>(hazards.call / 3)};
}

// A person's phone, behind a network that loses messages and answers.
class Phone final : public notify::Channel {
public:
    Phone(std::string name, bool urgent_only, const Hazards& hazards, Rng& rng,
          std::map<std::string, int>& pages)
        : name_(std::move(name)),
          urgent_only_(urgent_only),
          hazards_(hazards),
          rng_(rng),
          pages_(pages) {}

    std::string_view name() const override { return name_; }
    bool wants(const notify::Message& message) const override {
        return !urgent_only_ || notify::is_urgent(message);
    }
    bool can_carry(const notify::Message&) const override { return true; }
    notify::Sent send(const notify::Message& message, const std::stop_token&) const override {
        if (rng_.chance(hazards_.page)) return {notify::Delivery::kRetry, "not reached", {}};
        ++pages_[message.id];
        if (rng_.chance(hazards_.page)) return {notify::Delivery::kRetry, "no answer", {}};
        return {notify::Delivery::kDelivered, "", {}};
    }

private:
    const std::string name_;
    const bool urgent_only_;
    const Hazards& hazards_;
    Rng& rng_;
    std::map<std::string, int>& pages_;
};

class MemoryKillSwitch final : public actions::KillSwitch {
public:
    explicit MemoryKillSwitch(const bool& on) : on_(on) {}
    Status check_off() const override {
        return on_ ? Status(fail(ErrorKind::kRefused, "the kill switch is on")) : Status{};
    }

private:
    const bool& on_;
};

}  // namespace

class World::VirtualClock final : public Clock {
public:
    WallTime wall() const override {
        return WallTime{std::chrono::duration_cast<milliseconds>(now.time_since_epoch())} + error;
    }
    SteadyTime steady() const override { return SteadyTime{now.time_since_epoch()}; }

    EventTime now = kStart;
    seconds error{0};  // Of the wall clock
};

struct World::Process {
    Process(World& world, const Clock& machine_clock)
        : clock({}, machine_clock),
          kill_switch(world.kill_on_),
          runner(options(world), {catalogue, pool, kill_switch, waiter, clock, metrics, log},
                 [&world](const auto& event) { return publish(world, event); }),
          ticker({app::ticked_topics(), {"default"}}, world.bus_, clock, metrics) {
        catalogue.add(make_rollback(world.cluster_));
    }

    static actions::Runner::Options options(const World& world) {
        actions::Runner::Options options;
        options.instance = fmt::format("sim-{}", world.starts_);
        return options;
    }

    // Waits for a slow disk. After a crash nothing else that was queued is done.
    static Status publish(World& world, const schemas::ActionEvent& event) {
        std::optional<Status> answer;
        world.bus_.append({app::action_message(event, {"default"}, world.clock_->now)},
                          [&answer](Status status) { answer = std::move(status); });
        if (!answer) {
            world.pass_time();
            world.bus_.sync();
        }
        VIGIE_ASSERT(answer.has_value());
        if (world.bus_.crashed()) world.process_->pool.drop_all();
        return *std::move(answer);
    }

    StepGuard clock;
    MetricsRegistry metrics;
    MemoryLog log;
    actions::Catalogue catalogue;
    actions::InlinePool pool;
    MemoryKillSwitch kill_switch;
    actions::InstantWaiter waiter;
    actions::Runner runner;
    ingest::Ticker ticker;
    std::vector<streams::Worker::Options> stages;
    // Last: they use the rest. The second member of a stage comes and goes.
    std::vector<std::array<std::unique_ptr<streams::Worker>, 2>> workers;
};

World::World(Options options)
    : options_(std::move(options)),
      rng_(options_.seed),
      clock_(std::make_unique<VirtualClock>()),
      bus_({options_.seed ^ 0x5eedULL, {}, streams::kMessageBytesMax}),
      planted_bus_(bus_),
      cluster_(rng_, cluster_faults(options_.hazards)),
      hazards_(options_.hazards) {
    VIGIE_ASSERT(bus_.ensure_topics(app::make_topics(kPartitions, 0)).has_value());
    bus_.set_faults(bus_faults(hazards_));
    bus_.set_pause([this](streams::MemoryBus::Pause how) { pause(how); });
    start_process();
    const schemas::EventMeta meta{stable_event_id("policy-", "world"), "/app", now(), {"default"}};
    feed({std::string(topics::kDecisions),
          "default",
          schemas::encode({meta, options_.policy}),
          {},
          now()});
}

// Appends that still wait are answered while those who hear it are there.
World::~World() {
    bus_.crash();
}

EventTime World::now() const {
    return clock_->now;
}

void World::start_process() {
    process_.reset();
    bus_.recover();
    ++starts_;
    process_ = std::make_unique<Process>(*this, *clock_);
    app::Pipeline pipeline;
    pipeline.detect = options_.detect;
    Process& process = *process_;
    pipeline.make_act_stage = [&process] {
        actions::Executor::Options executor;
        executor.orphan_wait = seconds{1};
        return std::make_unique<app::ActStage>(std::make_unique<actions::Executor>(
            executor, process.runner, process.metrics, process.log));
    };
    pipeline.make_notify_stage = [this] { return make_notify_stage(); };
    pipeline.set_kill_switch = [this](bool on) -> Status {
        kill_on_ = on;
        return {};
    };
    pipeline.write_postmortem = [this](const IncidentId& id, const std::string& text) -> Status {
        postmortems_[id.value] = text;
        return {};
    };
    process.stages = app::make_stages(pipeline, process.metrics, process.clock);
    process.workers.resize(process.stages.size());
}

// What goes wrong with a page is tried again within seconds, so that a story sees it.
std::unique_ptr<streams::Processor> World::make_notify_stage() {
    notify::Notifier::Options options;
    options.retry_wait_min = seconds{1};
    options.retry_wait_max = seconds{4};
    Process& process = *process_;
    const notify::Notifier::Channels channels{
        std::make_shared<Phone>("phone", true, hazards_, rng_, pages_),
        std::make_shared<Phone>("desk", false, hazards_, rng_, pages_)};
    return std::make_unique<app::NotifyStage>(std::make_unique<notify::Notifier>(
        options, channels, [&process](auto work) { return process.pool.submit(std::move(work)); },
        Rng(rng_.next()), process.metrics, process.log));
}

void World::feed(const streams::Message& message) {
    fed_.push_back(message);
    outboxes_[message.topic].messages.push_back(message);
    send();
}

// True when something was acknowledged. The process may die while a slow disk lets senders wait.
bool World::send() {
    bool any = false;
    bool waiting = false;
    for (auto& [topic, outbox] : outboxes_) {
        std::size_t left = outbox.messages.size();
        while (left > 0 && !outbox.under_way) {
            outbox.under_way = true;
            bus_.append({outbox.messages.front()}, [&outbox](const Status& status) {
                outbox.under_way = false;
                if (status) outbox.messages.pop_front();
            });
            if (outbox.messages.size() == left) break;
            left = outbox.messages.size();
            any = true;
        }
        waiting |= outbox.under_way;
    }
    if (waiting && rng_.chance(kCrashesOfTheSlow * hazards_.inside)) bus_.crash();
    return any;
}

// True when there was something to do.
bool World::step(Place place, std::size_t records_max) {
    if (!in_step_.insert(place).second) return false;
    Process& process = *process_;
    auto& worker = process.workers[place.stage][place.member];
    bool busy = true;
    if (!worker) {
        streams::Bus& bus =
            options_.hazards.planted ? static_cast<streams::Bus&>(planted_bus_) : bus_;
        auto opened = streams::Worker::open(bus, process.stages[place.stage], process.metrics,
                                            process.log, process.clock);
        if (opened) worker = *std::move(opened);
    }
    if (worker) {
        const auto done = worker->step({records_max, milliseconds{0}});
        busy = !done || *done > 0;
        if (!done) worker.reset();
    }
    in_step_.erase(place);
    return busy;
}

void World::work(std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
        if (bus_.crashed() || rng_.chance(hazards_.crash)) crash();
        turn(i);
    }
}

void World::turn(std::size_t number) {
    send();
    if (rng_.chance(hazards_.member)) change_members();
    const auto& workers = process_->workers;
    Place place{hazards_.shuffle ? rng_.below(workers.size()) : number % workers.size(), 0};
    if (workers[place.stage][1]) place.member = rng_.below(2);
    step(place, hazards_.shuffle ? 1 + rng_.below(20) : 500);
    if (bus_.crashed()) return;
    if (!hazards_.shuffle || rng_.chance(200)) process_->pool.run_all();
}

void World::change_members() {
    const Place place{rng_.below(process_->workers.size()), 1};
    if (in_step_.contains(place)) return;
    ++met_["rebalance"];
    auto& second = process_->workers[place.stage][1];
    if (second) {
        second.reset();
    } else {
        step(place, 1 + rng_.below(20));
    }
}

// While a member is stalled the other one of its stage takes over, and all the rest goes on.
void World::pause(streams::MemoryBus::Pause pause) {
    pass_time();
    if (pause == streams::MemoryBus::Pause::kSlowDisk) {
        // The process dies while it waits.
        if (rng_.chance(kCrashesOfTheSlow * hazards_.inside)) bus_.crash();
        return;
    }
    if (in_step_.size() != 1) return;
    const Place stalled = *in_step_.begin();
    for (std::size_t left = rng_.below(kTurnsOfOthers); left > 0 && !bus_.crashed(); --left) {
        if (rng_.chance(200)) {
            step({stalled.stage, 1 - stalled.member}, 1 + rng_.below(20));
        } else {
            turn(left);
        }
    }
}

void World::pass_time() {
    clock_->now += milliseconds{50 + rng_.below(1500)};
}

void World::crash() {
    ++crashes_;
    bus_.crash();
    start_process();
}

void World::settle() {
    hazards_ = {};
    bus_.set_faults({});
    if (bus_.crashed()) crash();
    for (std::size_t round = 0; round < kRoundsToSettle; ++round) {
        bool busy = send();
        for (std::size_t stage = 0; stage < process_->workers.size(); ++stage) {
            busy |= step({stage, 0}, 500);
            if (process_->workers[stage][1]) busy |= step({stage, 1}, 500);
        }
        busy |= process_->pool.run_all() > 0;
        if (!busy) return;
    }
}

std::map<std::string, std::size_t> World::met() const {
    auto met = met_;
    met["crash"] = crashes_;
    met["call_in_doubt"] = cluster_.calls_in_doubt();
    for (std::size_t i = 0; i < streams::kFaultKinds; ++i) {
        const auto fault = static_cast<streams::Fault>(i);
        met[std::string(to_string(fault))] = bus_.counted(fault);
    }
    return met;
}

void World::advance() {
    constexpr std::array kErrors{seconds{-30}, seconds{5}, seconds{2 * 3600}};
    clock_->now += seconds{1};
    clock_->error = seconds{0};
    if (rng_.chance(hazards_.clock)) {
        clock_->error = kErrors.at(rng_.below(kErrors.size()));
        ++met_["clock_jump"];
    }
    // A tick that is lost is made up for by the next.
    static_cast<void>(process_->ticker.tick());
    if (hazards_.crash != 0 || hazards_.shuffle) {
        work(kStepsPerSecond);
        return;
    }
    const Hazards keep = hazards_;
    settle();
    hazards_ = keep;
    bus_.set_faults(bus_faults(hazards_));
}

void World::read_incidents() const {
    const streams::Partition partition{std::string(topics::kIncidents), 0};
    while (true) {
        const auto records = bus_.read(partition, incidents_read_, {500, milliseconds{0}});
        // Who cannot be reached is asked again the next time.
        if (!records || records->empty()) return;
        for (const auto& record : *records) {
            incidents_read_ = record.offset + 1;
            if (!record.message.headers.empty()) continue;  // A tick
            auto event = schemas::decode(record.message.value);
            VIGIE_ASSERT(event.has_value());
            auto& transition =
                transitions_.emplace_back(std::get<schemas::IncidentEvent>(event->data));
            incidents_[transition.incident.id.value] = transition.incident;
        }
    }
}

const std::vector<schemas::IncidentEvent>& World::transitions() const {
    read_incidents();
    return transitions_;
}

const std::map<std::string, schemas::Incident>& World::incidents() const {
    read_incidents();
    return incidents_;
}

}  // namespace vigie::sim
