#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/pipeline.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/rng.h"
#include "core/time.h"
#include "ingest/ticker.h"
#include "responders/actions/pool.h"
#include "responders/actions/runner.h"
#include "schemas/events.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/worker.h"
#include "tests/world/cluster.h"

namespace vigie::app {

// All stages of Vigie on an embedded log in `folder`, in one thread on a clock of its own, beside
// a shop whose frontend calls checkout. The same calls leave the same records and rows behind.
class Site {
public:
    // Its clock starts at `start`; checkout runs `version`.
    Site(const std::string& folder, EventTime start, const std::string& version);
    ~Site();

    // What one second brings: ticks, telemetry, alerts; then works until nothing is left to do.
    // Latency and errors are those of version 1.5.0 while checkout runs that.
    void second();
    void deploy(const std::string& version);  // With its event
    void set_policy(schemas::Mode mode);
    void approve(const schemas::Incident& incident);

    EventTime now() const { return clock_.now; }
    streams::Bus& bus() { return *bus_; }
    // The incidents as the log has them last, by id.
    std::map<std::string, schemas::Incident> incidents() const;
    std::vector<streams::Record> records(std::string_view topic) const;
    const std::string& version() { return cluster_.deployment("checkout").version; }
    const std::map<std::string, std::string>& postmortems() const { return postmortems_; }
    const std::vector<streams::Worker::Options>& stages() const { return stages_; }
    const MemoryLog& log() const { return log_; }

private:
    class HandClock final : public Clock {
    public:
        WallTime wall() const override;
        SteadyTime steady() const override { return SteadyTime{now.time_since_epoch()}; }
        EventTime now;
    };
    class NoKill final : public actions::KillSwitch {
    public:
        Status check_off() const override { return {}; }
    };
    void feed(const streams::Message& message);
    void decide(schemas::EventData data, const std::string& id);
    void work();
    Pipeline pipeline();

    HandClock clock_;
    MetricsRegistry metrics_;
    MemoryLog log_;
    std::unique_ptr<streams::rocks::RocksBus> bus_;
    Rng rng_{1};
    sim::Cluster cluster_{rng_, {}};
    actions::Catalogue catalogue_;
    actions::InlinePool pool_;
    NoKill kill_switch_;
    actions::InstantWaiter waiter_;
    std::unique_ptr<actions::Runner> runner_;
    std::unique_ptr<ingest::Ticker> ticker_;
    std::map<std::string, std::string> postmortems_;
    EventTime alerting_since_;
    bool alerting_ = false;
    std::vector<streams::Worker::Options> stages_;
    std::vector<std::unique_ptr<streams::Worker>> workers_;  // Last: they use the rest.
};

}  // namespace vigie::app
