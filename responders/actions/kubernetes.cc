#include "responders/actions/kubernetes.h"

#include <fmt/format.h>

#include <utility>

#include "responders/actions/deployment.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::Json;

class RestartAction final : public Action {
public:
    explicit RestartAction(const KubernetesOptions& options) : api_(options) {}

    std::string_view name() const override { return "kubernetes.restart_deployment"; }
    schemas::Risk risk() const override { return schemas::Risk::kCompensable; }

    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override {
        VIGIE_TRY_ASSIGN(const auto deployment, api_.get(request, budget));
        return Inspection{
            .facts = deployment.facts(),
            .diff = {fmt::format("~ {}/{}: restart {} pods, one after the other",
                                 deployment.name_space, deployment.name, deployment.replicas)}};
    }

    Outcome execute(const ActionRequest& request, CallBudget& budget) const override {
        const auto make = [&](const Deployment& deployment) -> Result<DeploymentApi::Patch> {
            if (deployment.paused) {
                return fail(ErrorKind::kRefused, "the deployment is paused: resume it first");
            }
            // The action's id instead of the time that kubectl writes: a look finds it again.
            const Json body{
                {"metadata", {{"resourceVersion", deployment.resource_version}}},
                {"spec",
                 {{"template",
                   {{"metadata",
                     {{"annotations", {{std::string(kRestartAnnotation), request.id.value}}}}}}}}}};
            return DeploymentApi::Patch{.target = {},
                                        .content_type = "application/strategic-merge-patch+json",
                                        .body = schemas::dump_json(body)};
        };
        auto out = api_.patch(request, make, budget);
        if (out.fate == Fate::kDone) out.message = "restart begun";
        return out;
    }

    Look look(const ActionRequest& request, CallBudget& budget) const override {
        return look_at_deployment(
            api_, request,
            [&](const Deployment& now) { return now.restart_value == request.id.value; }, budget);
    }

private:
    const DeploymentApi api_;
};

class ScaleAction final : public Action {
public:
    explicit ScaleAction(const KubernetesOptions& options)
        : api_(options), min_(options.replicas_min), max_(options.replicas_max) {}

    std::string_view name() const override { return "kubernetes.scale_deployment"; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }

    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override {
        VIGIE_TRY_ASSIGN(const auto deployment, api_.get(request, budget));
        Inspection out{.facts = deployment.facts(), .diff = {}};
        out.facts.emplace("replicas_min", std::to_string(min_));
        out.facts.emplace("replicas_max", std::to_string(max_));
        VIGIE_TRY_ASSIGN(const auto wanted, wanted_from(request, deployment.replicas));
        out.facts.emplace("desired_replicas", std::to_string(wanted));
        if (wanted != deployment.replicas) {
            out.diff = {fmt::format("- replicas: {}", deployment.replicas),
                        fmt::format("+ replicas: {}", wanted)};
        }
        return out;
    }

    Outcome execute(const ActionRequest& request, CallBudget& budget) const override {
        std::int64_t wanted = 0;
        const auto make = [&](const Deployment& deployment) -> Result<DeploymentApi::Patch> {
            VIGIE_TRY_ASSIGN(wanted, desired(request, deployment.replicas));
            const Json body{{"metadata", {{"resourceVersion", deployment.resource_version}}},
                            {"spec", {{"replicas", wanted}}}};
            return DeploymentApi::Patch{.target = "/scale",
                                        .content_type = "application/merge-patch+json",
                                        .body = schemas::dump_json(body)};
        };
        auto out = api_.patch(request, make, budget);
        if (out.fate == Fate::kDone) out.message = fmt::format("scaled to {} replicas", wanted);
        return out;
    }

    Look look(const ActionRequest& request, CallBudget& budget) const override {
        auto wanted = parse_number(value_of(request, "desired_replicas"));
        if (!wanted) wanted = parse_number(value_of_parameter(request, "replicas"));
        return look_at_deployment(
            api_, request, [&](const Deployment& now) { return wanted && now.replicas == *wanted; },
            budget);
    }

private:
    // What was shown to a person, when there was an inspection.
    Result<std::int64_t> desired(const ActionRequest& request, std::int64_t replicas) const {
        const auto shown = value_of(request, "desired_replicas");
        if (shown.empty()) return wanted_from(request, replicas);
        const auto wanted = parse_number(shown);
        if (!wanted) return fail(ErrorKind::kInvalid, "desired_replicas is not a number");
        return bounded(*wanted);
    }

    Result<std::int64_t> wanted_from(const ActionRequest& request, std::int64_t replicas) const {
        const auto absolute = parse_number(value_of_parameter(request, "replicas"));
        if (absolute) return bounded(*absolute);
        const auto text = value_of_parameter(request, "add");
        const bool down = text.starts_with('-');
        const auto step = parse_number(std::string_view(text).substr(down ? 1 : 0));
        if (!step || *step > max_) {
            return fail(ErrorKind::kInvalid,
                        "give the parameter replicas, or add, as a whole number");
        }
        return bounded(replicas + (down ? -*step : *step));
    }

    // A fact is called replicas too.
    static std::string value_of_parameter(const ActionRequest& request, const std::string& name) {
        const auto it = request.parameters.find(name);
        return it == request.parameters.end() ? std::string{} : it->second;
    }

    Result<std::int64_t> bounded(std::int64_t wanted) const {
        if (wanted >= min_ && wanted <= max_) return wanted;
        return fail(ErrorKind::kRefused, fmt::format("{} replicas is outside {} to {}, the bounds "
                                                     "in the configuration",
                                                     wanted, min_, max_));
    }

    const DeploymentApi api_;
    const std::int64_t min_;
    const std::int64_t max_;
};

}  // namespace

void add_kubernetes_actions(const KubernetesOptions& options, Catalogue& catalogue) {
    catalogue.add(make_rollback_action(options));
    catalogue.add(std::make_unique<RestartAction>(options));
    catalogue.add(std::make_unique<ScaleAction>(options));
}

}  // namespace vigie::actions
