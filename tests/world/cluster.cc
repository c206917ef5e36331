#include "tests/world/cluster.h"

#include <fmt/format.h>

namespace vigie::sim {

namespace {

std::string value_of(const std::map<std::string, std::string>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string{} : found->second;
}

// The guard may come as a parameter of the intent or among the facts of its inspection.
std::string guard_of(const actions::ActionRequest& request) {
    const std::string guard = value_of(request.parameters, "resource_version");
    return guard.empty() ? value_of(request.facts, "resource_version") : guard;
}

class Rollback final : public actions::Action {
public:
    explicit Rollback(Cluster& cluster) : cluster_(cluster) {}

    std::string_view name() const override { return "kubernetes.rollback_deployment"; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }

    Result<actions::Inspection> inspect(const actions::ActionRequest& request,
                                        actions::CallBudget&) const override {
        const Deployment& deployment = find(request);
        actions::Inspection seen;
        seen.facts = {{"current_revision", "2"},
                      {"current_image", deployment.version},
                      {"previous_revision", "1"},
                      {"previous_image", deployment.previous},
                      {"resource_version", std::to_string(deployment.resource_version)},
                      {"replicas", "2"},
                      {"ready_replicas", "2"},
                      {"paused", "false"}};
        seen.diff = {"- image: " + deployment.version, "+ image: " + deployment.previous};
        return seen;
    }

    actions::Outcome execute(const actions::ActionRequest& request,
                             actions::CallBudget& budget) const override {
        if (const auto may = budget.may_change(); !may) {
            return {actions::Fate::kRefused, may.error().message, {}};
        }
        return cluster_.roll_back(value_of(request.parameters, "deployment"), guard_of(request));
    }

    actions::Look look(const actions::ActionRequest& request, actions::CallBudget&) const override {
        const Deployment& deployment = find(request);
        const bool moved = std::to_string(deployment.resource_version) != guard_of(request);
        return {moved ? actions::Sight::kApplied : actions::Sight::kNotApplied,
                fmt::format("the deployment runs {}", deployment.version),
                {}};
    }

private:
    Deployment& find(const actions::ActionRequest& request) const {
        return cluster_.deployment(value_of(request.parameters, "deployment"));
    }

    Cluster& cluster_;
};

}  // namespace

actions::Outcome Cluster::roll_back(const std::string& name, const std::string& resource_version) {
    using actions::Fate;
    if (rng_.chance(static_cast<std::uint32_t>(faults_.request_lost))) {
        ++calls_in_doubt_;
        return {Fate::kUnknown, "the request was not answered", {}};
    }
    Deployment& target = deployment(name);
    if (resource_version != std::to_string(target.resource_version)) {
        return {Fate::kFailed, "the deployment has changed since it was inspected", {}};
    }
    std::swap(target.version, target.previous);
    ++target.resource_version;
    ++target.changes;
    if (rng_.chance(static_cast<std::uint32_t>(faults_.answer_lost))) {
        ++calls_in_doubt_;
        return {Fate::kUnknown, "the connection was lost after the request", {}};
    }
    return {Fate::kDone, "rolled back", {}};
}

std::unique_ptr<actions::Action> make_rollback(Cluster& cluster) {
    return std::make_unique<Rollback>(cluster);
}

}  // namespace vigie::sim
