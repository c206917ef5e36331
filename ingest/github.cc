#include <utility>

#include <fmt/format.h>

#include "http/signature.h"
#include "ingest/github_change.h"
#include "ingest/receivers.h"
#include "ingest/webhook.h"

namespace vigie::ingest {

namespace {

// Every secret is tried, so that the time taken does not tell which one matched.
std::optional<Refusal> distrust(const std::vector<std::string>& secrets,
                                const http::Request& request) {
    if (secrets.empty()) return not_configured("ingest.github.secret_file");
    const auto header = request.header("x-hub-signature-256");
    bool valid = false;
    for (const auto& secret : secrets) {
        valid = http::github_signature_valid(secret, request.body, header) || valid;
    }
    if (valid) return std::nullopt;
    return Refusal{401, "signature", "X-Hub-Signature-256 is missing or does not match the secret",
                   false};
}

Result<std::string> delivery_id(const http::Request& request) {
    auto id = delivery_header(request, "x-github-delivery");
    if (id && !id->empty()) return id;
    return fail(ErrorKind::kInvalid, "X-GitHub-Delivery is missing or malformed");
}

}  // namespace

void Receivers::add_github(http::Router& router) const {
    Webhook webhook;
    webhook.source = "github";
    webhook.event_source = "/ingest/github";
    webhook.content_hint = ": choose it in the webhook's settings";
    webhook.distrust = [secrets = options_.github_secrets](const http::Request& request) {
        return distrust(secrets, request);
    };
    webhook.delivery_id = delivery_id;
    webhook.is_ping = [](const http::Request& request) {
        return request.header("x-github-event") == "ping";
    };
    webhook.parse = [entities = options_.github_entities](const http::Request& request,
                                                          const std::string& delivery,
                                                          EventTime now) -> Result<NamedEvents> {
        VIGIE_TRY_ASSIGN(auto change, parse_github_event(request.header("x-github-event"),
                                                         request.body, entities, now));
        NamedEvents events;
        if (change) events.emplace_back(EventId{"github-" + delivery}, *std::move(change));
        return events;
    };
    router.add("POST", "/webhooks/github", make_webhook(std::move(webhook), intake_, deliveries_));
}

}  // namespace vigie::ingest
