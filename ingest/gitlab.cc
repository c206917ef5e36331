#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ingest/deployments.h"
#include "schemas/json_fields.h"

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
using Parsed = Result<std::optional<Change>>;

namespace {

bool is_zeros(std::string_view sha) {
    return !sha.empty() && sha.find_first_not_of('0') == std::string_view::npos;
}

Parsed push(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(change.version, required_text(body, "/after"));
    if (is_zeros(change.version)) return std::nullopt;  // A branch or tag was deleted.
    change.kind = ChangeKind::kCommit;
    change.key += fmt::format("commit:{}", change.version);
    change.actor = first_text(body, {"/user_username", "/user_name"});
    const Json* const commits = schemas::find(body, "/commits");
    const bool has_commits = commits != nullptr && commits->is_array() && !commits->empty();
    const Json last = has_commits ? commits->back() : Json::object();
    change.url = first_link(last, {"/url"});
    if (change.url.empty()) change.url = first_link(body, {"/project/web_url"});
    // A commit may be older than its push by weeks; what matters is when it arrived.
    change.at = now;
    change.summary =
        fmt::format("push to {}: {}", text_at(body, "/ref"), first_line_at(last, "/message"));
    return change;
}

Parsed merge_request(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/object_attributes/iid"));
    const auto action = text_at(body, "/object_attributes/action");
    if (action != "open" && action != "reopen" && action != "merge" && action != "close") {
        return std::nullopt;
    }
    change.kind = ChangeKind::kCommit;
    change.key += fmt::format("merge_request:{}", id);
    change.status = first_text(body, {"/object_attributes/state"});
    change.version = first_text(
        body, {"/object_attributes/merge_commit_sha", "/object_attributes/last_commit/id"});
    change.actor = first_text(body, {"/user/username", "/user/name"});
    change.at = first_time(body, {"/object_attributes/updated_at"}, now);
    change.url = first_link(body, {"/object_attributes/url"});
    change.summary = fmt::format("merge request {} {}: {}", id, change.status,
                                 first_line_at(body, "/object_attributes/title"));
    return change;
}

Parsed pipeline(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/object_attributes/id"));
    change.kind = ChangeKind::kBuild;
    change.key += fmt::format("pipeline:{}", id);
    change.status = text_at(body, "/object_attributes/status");
    change.version = text_at(body, "/object_attributes/sha");
    change.actor = first_text(body, {"/user/username", "/user/name"});
    change.at =
        first_time(body, {"/object_attributes/finished_at", "/object_attributes/created_at"}, now);
    change.url = first_link(body, {"/object_attributes/url", "/project/web_url"});
    change.summary = fmt::format("pipeline {} on {}: {}", id,
                                 text_at(body, "/object_attributes/ref"), change.status);
    return change;
}

Parsed job(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/build_id"));
    change.kind = ChangeKind::kBuild;
    change.key += fmt::format("job:{}", id);
    change.status = text_at(body, "/build_status");
    change.version = text_at(body, "/sha");
    change.environment = first_text(body, {"/environment/name", "/environment"});
    change.actor = first_text(body, {"/user/username", "/user/name"});
    change.at =
        first_time(body, {"/build_finished_at", "/build_started_at", "/build_created_at"}, now);
    change.url = first_link(body, {"/project/web_url", "/repository/homepage"});
    change.summary = fmt::format("job {} ({}): {}", text_at(body, "/build_name"),
                                 text_at(body, "/build_stage"), change.status);
    return change;
}

Parsed deployment(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(const auto id, required_integer(body, "/deployment_id"));
    change.kind = ChangeKind::kDeployment;
    change.key += fmt::format("deployment:{}", id);
    change.status = text_at(body, "/status");
    change.version = first_text(body, {"/ref", "/short_sha"});
    // A branch is no version; its commit is.
    if (change.version == text_at(body, "/project/default_branch")) {
        change.version = first_text(body, {"/short_sha", "/ref"});
    }
    change.environment = text_at(body, "/environment");
    change.actor = first_text(body, {"/user/username", "/user/name"});
    change.at = first_time(body, {"/status_changed_at"}, now);
    change.url = first_link(body, {"/deployable_url", "/commit_url", "/project/web_url"});
    change.summary =
        fmt::format("deployment of {} {} to {}: {}", entity_name(change.entity), change.version,
                    change.environment, first_line_at(body, "/commit_title"));
    return change;
}

Parsed release(const Json& body, Change change, EventTime now) {
    VIGIE_TRY_ASSIGN(change.version, required_text(body, "/tag"));
    change.kind = ChangeKind::kBuild;
    change.key += fmt::format("release:{}", change.version);
    change.status = text_at(body, "/action");
    change.actor = first_text(body, {"/commit/author/name"});
    change.at = first_time(body, {"/released_at", "/created_at"}, now);
    change.url = first_link(body, {"/url"});
    change.summary = fmt::format("release {} {}: {}", change.version, change.status,
                                 first_line_at(body, "/name"));
    return change;
}

// Older events name the project in words only: "Shop / Checkout".
std::string project_path(const Json& body) {
    auto path = text_at(body, "/project/path_with_namespace");
    if (!path.empty()) return path;
    path = text_at(body, "/project_name");
    for (auto at = path.find(" / "); at != std::string::npos; at = path.find(" / ")) {
        path.replace(at, 3, "/");
    }
    return path;
}

}  // namespace

Parsed parse_gitlab(std::string_view text, const SenderEntities& entities, EventTime now) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(text));
    if (!body.is_object()) return fail(ErrorKind::kInvalid, "the body is not an object");
    using Parse = Parsed (*)(const Json&, Change, EventTime);
    constexpr std::pair<std::string_view, Parse> kKinds[] = {
        {"push", push},         {"tag_push", push}, {"merge_request", merge_request},
        {"pipeline", pipeline}, {"build", job},     {"deployment", deployment},
        {"release", release},
    };
    VIGIE_TRY_ASSIGN(const auto kind, required_text(body, "/object_kind"));
    const auto* const known =
        std::ranges::find(kKinds, kind, [](const auto& entry) { return entry.first; });
    if (known == std::end(kKinds)) return std::nullopt;
    const std::string path = project_path(body);
    if (path.empty()) {
        return fail(ErrorKind::kInvalid, "/project/path_with_namespace is missing");
    }
    Change change;
    change.key = fmt::format("gitlab:{}:", path);
    change.entity = entity_of_names({path, path.substr(path.rfind('/') + 1)}, entities);
    return known->second(body, std::move(change), now);
}

}  // namespace vigie::ingest
