#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "schemas/events.h"

namespace vigie::notify {

// What a person is told, by itself: it is kept in the state until it is delivered.
struct Message {
    std::string id;    // The notice's: equal for the same notice sent again
    std::string kind;  // "page", "approval", "update", "resolved"
    std::string text;
    IncidentId incident;
    std::string title;
    schemas::Severity severity = schemas::Severity::kWarning;
    std::string state;  // Of the incident: "awaiting_approval"
    std::string owner;  // Who acknowledged it; "" when nobody did
    std::string link;   // To the incident in the console; "" when it is not known
    EventTime at;
    std::vector<std::string> entities{};  // Of symptoms: for routes, and not kept in the state
};

// Pages and approvals wait for a person: they must reach one.
bool is_urgent(const Message& message);

enum class Delivery : std::uint8_t {
    kDelivered,
    kRetry,     // Not reached, or told to come back later.
    kRejected,  // This message will never be taken here.
};
struct Sent {
    Delivery delivery = Delivery::kRetry;
    std::string reason;  // One sentence, without secrets; "" when delivered
    std::optional<std::chrono::milliseconds> retry_after;  // As the receiver said
};

// One way to tell people. Sends the same message again without harm: receivers see equal ids.
// Safe to call from several threads at once.
class Channel {
public:
    Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    virtual ~Channel() = default;

    virtual std::string_view name() const = 0;  // As configured; label of metrics

    // Whether the message goes here at all. A fallback asks can_carry instead.
    virtual bool wants(const Message& message) const = 0;
    virtual bool can_carry(const Message& message) const = 0;

    // Blocks until there is an answer, a timeout or a stop.
    virtual Sent send(const Message& message, const std::stop_token& stop) const = 0;
};

}  // namespace vigie::notify
