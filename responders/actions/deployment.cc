#include "responders/actions/deployment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <utility>

#include "core/redact.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::Json;

constexpr std::string_view kRevisionPointer =
    "/metadata/annotations/deployment.kubernetes.io~1revision";
constexpr std::string_view kHashLabel = "pod-template-hash";
constexpr int kConflictsMax = 5;

// The label selector of a Deployment in the syntax of the query parameter.
std::string selector_text(const Json& deployment) {
    std::vector<std::string> terms;
    if (const auto* labels = schemas::find(deployment, "/spec/selector/matchLabels");
        labels != nullptr && labels->is_object()) {
        for (const auto& [name, value] : labels->items()) {
            if (value.is_string()) {
                terms.push_back(fmt::format("{}={}", name, value.get_ref<const std::string&>()));
            }
        }
    }
    const auto* expressions = schemas::find(deployment, "/spec/selector/matchExpressions");
    if (expressions == nullptr || !expressions->is_array()) {
        return fmt::format("{}", fmt::join(terms, ","));
    }
    for (const auto& expression : *expressions) {
        const auto key = schemas::string_at(expression, "/key").value_or("");
        const auto kind = schemas::string_at(expression, "/operator").value_or("");
        std::vector<std::string> values;
        if (const auto* list = schemas::find(expression, "/values");
            list != nullptr && list->is_array()) {
            for (const auto& value : *list) {
                if (value.is_string()) values.push_back(value.get<std::string>());
            }
        }
        if (kind == "Exists") terms.push_back(key);
        if (kind == "DoesNotExist") terms.push_back("!" + key);
        if (kind == "In") terms.push_back(fmt::format("{} in ({})", key, fmt::join(values, ",")));
        if (kind == "NotIn") {
            terms.push_back(fmt::format("{} notin ({})", key, fmt::join(values, ",")));
        }
    }
    return fmt::format("{}", fmt::join(terms, ","));
}

std::int64_t revision_of(const Json& object) {
    const auto text = schemas::string_at(object, kRevisionPointer);
    return text ? parse_number(*text).value_or(0) : 0;
}

bool is_owned_by(const Json& object, std::string_view uid) {
    const auto* owners = schemas::find(object, "/metadata/ownerReferences");
    if (owners == nullptr || !owners->is_array()) return false;
    return std::any_of(owners->begin(), owners->end(), [uid](const Json& owner) {
        return schemas::string_at(owner, "/uid") == uid &&
               schemas::bool_at(owner, "/controller").value_or(false);
    });
}

// The reason in a Status object, or the beginning of the body.
std::string reason_of(std::string_view body) {
    const auto json = schemas::parse_json(body);
    if (json) {
        if (auto message = schemas::string_at(*json, "/message")) return *std::move(message);
    }
    return std::string(body);
}

}  // namespace

Facts Deployment::facts() const {
    return {{"exists", "true"},
            {"namespace", name_space},
            {"deployment", name},
            {"resource_version", resource_version},
            {"generation", std::to_string(generation)},
            {"observed", generation == observed_generation ? "true" : "false"},
            {"revision", std::to_string(revision)},
            {"replicas", std::to_string(replicas)},
            {"ready_replicas", std::to_string(replicas_ready)},
            {"updated_replicas", std::to_string(replicas_updated)},
            {"available_replicas", std::to_string(replicas_available)},
            {"paused", paused ? "true" : "false"},
            {"image", images_of(pod_template)}};
}

