#include "ingest/intake.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/signature.h"
#include "ingest/metrics.h"
#include "schemas/alert_json.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::size_t kReasonBytesMax = 512;
constexpr std::size_t kClientIdBytesMax = 64;
constexpr std::size_t kPathBytesMax = 200;
constexpr std::size_t kPlacesMax = 16;

// It goes into a header and back to the sender.
std::string short_line(std::string_view text) {
    return one_line(text, kReasonBytesMax);
}

// A body becomes one message, with room for its headers: what the bus cannot hold is refused at
// the door.
Intake::Options bounded(Intake::Options options, const streams::Bus& bus) {
    constexpr std::size_t kHeadersBytesMax = 64 * 1024;
    const std::size_t message_bytes_max = bus.message_bytes_max();
    VIGIE_ASSERT(message_bytes_max > 2 * kHeadersBytesMax);
    const std::size_t bytes_max = message_bytes_max - kHeadersBytesMax;
    options.body_bytes_max = std::min(options.body_bytes_max, bytes_max);
    options.dead_letter_bytes_max = std::min(options.dead_letter_bytes_max, bytes_max);
    return options;
}

double seconds_between(SteadyTime from, SteadyTime to) {
    return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Intake::Intake(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics,
               Log& log)
    : options_(bounded(std::move(options), bus)),
      bus_(bus),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      requests_(options_.requests_remembered, options_.process) {}

// An id of the sender that could be anything is not kept.
std::shared_ptr<RequestRecord> Intake::begin_record(std::string_view source,
                                                    const http::Request& request) {
    auto record = std::make_shared<RequestRecord>();
    record->id = requests_.next_id(clock_.wall());
    const auto given = request.header("x-request-id");
    const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; };
    if (given.size() <= kClientIdBytesMax && std::ranges::all_of(given, plain)) {
        record->client_id = given;
    }
    record->source = source;
    record->peer = request.remote;
    record->path = one_line(request.path, kPathBytesMax);
    record->at = now();
    record->bytes = request.body.size();
    return record;
}

std::optional<Arrival> Intake::arrive(std::string_view source, http::Request request,
                                      http::Respond respond, RefusalAnswer refusal) {
    const std::size_t bytes = request.body.size();
    metrics_.counter(metrics::kReceivedBytes, {{"source", std::string(source)}}).add(bytes);
    auto record = begin_record(source, request);
    auto remember = [self = shared_from_this(), record,
                     respond = std::move(respond)](http::Response answer) {
        record->status = answer.status;
        answer.headers.emplace_back("x-request-id", record->id);
        self->requests_.remember(record);
        respond(std::move(answer));
    };
    Arrival arrival{source, std::move(request), std::move(remember), std::move(refusal),
                    {},     std::move(record)};
    if (bytes > options_.body_bytes_max) {
        refuse(arrival, {413, "too_large",
                         fmt::format("the body is larger than {} bytes", options_.body_bytes_max)});
        return std::nullopt;
    }
    const std::size_t before = in_flight_bytes_.fetch_add(bytes);
    metrics_.gauge(metrics::kInFlightBytes).set(static_cast<double>(before + bytes));
    const auto give_back = [self = shared_from_this()](const std::size_t* held) {
        const std::size_t left = self->in_flight_bytes_.fetch_sub(*held) - *held;
        self->metrics_.gauge(metrics::kInFlightBytes).set(static_cast<double>(left));
        delete held;
    };
    arrival.room = Room(new std::size_t(bytes), give_back);
    if (before + bytes > options_.in_flight_bytes_max) {
        count_refused(source, "overloaded");
        arrival.record->outcome = "overloaded";
        arrival.respond(retry_later(arrival, "too many bytes are waiting to become durable"));
        return std::nullopt;
    }
    return arrival;
}

