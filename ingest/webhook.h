#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "http/message.h"
#include "ingest/deliveries.h"
#include "ingest/intake.h"
#include "schemas/events.h"

// What all webhooks do alike: who sends is checked before anything is read or kept, a delivery that
// came before is answered without a second record, what is of no use is said to be, and the answer
// waits for the log.
namespace vigie::ingest {

using NamedEvents = std::vector<std::pair<EventId, schemas::EventData>>;

// The name of a thing at a sender ("owner/name" of a repository, a job, an application) to the
// entity that it deploys.
using SenderEntities = std::map<std::string, EntityId>;

// The entry of the first name that has one, else service:LAST.
EntityId entity_of_names(std::initializer_list<std::string_view> names,
                         const SenderEntities& entities);

struct Webhook {
    std::string_view source;   // A constant: label of metrics, key of dead letters
    std::string event_source;  // Of the events: "/ingest/github"
    // Why this sender is not believed, or nullopt. Its bytes are counted and not kept.
    std::function<std::optional<Refusal>(const http::Request&)> distrust;
    // By what a repetition is recognised: an id of the sender; "" when it gave none.
    std::function<Result<std::string>(const http::Request&)> delivery_id;
    // Alerts and changes; nothing when there is nothing of interest. kInvalid names what is wrong.
    // `delivery` is what delivery_id gave.
    std::function<Result<NamedEvents>(const http::Request&, const std::string& delivery,
                                      EventTime now)>
        parse;
    // Whether the sender only asks if somebody is there; may be unset.
    std::function<bool(const http::Request&)> is_ping;
    std::string content_hint;  // Beside "the content type is not application/json"
    bool any_content_type = false;
};

// The handler of a webhook. `deliveries` may be shared by several.
http::Handler make_webhook(Webhook webhook, std::shared_ptr<Intake> intake,
                           std::shared_ptr<SeenDeliveries> deliveries);

// For `distrust`. `what` names the option: "ingest.gitlab.token".
Refusal not_configured(std::string_view what);
// An empty `token` asks for nothing.
std::optional<Refusal> check_token(const std::string& token, const http::Request& request);
// As check_token, but an empty `token` refuses everybody. The token may also be in the query
// ("?token=…"), for senders that cannot send headers.
std::optional<Refusal> check_required_token(const std::string& token, std::string_view what,
                                            const http::Request& request);

// "" when the header is not there, kInvalid when it is no id: letters, digits and ".-_:", at most
// 128 bytes.
Result<std::string> delivery_header(const http::Request& request, std::string_view name);

}  // namespace vigie::ingest
