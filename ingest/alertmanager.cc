#include <utility>

#include <fmt/format.h>

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

void receive(const std::shared_ptr<Intake>& intake, http::Request request, http::Respond respond) {
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond), refusal_answer);
    if (!arrival) return;
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
        EventId id = alert_event_id(alert);
        messages.push_back(intake->event_message(topics::kAlerts, "/ingest/alertmanager",
                                                 std::move(id), std::move(alert)));
    }
    const std::size_t items = messages.size();
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

std::string status_body(EventTime started) {
    const Json body{
        {"cluster", {{"status", "disabled"}, {"peers", Json::array()}}},
        {"config", {{"original", "# Vigie routes alerts itself: see its own configuration.\n"}}},
        {"uptime", to_rfc3339(started)},
        {"versionInfo",
         {{"version", "vigie"},
          {"revision", ""},
          {"branch", ""},
          {"buildUser", ""},
          {"buildDate", ""},
          {"goVersion", ""}}}};
    return schemas::dump_json(body);
}

}  // namespace

void Receivers::add_alertmanager(http::Router& router) const {
    router.add("POST", "/api/v2/alerts",
               [intake = intake_](http::Request request, http::Respond respond) {
                   receive(intake, std::move(request), std::move(respond));
               });
    router.add("GET", "/api/v2/status",
               [body = status_body(started_)](const http::Request&, const http::Respond& respond) {
                   respond(http::Response::json(200, body));
               });
    for (const char* path : {"/-/healthy", "/-/ready"}) {
        router.add("GET", path, [](const http::Request&, const http::Respond& respond) {
            respond(http::Response::text(200, "OK"));
        });
    }
}

}  // namespace vigie::ingest