void Intake::refuse(Arrival& arrival, const Refusal& refusal) {
    const std::string reason = short_line(refusal.reason);
    arrival.record->outcome = refusal.label;
    arrival.record->reason = reason;
    count_refused(arrival.source, refusal.label);
    log_.warn("request refused", {{"source", std::string(arrival.source)},
                                  {"peer", arrival.request.remote},
                                  {"status", std::to_string(refusal.status)},
                                  {"reason", reason}});
    if (refusal.keep_body) keep(arrival, reason);
    http::Response response = arrival.refusal(refusal.status, reason);
    for (const auto& header : refusal.headers) response.headers.push_back(header);
    arrival.respond(std::move(response));
}

void Intake::append(Arrival arrival, std::vector<streams::Message> messages, std::size_t items,
                    http::Response success, std::function<void()> on_durable) {
    count(metrics::kAcceptedItems, arrival.source, 0);  // The series exists from the first request.
    const auto accepted = [self = shared_from_this(), items, success = std::move(success),
                           on_durable = std::move(on_durable)](const Arrival& done) {
        self->count(metrics::kAccepted, done.source);
        self->count(metrics::kAcceptedItems, done.source, items);
        done.record->outcome = "accepted";
        done.record->items = items;
        if (on_durable) on_durable();
        done.respond(success);
    };
    if (messages.empty()) {
        accepted(arrival);
        return;
    }
    for (auto& message : messages) {
        message.headers.emplace_back(kHeaderRequestId, arrival.record->id);
        auto& places = arrival.record->places;
        const bool same = !places.empty() && places.back().first == message.topic &&
                          places.back().second == message.key;
        if (!same && places.size() < kPlacesMax) places.emplace_back(message.topic, message.key);
    }
    const SteadyTime started = clock_.steady();
    bus_.append(std::move(messages), [self = shared_from_this(),
                                      arrival = std::make_shared<Arrival>(std::move(arrival)),
                                      accepted, started](const Status& status) {
        self->metrics_
            .histogram(metrics::kAppendSeconds, {{"source", std::string(arrival->source)}})
            .observe(seconds_between(started, self->clock_.steady()));
        if (status) {
            accepted(*arrival);
            return;
        }
        const bool invalid = status.error().kind == ErrorKind::kInvalid;
        if (invalid) {
            self->refuse(*arrival, {413, "too_large", status.error().message, false});
            return;
        }
        const bool full = status.error().kind == ErrorKind::kOverloaded;
        arrival->record->outcome = full ? "overloaded" : "unavailable";
        arrival->record->reason = short_line(status.error().message);
        self->count_refused(arrival->source, arrival->record->outcome);
        self->log_.warn("append failed", {{"source", std::string(arrival->source)},
                                          {"kind", std::string(to_string(status.error().kind))},
                                          {"error", status.error().message}});
        arrival->respond(self->retry_later(*arrival, "the log cannot take more now"));
    });
}

Status Intake::append_and_wait(std::string_view source, std::vector<streams::Message> messages,
                               std::size_t items) {
    const SteadyTime started = clock_.steady();
    VIGIE_TRY(streams::append_and_wait(bus_, std::move(messages)));
    metrics_.histogram(metrics::kAppendSeconds, {{"source", std::string(source)}})
        .observe(seconds_between(started, clock_.steady()));
    count(metrics::kAccepted, source);
    count(metrics::kAcceptedItems, source, items);
    return {};
}

void Intake::append_unasked(std::string_view source, std::vector<streams::Message> messages) {
    bus_.append(std::move(messages),
                [self = shared_from_this(), source = std::string(source)](const Status& status) {
                    if (status) return;
                    self->count_refused(source, "unavailable");
                    self->log_.error("an alert of our own was lost",
                                     {{"source", source}, {"error", status.error().message}});
                });
}

