#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "http/signature.h"
#include "responders/actions/deployment.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::Json;

class RollbackAction final : public Action {
public:
    explicit RollbackAction(const KubernetesOptions& options) : api_(options) {}

    std::string_view name() const override { return "kubernetes.rollback_deployment"; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }
    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override;
    Outcome execute(const ActionRequest& request, CallBudget& budget) const override;
    Look look(const ActionRequest& request, CallBudget& budget) const override;

private:
    const DeploymentApi api_;
};

// The revision to go back to. kNotFound when it does not exist.
Result<Revision> choose(const Deployment& deployment, const std::vector<Revision>& revisions,
                        const std::string& wanted) {
    const auto current = std::find_if(
        revisions.begin(), revisions.end(),
        [&](const Revision& revision) { return revision.pod_template == deployment.pod_template; });
    if (current == revisions.end()) {
        return fail(ErrorKind::kUnavailable,
                    "the deployment's newest revision has no ReplicaSet yet: inspect again");
    }
    // Highest number first: the first below the current one is the one before it.
    const auto found = std::find_if(revisions.begin(), revisions.end(), [&](const Revision& one) {
        if (one.pod_template == deployment.pod_template) return false;
        return wanted.empty() ? one.number < current->number : std::to_string(one.number) == wanted;
    });
    if (found == revisions.end()) {
        return fail(ErrorKind::kNotFound,
                    wanted.empty() ? "there is no older revision to go back to"
                                   : fmt::format("there is no other revision {}", wanted));
    }
    return *found;
}

// Replaces the template whole: a merge would keep containers and variables that the newer
// revision added. The resource version makes the server refuse if anything came between.
std::string patch_body(const ActionRequest& request, const Deployment& deployment,
                       const Json& pod_template) {
    Json patch = Json::array();
    patch.push_back({{"op", "replace"},
                     {"path", "/metadata/resourceVersion"},
                     {"value", deployment.resource_version}});
    if (!deployment.has_annotations) {
        patch.push_back(
            {{"op", "add"}, {"path", "/metadata/annotations"}, {"value", Json::object()}});
    }
    patch.push_back({{"op", "add"},
                     {"path", "/metadata/annotations/vigie.io~1action"},
                     {"value", request.id.value}});
    patch.push_back({{"op", "replace"}, {"path", "/spec/template"}, {"value", pod_template}});
    return schemas::dump_json(patch);
}

Result<Inspection> RollbackAction::inspect(const ActionRequest& request, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto deployment, api_.get(request, budget));
    Inspection out{.facts = deployment.facts(), .diff = {}};
    VIGIE_TRY_ASSIGN(const auto revisions, api_.revisions(deployment, budget));
    out.facts.emplace("revisions", std::to_string(revisions.size()));
    const auto chosen = choose(deployment, revisions, value_of(request, "to_revision"));
    if (!chosen && chosen.error().kind == ErrorKind::kNotFound) {
        // An answer: preconditions see that the fact to_revision is not there.
        out.facts.emplace("reason", chosen.error().message);
        return out;
    }
    if (!chosen) return fail(chosen.error());
    out.facts.emplace("to_revision", std::to_string(chosen->number));
    out.facts.emplace("to_replicaset", chosen->replica_set);
    out.facts.emplace("to_image", images_of(chosen->pod_template));
    out.facts.emplace("template_sha256", http::sha256_hex(chosen->pod_template));
    out.diff = template_diff(deployment.pod_template, chosen->pod_template);
    return out;
}

Outcome RollbackAction::execute(const ActionRequest& request, CallBudget& budget) const {
    const auto wanted = value_of(request, "to_revision");
    const auto hash = value_of(request, "template_sha256");
    if (wanted.empty()) {
        return {.fate = Fate::kRefused,
                .message = "the request does not say to_revision: inspect first",
                .facts = {}};
    }
    const auto make = [&](const Deployment& deployment) -> Result<DeploymentApi::Patch> {
        if (deployment.paused) {
            return fail(ErrorKind::kRefused, "the deployment is paused: resume it first");
        }
        VIGIE_TRY_ASSIGN(const auto revisions, api_.revisions(deployment, budget));
        VIGIE_TRY_ASSIGN(const auto chosen, choose(deployment, revisions, wanted));
        if (!hash.empty() && http::sha256_hex(chosen.pod_template) != hash) {
            return fail(ErrorKind::kRefused,
                        fmt::format("revision {} is not the one that was inspected", wanted));
        }
        VIGIE_TRY_ASSIGN(const auto pod_template, schemas::parse_json(chosen.pod_template));
        return DeploymentApi::Patch{.target = {},
                                    .content_type = "application/json-patch+json",
                                    .body = patch_body(request, deployment, pod_template)};
    };
    auto out = api_.patch(request, make, budget);
    if (out.fate == Fate::kDone) {
        out.message = fmt::format("rolled back to revision {}", wanted);
        out.facts.emplace("rolled_back_to", wanted);
    }
    return out;
}

Look RollbackAction::look(const ActionRequest& request, CallBudget& budget) const {
    const auto hash = value_of(request, "template_sha256");
    const auto is_applied = [&](const Deployment& deployment) {
        return deployment.last_action == request.id.value ||
               (!hash.empty() && http::sha256_hex(deployment.pod_template) == hash);
    };
    return look_at_deployment(api_, request, is_applied, budget);
}

}  // namespace

std::unique_ptr<Action> make_rollback_action(const KubernetesOptions& options) {
    return std::make_unique<RollbackAction>(options);
}

}  // namespace vigie::actions
