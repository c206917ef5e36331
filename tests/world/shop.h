#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>

#include "tests/world/world.h"

namespace vigie::sim {

// Rules on latency and errors of a service.
app::DetectConfig shop_detect_config();
// One runbook, which rolls checkout back; `mode` for everything.
schemas::Policy shop_policy(schemas::Mode mode);

// The world of the stories and of the simulator: a shop whose frontend calls checkout. Version
// 1.5.0 of checkout is slow and throws errors, and the frontend suffers with it.
class Shop {
public:
    Shop(std::uint64_t seed, const Hazards& hazards, schemas::Mode mode);

    // Everything that one second brings: telemetry, alerts and their repeats, time.
    void second();

    void deploy(const std::string& version);  // With its deployment event
    void repair();                            // By hand: the previous version, without an event
    void set_silent(bool silent) { silent_ = silent; }
    void set_alerts(bool alerts) { alerts_ = alerts; }  // Whether Prometheus has rules at all.

    // A person decides; approve and reject are for the plan that is shown now.
    void decide(schemas::DecisionKind kind, const std::string& value);
    // Approves every plan that awaits it, once.
    void approve_what_is_shown();

    World& world() { return world_; }
    const std::string& version() { return deployment().version; }
    int rollbacks() { return deployment().changes; }

private:
    Deployment& deployment() { return world_.cluster().deployment("checkout"); }
    bool sick() { return version() == "1.5.0"; }
    void send_alerts();

    World world_;
    std::chrono::seconds age_{0};
    std::chrono::seconds sick_for_{0};
    bool silent_ = false;
    bool alerts_ = true;
    bool alerting_ = false;
    EventTime alerting_since_;
    std::set<std::string> approved_;
};

}  // namespace vigie::sim
