#include "ingest/github_change.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "ingest/intake.h"
#include "schemas/json.h"

namespace vigie::ingest {

using schemas::Change;
using schemas::ChangeKind;
using schemas::Json;

namespace {

constexpr std::size_t kTextBytesMax = 500;

std::string text_at(const Json& json, std::string_view pointer) {
    return one_line(schemas::string_at(json, pointer).value_or(""), kTextBytesMax);
}

std::string first_line_at(const Json& json, std::string_view pointer) {
    const std::string text = schemas::string_at(json, pointer).value_or("");
    return one_line(std::string_view(text).substr(0, text.find('\n')), kTextBytesMax);
}

std::string first_text(const Json& json, std::initializer_list<std::string_view> pointers) {
    for (const auto pointer : pointers) {
        if (auto text = text_at(json, pointer); !text.empty()) return text;
    }
    return {};
}

std::string first_link(const Json& json, std::initializer_list<std::string_view> pointers) {
    for (const auto pointer : pointers) {
        const auto text = schemas::string_at(json, pointer).value_or("");
        if (auto link = link_or_nothing(text); !link.empty()) return link;
    }
    return {};
}

EventTime time_at(const Json& json, std::string_view pointer, EventTime now) {
    const auto text = schemas::string_at(json, pointer);
    if (!text) return now;
    const auto at = parse_rfc3339(*text);
    return at ? std::min(*at, now) : now;
}

Result<std::int64_t> required_integer(const Json& json, std::string_view pointer) {
    const auto number = schemas::integer_at(json, pointer);
    if (!number) return fail(ErrorKind::kInvalid, fmt::format("{} is not a number", pointer));
    return *number;
}

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
    change.at =
        time_at(body, is_status ? "/deployment_status/created_at" : "/deployment/created_at", now);
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
    change.at = time_at(body, "/workflow_run/updated_at", now);
    change.url = first_link(body, {"/workflow_run/html_url", "/repository/html_url"});
    change.summary = fmt::format("workflow {} on {}: {}", text_at(body, "/workflow_run/name"),
                                 text_at(body, "/workflow_run/head_branch"), change.status);
    return change;
}

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
    const bool known = event == "push" || event == "deployment" || event == "deployment_status" ||
                       event == "workflow_run";
    if (!known) return std::nullopt;
    const std::string full_name = text_at(body, "/repository/full_name");
    std::string name = text_at(body, "/repository/name");
    if (name.empty()) name = full_name.substr(full_name.rfind('/') + 1);
    if (name.empty()) return fail(ErrorKind::kInvalid, "/repository/name is missing");
    Change change;
    change.key = fmt::format("github:{}:", full_name.empty() ? name : full_name);
    change.entity = entity_of_repository(full_name, name, entities);
    if (event == "push") return push(body, std::move(change), now);
    if (event == "workflow_run") return workflow_run(body, std::move(change), now);
    return deployment(body, std::move(change), now);
}

}  // namespace vigie::ingest