Result<Deployment> parse_deployment(std::string_view body) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    Deployment out;
    const auto text = [&json](std::string_view pointer) {
        return schemas::string_at(json, pointer).value_or("");
    };
    const auto number = [&json](std::string_view pointer) {
        return schemas::integer_at(json, pointer).value_or(0);
    };
    out.name_space = text("/metadata/namespace");
    out.name = text("/metadata/name");
    out.uid = text("/metadata/uid");
    out.resource_version = text("/metadata/resourceVersion");
    out.generation = number("/metadata/generation");
    out.observed_generation = number("/status/observedGeneration");
    out.revision = revision_of(json);
    out.replicas = schemas::integer_at(json, "/spec/replicas").value_or(1);
    out.replicas_ready = number("/status/readyReplicas");
    out.replicas_updated = number("/status/updatedReplicas");
    out.replicas_available = number("/status/availableReplicas");
    out.paused = schemas::bool_at(json, "/spec/paused").value_or(false);
    out.has_annotations = schemas::find(json, "/metadata/annotations") != nullptr;
    out.last_action = text("/metadata/annotations/vigie.io~1action");
    out.restart_value =
        text("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt");
    out.label_selector = selector_text(json);
    const auto* pod_template = schemas::find(json, "/spec/template");
    if (out.name.empty() || out.uid.empty() || out.resource_version.empty() ||
        pod_template == nullptr) {
        return fail(ErrorKind::kUnavailable,
                    "kubernetes answered something other than a Deployment");
    }
    out.pod_template = schemas::dump_json(*pod_template);
    return out;
}

Result<std::vector<Revision>> parse_revisions(std::string_view body, std::string_view uid) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    const auto* items = schemas::find(json, "/items");
    if (items == nullptr || !items->is_array()) {
        return fail(ErrorKind::kUnavailable,
                    "kubernetes answered something other than a list of ReplicaSets");
    }
    std::vector<Revision> out;
    for (const auto& item : *items) {
        const auto* pod_template = schemas::find(item, "/spec/template");
        if (pod_template == nullptr || !is_owned_by(item, uid)) continue;
        auto copy = *pod_template;
        if (const auto* labels = schemas::find(copy, "/metadata/labels");
            labels != nullptr && labels->is_object()) {
            copy["metadata"]["labels"].erase(std::string(kHashLabel));
        }
        out.push_back({.replica_set = schemas::string_at(item, "/metadata/name").value_or(""),
                       .number = revision_of(item),
                       .pod_template = schemas::dump_json(copy)});
    }
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return a.number > b.number; });
    return out;
}

DeploymentApi::DeploymentApi(const KubernetesOptions& options)
    : api_(
          {.name = "kubernetes",
           .base_url = options.server_url.ends_with('/')
                           ? options.server_url.substr(0, options.server_url.size() - 1)
                           : options.server_url,
           .token = options.token,
           .token_file = options.token_file,
           .token_prefix = "Bearer ",
           .client = {.connect_timeout = std::min(options.timeout, std::chrono::milliseconds{5000}),
                      .total_timeout = options.timeout,
                      .ca_file = options.ca_file,
                      .certificate_sha256 = options.certificate_sha256}}) {}

Result<std::string> DeploymentApi::path_of(const ActionRequest& request) const {
    auto name_space = value_of(request, "namespace");
    auto name = value_of(request, "deployment");
    if (name.empty() && entity_kind(request.target) == "deployment") {
        const auto target = entity_name(request.target);
        const auto slash = target.find('/');
        if (slash != std::string_view::npos) {
            name_space = std::string(target.substr(0, slash));
            name = std::string(target.substr(slash + 1));
        }
    }
    if (!is_dns_name(name_space) || !is_dns_name(name)) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' names no deployment: give the parameters namespace and "
                                "deployment, or a target deployment:NAMESPACE/NAME",
                                one_line(request.target.value, 200)));
    }
    return fmt::format("/apis/apps/v1/namespaces/{}/deployments/{}", name_space, name);
}

Result<std::string> DeploymentApi::read(std::string_view target, std::string_view what,
                                        CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(auto response, api_.read(target, budget));
    if (response.status == 200) return std::move(response.body);
    return fail(kind_of_status(response.status),
                fmt::format("kubernetes answered {} for {}: {}", response.status, what,
                            api_.clean(reason_of(response.body))));
}

