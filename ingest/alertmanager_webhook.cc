#include <utility>

#include "http/signature.h"
#include "ingest/alert.h"
#include "ingest/receivers.h"
#include "schemas/topics.h"

// What an Alertmanager posts to a webhook receiver, version 4:
// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::string_view kSource = "alertmanager_webhook";

bool token_valid(const std::string& token, std::string_view header) {
    return token.empty() || http::equal_constant_time("Bearer " + token, header);
}

void receive(const std::shared_ptr<Intake>& intake, const std::string& token, http::Request request,
             http::Respond respond) {
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond),
                                  [](int status, std::string_view reason) {
                                      return http::Response::text(status, std::string(reason));
                                  });
    if (!arrival) return;
    // Bytes of a sender that we do not know are counted, never kept.
    if (!token_valid(token, arrival->request.header("authorization"))) {
        Refusal refusal{401, "token", "the bearer token is missing or wrong", false};
        refusal.headers.emplace_back("www-authenticate", "Bearer");
        intake->refuse(*arrival, refusal);
        return;
    }
    if (media_type(arrival->request.header("content-type")) != "application/json") {
        intake->refuse(*arrival, {415, "encoding", "the content type is not application/json"});
        return;
    }
    auto alerts =
        parse_notification(arrival->request.body, intake->now(), intake->options().decode);
    if (!alerts) {
        intake->refuse(*arrival, {400, "body", alerts.error().message});
        return;
    }
    std::vector<streams::Message> messages;
    for (auto& alert : *alerts) {
        EventId id = alert_event_id(alert);
        messages.push_back(intake->event_message(topics::kAlerts, "/ingest/alertmanager-webhook",
                                                 std::move(id), std::move(alert)));
    }
    const std::size_t items = messages.size();
    intake->append(*std::move(arrival), std::move(messages), items, {200, {}, ""});
}

}  // namespace

void Receivers::add_alertmanager_webhook(http::Router& router) const {
    router.add("POST", "/webhooks/alertmanager",
               [intake = intake_, token = options_.alertmanager_webhook_token](
                   http::Request request, http::Respond respond) {
                   receive(intake, token, std::move(request), std::move(respond));
               });
}

}  // namespace vigie::ingest
