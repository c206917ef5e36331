#include "tests/app/site.h"

#include <utility>

#include <fmt/format.h>

#include "app/act_stage.h"
#include "app/notify_stage.h"
#include "responders/notify/channel.h"
#include "responders/notify/notifier.h"
#include "schemas/topics.h"
#include "tests/world/shop.h"
#include "tests/world/telemetry.h"

namespace vigie::app {

namespace {

namespace topics = schemas::topics;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int32_t kPartitions = 2;  // Of the telemetry topics

class Desk final : public notify::Channel {
public:
    std::string_view name() const override { return "desk"; }
    bool wants(const notify::Message&) const override { return true; }
    bool can_carry(const notify::Message&) const override { return true; }
    notify::Sent send(const notify::Message&, const std::stop_token&) const override {
        return {notify::Delivery::kDelivered, "", {}};
    }
};

}  // namespace

WallTime Site::HandClock::wall() const {
    return WallTime{std::chrono::duration_cast<milliseconds>(now.time_since_epoch())};
}

Site::Site(const std::string& folder, EventTime start, const std::string& version) {
    clock_.now = start;
    streams::rocks::RocksBus::Options options;
    options.path = folder;
    options.disk_free_bytes_min = 0;
    auto opened = streams::rocks::RocksBus::open(options, clock_, metrics_);
    VIGIE_ASSERT(opened.has_value());
    bus_ = *std::move(opened);
    VIGIE_ASSERT(bus_->ensure_topics(make_topics(kPartitions, 0)).has_value());
    cluster_.deployment("checkout") = {version, "1.4.2", 2, 0};
    catalogue_.add(sim::make_rollback(cluster_));
    actions::Runner::Options runner;
    runner.instance = fmt::format("site-{}", micros_of(start));
    runner_ = std::make_unique<actions::Runner>(
        runner,
        actions::Runner::Doors{catalogue_, pool_, kill_switch_, waiter_, clock_, metrics_, log_},
        [this](const schemas::ActionEvent& event) {
            return streams::append_and_wait(*bus_, {action_message(event, {"default"}, now())});
        });
    ticker_ = std::make_unique<ingest::Ticker>(
        ingest::Ticker::Options{ticked_topics(), {"default"}}, *bus_, clock_, metrics_);
    stages_ = make_stages(pipeline(), metrics_, clock_);
    for (const auto& stage : stages_) {
        auto worker = streams::Worker::open(*bus_, stage, metrics_, log_, clock_);
        VIGIE_ASSERT(worker.has_value());
        workers_.push_back(*std::move(worker));
    }
}

Site::~Site() = default;

Pipeline Site::pipeline() {
    Pipeline pipeline;
    pipeline.detect = sim::shop_detect_config();
    pipeline.make_act_stage = [this] {
        return std::make_unique<ActStage>(std::make_unique<actions::Executor>(
            actions::Executor::Options{}, *runner_, metrics_, log_));
    };
    pipeline.make_notify_stage = [this] {
        return std::make_unique<NotifyStage>(std::make_unique<notify::Notifier>(
            notify::Notifier::Options{}, notify::Notifier::Channels{std::make_shared<Desk>()},
            [this](auto work) { return pool_.submit(std::move(work)); }, Rng(1), metrics_, log_));
    };
    pipeline.set_kill_switch = [](bool) { return Status{}; };
    pipeline.write_postmortem = [this](const IncidentId& id, const std::string& text) -> Status {
        postmortems_[id.value] = text;
        return {};
    };
    return pipeline;
}

void Site::feed(const streams::Message& message) {
    VIGIE_ASSERT(streams::append_and_wait(*bus_, {message}).has_value());
}

void Site::second() {
    clock_.now += seconds{1};
    // Durable before the first record below: the bus keeps the order.
    VIGIE_ASSERT(ticker_->tick().has_value());
    const bool sick = version() == "1.5.0";
    for (const auto* service : {"frontend", "checkout"}) {
        feed(sim::metrics_message(service, sick ? 0.9 : 0.05, sick ? 0.3 : 0.0, now()));
    }
    feed(sim::span_message("frontend", "checkout", now()));
    if (sick != alerting_) {
        if (sick) alerting_since_ = now();
        alerting_ = sick;
        feed(sim::alert_message("checkout", sick, alerting_since_, now()));
    }
    work();
}

void Site::deploy(const std::string& version) {
    cluster_.deployment("checkout").version = version;
    feed(sim::deployment_message("checkout", version, now()));
}

void Site::decide(schemas::EventData data, const std::string& id) {
    const schemas::EventMeta meta{stable_event_id("site-", id), "/site", now(), {"default"}};
    feed({std::string(topics::kDecisions),
          "default",
          schemas::encode({meta, std::move(data)}),
          {},
          now()});
}

void Site::set_policy(schemas::Mode mode) {
    decide(sim::shop_policy(mode), "policy");
}

void Site::approve(const schemas::Incident& incident) {
    VIGIE_ASSERT(incident.plan.has_value());
    schemas::Decision decision;
    decision.kind = schemas::DecisionKind::kApprove;
    decision.actor = "alice";
    decision.incident = incident.id;
    decision.plan = incident.plan->id;
    decide(decision, "approve");
}

void Site::work() {
    bool busy = true;
    while (busy) {
        busy = false;
        for (auto& worker : workers_) {
            const auto done = worker->step({500, milliseconds{0}});
            if (!done) log_.error("step failed", {{"reason", done.error().message}});
            VIGIE_ASSERT(done.has_value());
            busy |= *done > 0;
        }
        busy |= pool_.run_all() > 0;
    }
}

std::vector<streams::Record> Site::records(std::string_view topic) const {
    std::vector<streams::Record> all;
    const auto partitions = bus_->partition_count(topic);
    VIGIE_ASSERT(partitions.has_value());
    for (std::int32_t index = 0; index < *partitions; ++index) {
        auto records = bus_->read({std::string(topic), index}, 0, {1'000'000, milliseconds{0}});
        VIGIE_ASSERT(records.has_value());
        std::move(records->begin(), records->end(), std::back_inserter(all));
    }
    return all;
}

std::map<std::string, schemas::Incident> Site::incidents() const {
    std::map<std::string, schemas::Incident> incidents;
    for (const auto& record : records(topics::kIncidents)) {
        const auto event = schemas::decode(record.message.value);
        VIGIE_ASSERT(event.has_value());
        if (const auto* change = std::get_if<schemas::IncidentEvent>(&event->data)) {
            incidents[change->incident.id.value] = change->incident;
        }
    }
    return incidents;
}

}  // namespace vigie::app
