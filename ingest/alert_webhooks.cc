#include <utility>

#include <fmt/format.h>

#include "http/signature.h"
#include "ingest/alert.h"
#include "ingest/pagerduty.h"
#include "ingest/receivers.h"
#include "ingest/webhook.h"

// Webhooks that tell of alerts: Alertmanager version 4, Grafana, PagerDuty version 3.
// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
// https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
// https://developer.pagerduty.com/docs/webhooks-v3-overview
namespace vigie::ingest {

namespace {

Result<std::string> no_delivery_id(const http::Request& /*request*/) {
    return std::string();
}

Webhook notification(std::string_view source, std::string event_source, std::string token,
                     NotificationKind kind, const Receivers::Options& options) {
    Webhook webhook;
    webhook.source = source;
    webhook.event_source = std::move(event_source);
    webhook.distrust = [token = std::move(token)](const http::Request& request) {
        return check_token(token, request);
    };
    webhook.delivery_id = no_delivery_id;
    webhook.parse = [kind, limits = options.intake.decode, heartbeats = options.heartbeats,
                     identity = options.intake.identity](const http::Request& request,
                                                         const std::string&,
                                                         EventTime now) -> Result<NamedEvents> {
        VIGIE_TRY_ASSIGN(auto alerts, parse_notification(request.body, kind, now, limits));
        NamedEvents events;
        for (auto& alert : alerts) {
            alert.entity = schemas::entity_of(identity, alert.labels);
            if (auto beat = take_watchdog(alert, heartbeats, now)) {
                const auto content = fmt::format("{}|{}", beat->name, micros_of(now));
                events.emplace_back(event_id("heartbeat", content), *std::move(beat));
            }
            EventId id = alert_event_id(alert);
            events.emplace_back(std::move(id), std::move(alert));
        }
        return events;
    };
    return webhook;
}

std::optional<Refusal> distrust_pagerduty(const std::vector<std::string>& secrets,
                                          const http::Request& request) {
    if (secrets.empty()) return not_configured("ingest.pagerduty.secret_file");
    const auto header = request.header("x-pagerduty-signature");
    bool valid = false;
    for (const auto& secret : secrets) {
        valid = http::pagerduty_signature_valid(secret, request.body, header) || valid;
    }
    if (valid) return std::nullopt;
    return Refusal{401, "signature",
                   "X-PagerDuty-Signature is missing or does not match the secret", false};
}

}  // namespace

void Receivers::add_alertmanager_webhook(http::Router& router) const {
    router.add("POST", "/webhooks/alertmanager",
               make_webhook(notification("alertmanager_webhook", "/ingest/alertmanager-webhook",
                                         options_.alertmanager_webhook_token,
                                         NotificationKind::kAlertmanager, options_),
                            intake_, deliveries_));
}

void Receivers::add_alert_webhooks(http::Router& router) const {
    router.add("POST", "/webhooks/grafana",
               make_webhook(notification("grafana", "/ingest/grafana", options_.grafana_token,
                                         NotificationKind::kGrafana, options_),
                            intake_, deliveries_));
    Webhook pagerduty;
    pagerduty.source = "pagerduty";
    pagerduty.event_source = "/ingest/pagerduty";
    pagerduty.distrust = [secrets = options_.pagerduty_secrets](const http::Request& request) {
        return distrust_pagerduty(secrets, request);
    };
    // Its deliveries have no id of their own, but each event has one.
    pagerduty.delivery_id = no_delivery_id;
    pagerduty.parse = [](const http::Request& request, const std::string&, EventTime now) {
        return parse_pagerduty(request.body, now);
    };
    router.add("POST", "/webhooks/pagerduty",
               make_webhook(std::move(pagerduty), intake_, deliveries_));
}

}  // namespace vigie::ingest
