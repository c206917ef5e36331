#include "ingest/deployments.h"
#include "schemas/json_fields.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

namespace vigie::ingest {

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

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

}  // namespace

Result<std::optional<Change>> parse_jenkins(std::string_view text, const SenderEntities& entities,
                                            EventTime now) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(text));
    VIGIE_TRY_ASSIGN(const auto name, required_text(body, "/name"));
    VIGIE_TRY_ASSIGN(const auto number, required_integer(body, "/build/number"));
    VIGIE_TRY_ASSIGN(const auto phase, required_text(body, "/build/phase"));
    // FINALIZED repeats what COMPLETED said, once the post-build steps are over.
    if (phase == "QUEUED" || phase == "FINALIZED") return std::nullopt;
    Change change;
    change.kind = ChangeKind::kBuild;
    change.key = fmt::format("jenkins:{}:{}", name, number);
    change.entity = entity_of_names({name, name.substr(name.rfind('/') + 1)}, entities);
    change.status = lower(first_text(body, {"/build/status", "/build/phase"}));
    change.version = text_at(body, "/build/scm/commit");
    change.actor = text_at(body, "/build/scm/culprits/0");
    change.at = first_time(body, {"/build/timestamp"}, now);
    change.url = first_link(body, {"/build/full_url"});
    change.summary = fmt::format("build {} of {}: {}", number, name, change.status);
    return change;
}

Result<std::optional<Change>> parse_argocd(std::string_view text, const SenderEntities& entities,
                                           EventTime now) {
    VIGIE_TRY_ASSIGN(const Json body, schemas::parse_json(text));
    VIGIE_TRY_ASSIGN(const auto name, required_text(body, "/app/metadata/name"));
    const auto phase = text_at(body, "/app/status/operationState/phase");
    if (phase.empty()) return std::nullopt;  // Nothing was synchronized yet.
    Change change;
    change.kind = ChangeKind::kDeployment;
    change.version = first_text(
        body, {"/app/status/operationState/syncResult/revision",
               "/app/status/operationState/operation/sync/revision", "/app/status/sync/revision"});
    const auto started = text_at(body, "/app/status/operationState/startedAt");
    change.key = fmt::format("argocd:{}/{}:{}", text_at(body, "/app/metadata/namespace"), name,
                             started.empty() ? change.version : started);
    change.entity = entity_of_names({name}, entities);
    change.status = lower(phase);
    change.environment =
        first_text(body, {"/app/spec/destination/namespace", "/app/spec/destination/name"});
    change.actor = first_text(
        body, {"/app/status/operationState/operation/initiatedBy/username", "/app/spec/project"});
    change.at = first_time(
        body, {"/app/status/operationState/finishedAt", "/app/status/operationState/startedAt"},
        now);
    change.url = first_link(body, {"/url", "/app/spec/source/repoURL"});
    change.summary = fmt::format("sync of {} to {}: {}", name, change.version, change.status);
    return change;
}

}  // namespace vigie::ingest
