#include "ingest/github_change.h"
#include "schemas/json_fields.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace vigie::ingest {

using schemas::fields::first_line_at;
using schemas::fields::first_link;
using schemas::fields::first_text;
using schemas::fields::first_time;
using schemas::fields::required_integer;
using schemas::fields::required_text;
using schemas::fields::text_at;

using schemas::Change;
using schemas::ChangeKind;
using schemas::Json;

namespace {

// A deployment's payload is an object, or a string that holds one.
Json deployment_payload(const Json& body) {
    const Json* const payload = schemas::find(body, "/deployment/payload");
    if (payload == nullptr) return Json::object();
    const auto* const text = payload->get_ptr<const std::string*>();
    if (text == nullptr) return *payload;
    return schemas::parse_json(*text).value_or(Json::object());
}

// A tag is a version; the default branch is not, its commit is.
std::string version_of_deployment(const Json& body, const Json& payload) {
    if (auto version = text_at(payload, "/version"); !version.empty()) return version;
    const std::string ref = text_at(body, "/deployment/ref");
    const bool branch = ref.empty() || ref == text_at(body, "/repository/default_branch");
    const std::string sha = text_at(body, "/deployment/sha");
    return branch && !sha.empty() ? sha : ref;
}

Result<std::optional<Change>> deployment(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/deployment/id"));
    const Json payload = deployment_payload(body);
    const bool is_status = schemas::find(body, "/deployment_status") != nullptr;
    change.kind = ChangeKind::kDeployment;
    change.key += fmt::format("deployment:{}", id);
    if (const auto service = text_at(payload, "/service"); !service.empty()) {
        change.entity = make_entity("service", service);
    }
    change.version = version_of_deployment(body, payload);
    change.environment =
        first_text(body, {"/deployment_status/environment", "/deployment/environment"});
    change.actor = first_text(body, {"/deployment/creator/login", "/sender/login"});
    change.status = is_status ? text_at(body, "/deployment_status/state") : "created";
    change.at = first_time(
        body, {is_status ? "/deployment_status/created_at" : "/deployment/created_at"}, now);
    change.url = first_link(body, {"/deployment_status/log_url", "/deployment_status/target_url",
                                   "/workflow_run/html_url", "/repository/html_url"});
    const std::string described = first_line_at(body, "/deployment/description");
    change.summary =
        fmt::format("deployment of {} {} to {}{}{}", entity_name(change.entity), change.version,
                    change.environment, described.empty() ? "" : ": ", described);
    return change;
}

Result<std::optional<Change>> push(const Json& body, Change change, EventTime now) {
    if (schemas::bool_at(body, "/deleted").value_or(false)) return std::nullopt;
    change.version = text_at(body, "/after");
    if (change.version.empty()) return fail(ErrorKind::kInvalid, "/after is missing");
    change.kind = ChangeKind::kCommit;
    change.key += fmt::format("commit:{}", change.version);
    change.actor = first_text(body, {"/pusher/name", "/sender/login"});
    change.summary = fmt::format("push to {}: {}", text_at(body, "/ref"),
                                 first_line_at(body, "/head_commit/message"));
    change.url = first_link(body, {"/compare", "/head_commit/url", "/repository/html_url"});
    // A commit may be older than its push by weeks; what matters is when it arrived.
    const auto pushed = schemas::integer_at(body, "/repository/pushed_at");
    const bool plausible = pushed && *pushed > 0 && *pushed < micros_of(now) / 1'000'000;
    change.at = plausible ? event_time_from_micros(*pushed * 1'000'000) : now;
    return change;
}

Result<std::optional<Change>> workflow_run(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/workflow_run/id"));
    change.kind = ChangeKind::kBuild;
    change.key += fmt::format("workflow_run:{}:{}", id,
                              schemas::integer_at(body, "/workflow_run/run_attempt").value_or(1));
    change.status = first_text(body, {"/workflow_run/conclusion", "/workflow_run/status"});
    change.version = text_at(body, "/workflow_run/head_sha");
    change.actor = first_text(body, {"/workflow_run/actor/login", "/sender/login"});
    change.at = first_time(body, {"/workflow_run/updated_at"}, now);
    change.url = first_link(body, {"/workflow_run/html_url", "/repository/html_url"});
    change.summary = fmt::format("workflow {} on {}: {}", text_at(body, "/workflow_run/name"),
                                 text_at(body, "/workflow_run/head_branch"), change.status);
    return change;
}

Change describe_pull_request(const Json& body, Change change, EventTime now) {
    change.kind = ChangeKind::kCommit;
    const bool merged = schemas::bool_at(body, "/pull_request/merged").value_or(false);
    change.key += fmt::format("pull_request:{}", text_at(body, "/pull_request/number"));
    change.status = merged ? "merged" : text_at(body, "/action");
    change.version =
        first_text(body, {merged ? "/pull_request/merge_commit_sha" : "/pull_request/head/sha",
                          "/pull_request/head/sha"});
    change.actor = first_text(body, {"/sender/login", "/pull_request/user/login"});
    change.at = first_time(body, {"/pull_request/updated_at"}, now);
    change.url = first_link(body, {"/pull_request/html_url"});
    change.summary = fmt::format("pull request {} {}: {}", text_at(body, "/pull_request/number"),
                                 change.status, first_line_at(body, "/pull_request/title"));
    return change;
}

Result<std::optional<Change>> pull_request(const Json& body, const Change& change, EventTime now) {
    VIGIE_TRY(required_integer(body, "/pull_request/number"));
    // Labels, reviewers and comments change nothing that runs.
    const auto action = text_at(body, "/action");
    const bool of_interest = action == "opened" || action == "reopened" || action == "closed" ||
                             action == "synchronize" || action == "ready_for_review";
    if (!of_interest) return std::nullopt;
    return describe_pull_request(body, change, now);
}

// A job of a workflow and a check of a commit: /KIND/id, name, status, conclusion, head_sha.
Result<std::optional<Change>> run(const Json& body, std::string_view kind, Change change,
                                  EventTime now) {
    const Json* const found = schemas::find(body, fmt::format("/{}", kind));
    if (found == nullptr) return fail(ErrorKind::kInvalid, fmt::format("/{} is missing", kind));
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, fmt::format("/{}/id", kind)));
    const Json& job = *found;
    change.kind = kind == "check_run" ? ChangeKind::kTestRun : ChangeKind::kBuild;
    change.key += fmt::format("{}:{}", kind, id);
    change.status = first_text(job, {"/conclusion", "/status"});
    change.version = text_at(job, "/head_sha");
    change.actor = text_at(body, "/sender/login");
    change.at = first_time(job, {"/completed_at", "/started_at", "/created_at"}, now);
    change.url = first_link(job, {"/html_url", "/details_url"});
    change.summary = fmt::format("{} {}: {}", kind == "check_run" ? "check" : "job",
                                 text_at(job, "/name"), change.status);
    return change;
}

