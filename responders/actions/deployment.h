#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "responders/actions/action.h"
#include "responders/actions/kubernetes.h"
#include "responders/actions/rest.h"

// What the Kubernetes actions share. Only they include this.
namespace vigie::actions {

// The deployment's annotation that names the last action of ours that changed it.
inline constexpr std::string_view kActionAnnotation = "vigie.io/action";
inline constexpr std::string_view kRestartAnnotation = "kubectl.kubernetes.io/restartedAt";

// A Deployment, as far as actions need it. JSON parts are canonical text (sorted keys), so
// equal texts are equal parts.
struct Deployment {
    std::string name_space;
    std::string name;
    std::string uid;
    std::string resource_version;
    std::int64_t generation = 0;
    std::int64_t observed_generation = 0;
    std::int64_t revision = 0;  // 0: the controller has not set it yet
    std::int64_t replicas = 0;
    std::int64_t replicas_ready = 0;
    std::int64_t replicas_updated = 0;
    std::int64_t replicas_available = 0;
    bool paused = false;
    bool has_annotations = false;
    std::string last_action;     // Of kActionAnnotation
    std::string restart_value;   // Of kRestartAnnotation in the pod template
    std::string label_selector;  // As the query parameter takes it
    std::string pod_template;

    // Facts that every inspection of a deployment has.
    Facts facts() const;
};
Result<Deployment> parse_deployment(std::string_view body);

// A ReplicaSet that belongs to a deployment: one revision of it.
struct Revision {
    std::string replica_set;
    std::int64_t number = 0;
    std::string pod_template;  // Without the label pod-template-hash: as the deployment had it
};
// Those owned by the deployment `uid`, highest number first.
Result<std::vector<Revision>> parse_revisions(std::string_view body, std::string_view uid);

// "checkout=shop/checkout:1.5.0 proxy=envoy:1.2" of a pod template.
std::string images_of(std::string_view pod_template);

// What changes from one pod template to another: images and variables as "- …" and "+ …" lines,
// anything else by name as "~ …". Values of variables that look like credentials are not shown.
std::vector<std::string> template_diff(std::string_view from, std::string_view to);

// The cluster's deployments.
class DeploymentApi {
public:
    explicit DeploymentApi(const KubernetesOptions& options);

    // kInvalid when the request does not name a deployment that can exist.
    Result<std::string> path_of(const ActionRequest& request) const;
    // kNotFound, kRefused, kUnavailable as the server says.
    Result<Deployment> get(const ActionRequest& request, CallBudget& budget) const;
    Result<std::vector<Revision>> revisions(const Deployment& deployment, CallBudget& budget) const;

    // Reads the deployment, compares it with the guard in `request`, and sends the patch that
    // `make` makes for what was read. A conflict (certainly not applied) is tried again while the
    // guard still holds.
    struct Patch {
        std::string target;  // Empty: the deployment itself; else a subresource, "/scale"
        std::string content_type;
        std::string body;
    };
    using MakePatch = std::function<Result<Patch>(const Deployment&)>;
    Outcome patch(const ActionRequest& request, const MakePatch& make, CallBudget& budget) const;

private:
    Result<std::string> read(std::string_view target, std::string_view what,
                             CallBudget& budget) const;

    const RestApi api_;
};

// Whether nobody, we included, changed the spec since the inspection. kRefused when somebody
// did, or when the request has no guard.
Status check_guard(const ActionRequest& request, const Deployment& deployment);

// Looks whether a call was applied: when `is_applied` says so; when the guard still holds it
// was not; else somebody else changed the deployment too, and nothing is known.
using IsApplied = std::function<bool(const Deployment&)>;
Look look_at_deployment(const DeploymentApi& api, const ActionRequest& request,
                        const IsApplied& is_applied, CallBudget& budget);

std::unique_ptr<Action> make_rollback_action(const KubernetesOptions& options);

}  // namespace vigie::actions
