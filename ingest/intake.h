#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/message.h"
#include "ingest/requests.h"
#include "schemas/events.h"
#include "schemas/identity.h"
#include "schemas/telemetry.h"
#include "streams/bus.h"

// What every way in does alike: limits, the append, the answer, dead letters and counters.
namespace vigie::ingest {

// How one protocol words an answer that is not a success.
using RefusalAnswer = std::function<http::Response(int status, std::string_view reason)>;

// Body bytes that were accepted and not yet answered; given back when the last copy goes.
using Room = std::shared_ptr<const std::size_t>;

// One request on its way in.
struct Arrival {
    std::string_view source;  // A constant: label of metrics and key of dead letters.
    http::Request request;
    http::Respond respond;
    RefusalAnswer refusal;
    Room room;
    std::shared_ptr<RequestRecord> record;  // Complete with the answer
};

// Why a request is refused. `label` is the metric's reason: "body", "encoding", "too_large",
// "overloaded", "unavailable", "signature", "token", "not_configured".
struct Refusal {
    int status = 400;
    std::string_view label;
    std::string reason;     // One line for the sender and the dead letter; never a secret.
    bool keep_body = true;  // On the dead-letter topic.
    std::vector<std::pair<std::string, std::string>> headers{};  // Which the answer needs
};

// Shared by all receivers and by the appends under way, which is why it is held by shared_ptr.
// Safe to call from any thread. `bus`, `clock`, `metrics` and `log` must outlive every append.
class Intake final : public std::enable_shared_from_this<Intake> {
public:
    struct Options {
        DomainId domain{"default"};
        schemas::DecodeLimits decode;
        std::size_t body_bytes_max = 7 * 1024 * 1024;  // At most what the bus takes.
        std::size_t in_flight_bytes_max = 64 * 1024 * 1024;
        std::size_t dead_letter_bytes_max = 1024 * 1024;  // Longer bodies are cut, and say so.
        std::chrono::seconds retry_after{5};
        // A sender that is told to come back waits for so long before it hears it: refusing costs
        // nearly as much as taking, and who is refused at once sends at once again.
        std::chrono::milliseconds refusal_wait{200};
        // Times further from the clock than this are wrong, not early or late.
        std::chrono::seconds ahead_max{600};
        std::chrono::seconds behind_max{std::chrono::hours{24}};
        std::size_t requests_remembered = 10'000;  // For explain_request()
        std::string process = "0000";              // Of request ids; see RequestLog
        schemas::Identity identity;                // Which entities alerts speak of
    };

    Intake(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics,
           Log& log);

    // Admits a request, or answers 413 or 503 and returns nullopt.
    std::optional<Arrival> arrive(std::string_view source, http::Request request,
                                  http::Respond respond, RefusalAnswer refusal);

    // Answers with the refusal; keeps the bytes when asked to.
    void refuse(Arrival& arrival, const Refusal& refusal);

    // Appends, and answers `success` once everything is durable; else 503 with Retry-After, or
    // 413 when the bus finds a message too large. Without messages it answers at once.
    void append(Arrival arrival, std::vector<streams::Message> messages, std::size_t items,
                http::Response success, std::function<void()> on_durable = {});

    // For ways in that read from elsewhere on a thread of their own: appends and waits until it is
    // durable. The error is the bus's; nothing was appended, or its fate is unknown.
    Status append_and_wait(std::string_view source, std::vector<streams::Message> messages,
                           std::size_t items);

    // For what nobody asked for and nobody waits for. What fails is counted and logged.
    void append_unasked(std::string_view source, std::vector<streams::Message> messages);

    // Puts the body, or what fits, on the dead-letter topic. Never an Authorization header.
    void keep(const Arrival& arrival, std::string_view reason);

    // The event time of a record whose newest item says `newest`: never ahead of the clock, so
    // that no sender moves a watermark into the future. A time out of ahead_max or behind_max
    // is counted and replaced by the clock.
    EventTime stamp(std::string_view source, EventTime newest);

    EventTime now() const;
    streams::Message event_message(std::string_view topic, std::string_view event_source,
                                   EventId id, schemas::EventData data) const;

    void count(const MetricName& name, std::string_view source, std::uint64_t n = 1);
    const Options& options() const { return options_; }
    RequestLog& requests() { return requests_; }
    const streams::Bus& bus() const { return bus_; }

private:
    std::shared_ptr<RequestRecord> begin_record(std::string_view source,
                                                const http::Request& request);
    http::Response retry_later(const Arrival& arrival, std::string_view reason) const;
    void count_refused(std::string_view source, std::string_view label);

    const Options options_;
    streams::Bus& bus_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    Log& log_;
    RequestLog requests_;
    std::atomic<std::size_t> in_flight_bytes_{0};
};

// Of what a decoder said: 400, or 413 when the body asks for more than a limit.
Refusal refusal_of(const Error& error);

// An id that depends on `content` alone: equal content is the same event for every reader.
EventId event_id(std::string_view kind, std::string_view content);

// "application/json" of "application/json; charset=utf-8", in lower case.
std::string media_type(std::string_view content_type);

// The peer without its port.
std::string peer_address(std::string_view remote);

}  // namespace vigie::ingest