void Intake::keep(const Arrival& arrival, std::string_view reason) {
    const http::Request& request = arrival.request;
    streams::Message letter;
    letter.topic = topics::kDeadLetter;
    letter.key = arrival.source;
    letter.value = request.body.substr(0, options_.dead_letter_bytes_max);
    letter.event_time = now();
    letter.headers = {
        {std::string(topics::kHeaderReason), short_line(reason)},
        {std::string(topics::kHeaderOrigin),
         short_line(fmt::format("{} {} {}", request.remote, request.method, request.path))},
        {std::string(topics::kHeaderContentType), short_line(request.header("content-type"))}};
    letter.headers.emplace_back(kHeaderRequestId, arrival.record->id);
    if (const auto coding = request.header("content-encoding"); !coding.empty()) {
        letter.headers.emplace_back(topics::kHeaderContentEncoding, short_line(coding));
    }
    if (request.body.size() > letter.value.size()) {
        letter.headers.emplace_back("cut-from-bytes", std::to_string(request.body.size()));
    }
    arrival.record->places.emplace_back(letter.topic, letter.key);
    std::vector<streams::Message> letters;
    letters.push_back(std::move(letter));
    bus_.append(std::move(letters), [self = shared_from_this(), source = arrival.source,
                                     room = arrival.room](const Status& status) {
        self->count(status ? metrics::kDeadLetters : metrics::kDeadLettersLost, source);
        if (!status) {
            self->log_.error("dead letter lost",
                             {{"source", std::string(source)}, {"error", status.error().message}});
        }
    });
}

EventTime Intake::stamp(std::string_view source, EventTime newest) {
    const EventTime clock = now();
    const bool ahead = newest > clock + options_.ahead_max;
    const bool behind = newest < clock - options_.behind_max;
    if (ahead || behind) {
        metrics_
            .counter(metrics::kClampedTimes,
                     {{"source", std::string(source)}, {"direction", ahead ? "ahead" : "behind"}})
            .add();
        return clock;
    }
    return std::min(newest, clock);
}

EventTime Intake::now() const {
    return to_event_time(clock_.wall());
}

streams::Message Intake::event_message(std::string_view topic, std::string_view event_source,
                                       EventId id, schemas::EventData data) const {
    const EventTime at = now();
    const schemas::Event event{{std::move(id), std::string(event_source), at, options_.domain},
                               std::move(data)};
    const auto* const alert = std::get_if<schemas::Alert>(&event.data);
    return {.topic = std::string(topic),
            .key = options_.domain.value,
            .value = alert == nullptr ? schemas::encode(event)
                                      : schemas::encode_alert(event.meta, *alert),
            .headers = {{std::string(topics::kHeaderContentType), "application/cloudevents+json"},
                        {std::string(topics::kHeaderEventId), event.meta.id.value}},
            .event_time = at};
}

void Intake::count(const MetricName& name, std::string_view source, std::uint64_t n) {
    metrics_.counter(name, {{"source", std::string(source)}}).add(n);
}

http::Response Intake::retry_later(const Arrival& arrival, std::string_view reason) const {
    http::Response response = arrival.refusal(503, reason);
    response.held_back = options_.refusal_wait;
    response.headers.emplace_back("retry-after", std::to_string(options_.retry_after.count()));
    return response;
}

void Intake::count_refused(std::string_view source, std::string_view label) {
    metrics_
        .counter(metrics::kRefused,
                 {{"source", std::string(source)}, {"reason", std::string(label)}})
        .add();
}

Refusal refusal_of(const Error& error) {
    const bool limit = error.kind == ErrorKind::kRefused;
    return {limit ? 413 : 400, limit ? "too_large" : "body", error.message};
}

EventId event_id(std::string_view kind, std::string_view content) {
    return {fmt::format("{}-{}", kind, http::sha256_hex(content).substr(0, 24))};
}

std::string media_type(std::string_view content_type) {
    std::string type(content_type.substr(0, content_type.find(';')));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
    std::transform(type.begin(), type.end(), type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return type;
}

std::string peer_address(std::string_view remote) {
    return std::string(remote.substr(0, remote.rfind(':')));
}

}  // namespace vigie::ingest