Result<Deployment> DeploymentApi::get(const ActionRequest& request, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto path, path_of(request));
    VIGIE_TRY_ASSIGN(const auto body, read(path, path, budget));
    return parse_deployment(body);
}

Result<std::vector<Revision>> DeploymentApi::revisions(const Deployment& deployment,
                                                       CallBudget& budget) const {
    const auto target =
        fmt::format("/apis/apps/v1/namespaces/{}/replicasets?labelSelector={}",
                    deployment.name_space, http::percent_encode(deployment.label_selector));
    VIGIE_TRY_ASSIGN(const auto body, read(target, "the list of ReplicaSets", budget));
    return parse_revisions(body, deployment.uid);
}

Outcome DeploymentApi::patch(const ActionRequest& request, const MakePatch& make,
                             CallBudget& budget) const {
    const auto path = path_of(request);
    if (!path) return not_called(path.error());
    std::string conflict;
    for (int tries = 0; tries < kConflictsMax; ++tries) {
        const auto deployment = get(request, budget);
        if (!deployment) return not_called(deployment.error());
        if (const auto guard = check_guard(request, *deployment); !guard) {
            return not_called(guard.error());
        }
        const auto patch = make(*deployment);
        if (!patch) return not_called(patch.error());
        const auto written =
            api_.write({.method = "PATCH",
                        .target = fmt::format("{}{}?fieldManager=vigie", *path, patch->target),
                        .content_type = patch->content_type,
                        .body = patch->body},
                       budget);
        if (written.status == 409) {
            conflict = api_.clean(reason_of(written.body));
            continue;
        }
        Outcome out{.fate = written.fate, .message = written.message, .facts = {}};
        if (written.fate != Fate::kDone) {
            if (!written.body.empty()) out.message += ": " + api_.clean(reason_of(written.body));
            return out;
        }
        out.message = "kubernetes applied it";
        const auto answer = schemas::parse_json(written.body);
        if (answer) {
            if (auto version = schemas::string_at(*answer, "/metadata/resourceVersion")) {
                out.facts.emplace("applied_resource_version", *std::move(version));
            }
        }
        return out;
    }
    return {.fate = Fate::kFailed,
            .message = fmt::format("the deployment kept changing ({} conflicts): {}", kConflictsMax,
                                   conflict),
            .facts = {}};
}

Look look_at_deployment(const DeploymentApi& api, const ActionRequest& request,
                        const IsApplied& is_applied, CallBudget& budget) {
    const auto deployment = api.get(request, budget);
    if (!deployment) {
        return {.sight = Sight::kUnknown, .message = deployment.error().message, .facts = {}};
    }
    const auto facts = deployment->facts();
    if (is_applied(*deployment)) {
        return {.sight = Sight::kApplied, .message = "the deployment is as wanted", .facts = facts};
    }
    if (check_guard(request, *deployment)) {
        return {.sight = Sight::kNotApplied,
                .message = "the deployment is as it was inspected",
                .facts = facts};
    }
    return {.sight = Sight::kUnknown,
            .message = "the deployment has changed since, and is not as wanted",
            .facts = facts};
}

Status check_guard(const ActionRequest& request, const Deployment& deployment) {
    const auto generation = value_of(request, "generation");
    const auto version = value_of(request, "resource_version");
    if (generation.empty() && version.empty()) {
        return fail(ErrorKind::kRefused,
                    "the request carries no generation or resource_version: inspect first");
    }
    // The generation counts changes of the spec alone; the resource version changes with every
    // pod that comes or goes, which in an incident is all the time.
    const bool same = generation.empty() ? version == deployment.resource_version
                                         : generation == std::to_string(deployment.generation);
    if (same) return {};
    return fail(
        ErrorKind::kRefused,
        fmt::format("{}/{} has changed since it was inspected (generation {}, expected {}): "
                    "inspect and plan again",
                    deployment.name_space, deployment.name, deployment.generation,
                    generation.empty() ? "resource version " + version : generation));
}

}  // namespace vigie::actions