Result<std::optional<Change>> release(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/release/id"));
    VIGIE_TRY_ASSIGN(change.version, required_text(body, "/release/tag_name"));
    change.kind = ChangeKind::kBuild;
    change.key += fmt::format("release:{}", id);
    change.status = text_at(body, "/action");
    change.actor = first_text(body, {"/release/author/login", "/sender/login"});
    change.at = first_time(body, {"/release/published_at", "/release/created_at"}, now);
    change.url = first_link(body, {"/release/html_url"});
    change.summary = fmt::format("release {} {}", change.version, change.status);
    return change;
}

constexpr std::array<std::string_view, 8> kEvents{
    "push",         "deployment", "deployment_status", "workflow_run",
    "workflow_job", "check_run",  "pull_request",      "release"};

EntityId entity_of_repository(const std::string& full_name, const std::string& name,
                              const RepositoryEntities& entities) {
    for (const auto& key : {full_name, name}) {
        if (const auto found = entities.find(key); found != entities.end()) return found->second;
    }
    return make_entity("service", name);
}

}  // namespace

Result<std::optional<Change>> parse_github_event(std::string_view event, std::string_view text,
                                                 const RepositoryEntities& entities,
                                                 EventTime now) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(text));
    if (!body.is_object()) return fail(ErrorKind::kInvalid, "the body is not an object");
    if (std::ranges::find(kEvents, event) == kEvents.end()) return std::nullopt;
    const std::string full_name = text_at(body, "/repository/full_name");
    std::string name = text_at(body, "/repository/name");
    if (name.empty()) name = full_name.substr(full_name.rfind('/') + 1);
    if (name.empty()) return fail(ErrorKind::kInvalid, "/repository/name is missing");
    Change change;
    change.key = fmt::format("github:{}:", full_name.empty() ? name : full_name);
    change.entity = entity_of_repository(full_name, name, entities);
    if (event == "push") return push(body, std::move(change), now);
    if (event == "workflow_run") return workflow_run(body, std::move(change), now);
    if (event == "pull_request") return pull_request(body, change, now);
    if (event == "release") return release(body, std::move(change), now);
    if (event == "workflow_job" || event == "check_run") {
        return run(body, event, std::move(change), now);
    }
    return deployment(body, std::move(change), now);
}

}  // namespace vigie::ingest
