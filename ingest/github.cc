#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/signature.h"
#include "ingest/deliveries.h"
#include "ingest/github_change.h"
#include "ingest/metrics.h"
#include "ingest/receivers.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::string_view kSource = "github";

bool is_delivery_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-';
    });
}

// Every secret is tried, so that the time taken does not tell which one matched.
bool signed_by_any(const std::vector<std::string>& secrets, const http::Request& request) {
    const auto header = request.header("x-hub-signature-256");
    bool valid = false;
    for (const auto& secret : secrets) {
        valid = http::github_signature_valid(secret, request.body, header) || valid;
    }
    return valid;
}

class GithubReceiver {
public:
    GithubReceiver(std::shared_ptr<Intake> intake, std::shared_ptr<SeenDeliveries> deliveries,
                   std::vector<std::string> secrets, RepositoryEntities entities)
        : intake_(std::move(intake)),
          deliveries_(std::move(deliveries)),
          secrets_(std::move(secrets)),
          entities_(std::move(entities)) {}

    void operator()(http::Request request, http::Respond respond) const {
        auto arrival = intake_->arrive(kSource, std::move(request), std::move(respond),
                                       [](int status, std::string_view reason) {
                                           return http::Response::text(status, std::string(reason));
                                       });
        if (!arrival || refused(*arrival)) return;
        const std::string delivery(arrival->request.header("x-github-delivery"));
        if (deliveries_->contains(delivery)) {
            intake_->count(metrics::kDuplicates, kSource);
            arrival->respond(http::Response::text(200, "received before"));
            return;
        }
        receive(*std::move(arrival), delivery);
    }

private:
    // Bytes of a sender that we do not know are counted, never kept.
    bool refused(Arrival& arrival) const {
        const http::Request& request = arrival.request;
        if (secrets_.empty()) {
            intake_->refuse(arrival, {403, "not_configured",
                                      "no secret is configured for this endpoint: set "
                                      "ingest.github.secret_file and the same secret at GitHub",
                                      false});
        } else if (!signed_by_any(secrets_, request)) {
            intake_->refuse(arrival,
                            {401, "signature",
                             "X-Hub-Signature-256 is missing or does not match the secret", false});
        } else if (media_type(request.header("content-type")) != "application/json") {
            intake_->refuse(arrival, {415, "encoding",
                                      "the content type is not application/json: choose it in the "
                                      "webhook's settings"});
        } else if (!is_delivery_id(request.header("x-github-delivery"))) {
            intake_->refuse(arrival, {400, "body", "X-GitHub-Delivery is missing or malformed"});
        } else {
            return false;
        }
        return true;
    }

    void receive(Arrival arrival, const std::string& delivery) const {
        const std::string event(arrival.request.header("x-github-event"));
        auto change = parse_github_event(event, arrival.request.body, entities_, intake_->now());
        if (!change) {
            intake_->refuse(arrival, {400, "body", change.error().message});
            return;
        }
        if (event == "ping") {
            arrival.respond(http::Response::text(200, "pong"));
            return;
        }
        if (!*change) {
            intake_->count(metrics::kIgnored, kSource);
            arrival.respond(http::Response::text(202, "nothing here that Vigie uses"));
            return;
        }
        std::vector<streams::Message> messages;
        messages.push_back(intake_->event_message(topics::kChanges, "/ingest/github",
                                                  {"github-" + delivery}, **std::move(change)));
        intake_->append(std::move(arrival), std::move(messages), 1,
                        http::Response::text(200, "accepted"),
                        [deliveries = deliveries_, delivery] { deliveries->remember(delivery); });
    }

    std::shared_ptr<Intake> intake_;
    std::shared_ptr<SeenDeliveries> deliveries_;
    std::vector<std::string> secrets_;
    RepositoryEntities entities_;
};

}  // namespace

void Receivers::add_github(http::Router& router) const {
    router.add(
        "POST", "/webhooks/github",
        GithubReceiver(intake_, deliveries_, options_.github_secrets, options_.github_entities));
}

}  // namespace vigie::ingest
