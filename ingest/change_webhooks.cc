#include <utility>

#include <fmt/format.h>

#include "http/signature.h"
#include "ingest/deployments.h"
#include "ingest/receivers.h"
#include "ingest/webhook.h"

// Webhooks that tell of changes: GitLab, Jenkins, Argo CD. GitHub has a file of its own.
namespace vigie::ingest {

namespace {

// How old a signed delivery may be; GitLab gives up on a delivery long before.
constexpr std::chrono::seconds kSignatureAgeMax{300};

std::optional<Refusal> distrust_gitlab(const Receivers::Options& options,
                                       const http::Request& request, EventTime now) {
    if (options.gitlab_tokens.empty() && options.gitlab_signing_secrets.empty()) {
        return not_configured("ingest.gitlab.token_file or signing_secret_file");
    }
    bool valid = false;
    const auto token = request.header("x-gitlab-token");
    for (const auto& expected : options.gitlab_tokens) {
        valid = http::equal_constant_time(expected, token) || valid;
    }
    const http::StandardWebhook headers{request.header("webhook-id"),
                                        request.header("webhook-timestamp"),
                                        request.header("webhook-signature")};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
    for (const auto& secret : options.gitlab_signing_secrets) {
        valid = http::standard_webhook_valid(secret, request.body, headers, seconds,
                                             kSignatureAgeMax) ||
                valid;
    }
    if (valid) return std::nullopt;
    return Refusal{401, "signature",
                   "neither X-Gitlab-Token nor webhook-signature matches what is configured",
                   false};
}

// A retry has the key of the first attempt.
Result<std::string> gitlab_delivery(const http::Request& request) {
    for (const auto* name : {"idempotency-key", "webhook-id", "x-gitlab-event-uuid"}) {
        VIGIE_TRY_ASSIGN(auto id, delivery_header(request, name));
        if (!id.empty()) return id;
    }
    return std::string();
}

using ParseChange = Result<std::optional<schemas::Change>> (*)(std::string_view,
                                                               const SenderEntities&, EventTime);

// An event's id is the delivery's when it has one, else its content's: the same told twice is one.
auto parser(std::string_view source, ParseChange parse, SenderEntities entities) {
    return [source, parse, entities = std::move(entities)](const http::Request& request,
                                                           const std::string& delivery,
                                                           EventTime now) -> Result<NamedEvents> {
        VIGIE_TRY_ASSIGN(auto change, parse(request.body, entities, now));
        NamedEvents events;
        if (!change) return events;
        EventId id = delivery.empty() ? event_id(source, request.body)
                                      : EventId{fmt::format("{}-{}", source, delivery)};
        events.emplace_back(std::move(id), *std::move(change));
        return events;
    };
}

Webhook by_token(std::string_view source, std::string token, ParseChange parse,
                 SenderEntities entities) {
    Webhook webhook;
    webhook.source = source;
    webhook.event_source = fmt::format("/ingest/{}", source);
    webhook.distrust = [source, token = std::move(token)](const http::Request& request) {
        return check_required_token(token, fmt::format("ingest.{}.token_file", source), request);
    };
    webhook.delivery_id = [](const http::Request&) -> Result<std::string> { return std::string(); };
    webhook.parse = parser(source, parse, std::move(entities));
    return webhook;
}

}  // namespace

void Receivers::add_change_webhooks(http::Router& router) const {
    Webhook gitlab;
    gitlab.source = "gitlab";
    gitlab.event_source = "/ingest/gitlab";
    gitlab.distrust = [options = options_, intake = intake_](const http::Request& request) {
        return distrust_gitlab(options, request, intake->now());
    };
    gitlab.delivery_id = gitlab_delivery;
    gitlab.parse = parser("gitlab", parse_gitlab, options_.gitlab_entities);
    router.add("POST", "/webhooks/gitlab", make_webhook(std::move(gitlab), intake_, deliveries_));
    router.add("POST", "/webhooks/jenkins",
               make_webhook(by_token("jenkins", options_.jenkins_token, parse_jenkins,
                                     options_.jenkins_entities),
                            intake_, deliveries_));
    router.add("POST", "/webhooks/argocd",
               make_webhook(by_token("argocd", options_.argocd_token, parse_argocd,
                                     options_.argocd_entities),
                            intake_, deliveries_));
}

}  // namespace vigie::ingest
