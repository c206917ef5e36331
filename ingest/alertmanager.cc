#include <utility>

#include <fmt/format.h>

#include "http/signature.h"
#include "ingest/alert.h"
#include "ingest/metrics.h"
#include "ingest/receivers.h"
#include "schemas/json.h"
#include "schemas/topics.h"

// Alertmanager's own API, as its senders use it:
// https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml
namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::Json;

namespace {

constexpr std::string_view kSource = "alertmanager";

// Alertmanager answers an error with a JSON string.
http::Response refusal_answer(int status, std::string_view reason) {
    return http::Response::json(status, schemas::dump_json(Json(std::string(reason))));
}

void receive(const std::shared_ptr<Intake>& intake, const std::string& token,
             const HeartbeatOptions& heartbeats, http::Request request, http::Respond respond) {
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond), refusal_answer);
    if (!arrival) return;
    if (!http::authorized(token, arrival->request.header("authorization"))) {
        Refusal refusal{401, "token", "the token is missing or wrong", false};
        refusal.headers.emplace_back("www-authenticate", "Bearer");
        intake->refuse(*arrival, refusal);
        return;
    }
    if (media_type(arrival->request.header("content-type")) != "application/json") {
        intake->refuse(*arrival, {415, "encoding", "the content type is not application/json"});
        return;
    }
    auto posted =
        parse_posted_alerts(arrival->request.body, intake->now(), intake->options().decode);
    if (!posted) {
        intake->refuse(*arrival, {400, "body", posted.error().message});
        return;
    }
    if (posted->refused > 0 && posted->alerts.empty()) {
        intake->refuse(*arrival, {400, "body", posted->errors});
        return;
    }
    std::vector<streams::Message> messages;
    for (auto& alert : posted->alerts) {
        if (const auto& identity = intake->options().identity) {
            alert.entity = schemas::entity_of(identity, alert.labels);
        }
        if (auto beat = take_watchdog(alert, heartbeats, intake->now())) {
            messages.push_back(heartbeat_message(*intake, *std::move(beat)));
        }
        EventId id = alert_event_id(alert);
        messages.push_back(intake->event_message(topics::kAlerts, "/ingest/alertmanager",
                                                 std::move(id), std::move(alert)));
    }
    const std::size_t items = posted->alerts.size();
    if (posted->refused == 0) {
        intake->append(*std::move(arrival), std::move(messages), items, {200, {}, ""});
        return;
    }
    // As Alertmanager does: the good ones count, and the sender hears of the others.
    intake->count(metrics::kRefusedItems, kSource, posted->refused);
    intake->keep(*arrival, posted->errors);
    intake->append(*std::move(arrival), std::move(messages), items,
                   refusal_answer(400, posted->errors));
}

}  // namespace

void Receivers::add_alertmanager(http::Router& router) const {
    router.add("POST", "/api/v2/alerts",
               [intake = intake_, token = options_.alertmanager_token,
                heartbeats = options_.heartbeats](http::Request request, http::Respond respond) {
                   receive(intake, token, heartbeats, std::move(request), std::move(respond));
               });
    for (const char* path : {"/-/healthy", "/-/ready"}) {
        router.add("GET", path, [](const http::Request&, const http::Respond& respond) {
            respond(http::Response::text(200, "OK"));
        });
    }
}

}  // namespace vigie::ingest
