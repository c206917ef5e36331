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
constexpr std::size_t kErrorsShownMax = 5;

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
    const auto body = schemas::parse_json(arrival->request.body);
    if (!body || !body->is_array()) {
        intake->refuse(
            *arrival,
            {400, "body", body ? "the body is not a list of alerts" : body.error().message});
        return;
    }
    std::vector<streams::Message> messages;
    std::string errors;
    std::size_t invalid = 0;
    for (const auto& element : *body) {
        auto alert =
            parse_alert(schemas::dump_json(element), {}, intake->now(), intake->options().decode);
        if (alert) {
            EventId id = alert_event_id(*alert);
            messages.push_back(intake->event_message(topics::kAlerts, "/ingest/alertmanager",
                                                     std::move(id), *std::move(alert)));
        } else if (++invalid <= kErrorsShownMax) {
            errors += (errors.empty() ? "" : "; ") + alert.error().message;
        }
    }
    if (invalid == 0) {
        const std::size_t items = messages.size();
        intake->append(*std::move(arrival), std::move(messages), items, {200, {}, ""});
        return;
    }
    if (messages.empty()) {
        intake->refuse(*arrival, {400, "body", errors});
        return;
    }
    // As Alertmanager does: the good ones count, and the sender hears of the others.
    intake->count(metrics::kRefusedItems, kSource, invalid);
    intake->keep(*arrival, errors);
    const std::size_t items = messages.size();
    intake->append(*std::move(arrival), std::move(messages), items, refusal_answer(400, errors));
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
