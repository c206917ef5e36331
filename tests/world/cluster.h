#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/rng.h"
#include "responders/actions/action.h"

namespace vigie::sim {

// What a deployment runs, and how often a call changed it.
struct Deployment {
    std::string version;
    std::string previous;
    int resource_version = 1;
    int changes = 0;  // By Vigie
};

// The outside world that actions change. It lives on when Vigie crashes.
class Cluster {
public:
    // Chances per thousand calls.
    struct Faults {
        int answer_lost = 0;   // Applied, but the caller does not learn it.
        int request_lost = 0;  // Not applied, and the caller does not know.
    };

    Cluster(Rng& rng, Faults faults) : rng_(rng), faults_(faults) {}

    Deployment& deployment(std::string_view name) { return deployments_[std::string(name)]; }

    // Calls whose caller does not know whether they were done.
    std::size_t calls_in_doubt() const { return calls_in_doubt_; }

    // Puts the previous version back when the resource version is still the expected one.
    actions::Outcome roll_back(const std::string& name, const std::string& resource_version);

private:
    Rng& rng_;
    const Faults faults_;
    std::map<std::string, Deployment> deployments_;
    std::size_t calls_in_doubt_ = 0;
};

// kubernetes.rollback_deployment against the cluster above.
std::unique_ptr<actions::Action> make_rollback(Cluster& cluster);

}  // namespace vigie::sim
