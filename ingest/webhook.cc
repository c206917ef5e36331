#include "ingest/webhook.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/signature.h"
#include "ingest/metrics.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::size_t kDeliveryBytesMax = 128;

http::Response refusal_answer(int status, std::string_view reason) {
    return http::Response::text(status, std::string(reason));
}

std::string_view topic_of(const schemas::EventData& data) {
    if (std::holds_alternative<schemas::Heartbeat>(data)) return topics::kHeartbeats;
    return std::holds_alternative<schemas::Alert>(data) ? topics::kAlerts : topics::kChanges;
}

class WebhookHandler {
public:
    WebhookHandler(Webhook webhook, std::shared_ptr<Intake> intake,
                   std::shared_ptr<SeenDeliveries> deliveries)
        : webhook_(std::move(webhook)),
          intake_(std::move(intake)),
          deliveries_(std::move(deliveries)) {}

    void operator()(http::Request request, http::Respond respond) const {
        auto arrival = intake_->arrive(webhook_.source, std::move(request), std::move(respond),
                                       refusal_answer);
        if (!arrival) return;
        if (const auto refusal = webhook_.distrust(arrival->request)) {
            intake_->refuse(*arrival, *refusal);
            return;
        }
        const auto type = media_type(arrival->request.header("content-type"));
        const bool json = type == "application/json" || type.ends_with("+json");
        if (!json && !webhook_.any_content_type) {
            intake_->refuse(*arrival,
                            {415, "encoding",
                             "the content type is not application/json" + webhook_.content_hint});
            return;
        }
        const auto delivery = webhook_.delivery_id(arrival->request);
        if (!delivery) {
            intake_->refuse(*arrival, {400, "body", delivery.error().message});
            return;
        }
        const std::string seen = fmt::format("{} {}", webhook_.source, *delivery);
        if (!delivery->empty() && deliveries_->contains(seen)) {
            intake_->count(metrics::kDuplicates, webhook_.source);
            arrival->respond(http::Response::text(200, "received before"));
            return;
        }
        if (webhook_.is_ping && webhook_.is_ping(arrival->request)) {
            arrival->respond(http::Response::text(200, "pong"));
            return;
        }
        receive(*std::move(arrival), *delivery, seen);
    }

private:
    void receive(Arrival arrival, const std::string& delivery, const std::string& seen) const {
        auto events = webhook_.parse(arrival.request, delivery, intake_->now());
        if (!events) {
            intake_->refuse(arrival, {400, "body", events.error().message});
            return;
        }
        if (events->empty()) {
            intake_->count(metrics::kIgnored, webhook_.source);
            arrival.respond(http::Response::text(202, "nothing here that Vigie uses"));
            return;
        }
        std::vector<streams::Message> messages;
        for (auto& [id, data] : *events) {
            const auto topic = topic_of(data);
            messages.push_back(intake_->event_message(topic, webhook_.event_source, std::move(id),
                                                      std::move(data)));
        }
        const std::size_t items = messages.size();
        std::function<void()> on_durable;
        if (!delivery.empty()) {
            on_durable = [deliveries = deliveries_, seen] { deliveries->remember(seen); };
        }
        intake_->append(std::move(arrival), std::move(messages), items,
                        http::Response::text(200, "accepted"), std::move(on_durable));
    }

    // Shared by the copies that a std::function makes.
    Webhook webhook_;
    std::shared_ptr<Intake> intake_;
    std::shared_ptr<SeenDeliveries> deliveries_;
};

Refusal wrong_token() {
    Refusal refusal{401, "token", "the token is missing or wrong", false};
    refusal.headers.emplace_back("www-authenticate", "Bearer");
    return refusal;
}

}  // namespace

EntityId entity_of_names(std::initializer_list<std::string_view> names,
                         const SenderEntities& entities) {
    std::string_view last;
    for (const auto name : names) {
        if (const auto found = entities.find(std::string(name)); found != entities.end()) {
            return found->second;
        }
        if (!name.empty()) last = name;
    }
    return last.empty() ? EntityId{} : make_entity("service", last);
}

http::Handler make_webhook(Webhook webhook, std::shared_ptr<Intake> intake,
                           std::shared_ptr<SeenDeliveries> deliveries) {
    const auto handler = std::make_shared<const WebhookHandler>(
        std::move(webhook), std::move(intake), std::move(deliveries));
    return [handler](http::Request request, http::Respond respond) {
        (*handler)(std::move(request), std::move(respond));
    };
}

Refusal not_configured(std::string_view what) {
    return {403, "not_configured",
            fmt::format("no secret is configured for this endpoint: set {} and the same at the "
                        "sender",
                        what),
            false};
}

std::optional<Refusal> check_token(const std::string& token, const http::Request& request) {
    if (http::authorized(token, request.header("authorization"))) return std::nullopt;
    return wrong_token();
}

std::optional<Refusal> check_required_token(const std::string& token, std::string_view what,
                                            const http::Request& request) {
    if (token.empty()) return not_configured(what);
    const auto in_query = request.query_value("token");
    if (in_query && http::equal_constant_time(token, *in_query)) return std::nullopt;
    return check_token(token, request);
}

Result<std::string> delivery_header(const http::Request& request, std::string_view name) {
    const auto text = request.header(name);
    const bool good =
        text.size() <= kDeliveryBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ||
                   c == '.' || c == ':';
        });
    if (!good) return fail(ErrorKind::kInvalid, fmt::format("{} is malformed", name));
    return std::string(text);
}

}  // namespace vigie::ingest
