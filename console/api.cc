#include "console/api.h"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "console/decision.h"
#include "console/guard.h"
#include "console/metrics.h"
#include "console/page.h"
#include "console/render.h"
#include "http/signature.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace vigie::console {

namespace topics = schemas::topics;
using http::Request;
using http::Respond;
using http::Response;

namespace {

constexpr std::size_t kLimitDefault = 100;
constexpr std::size_t kLimitMax = 1000;
constexpr std::size_t kDecisionBytesMax = 16 * 1024;

Response error(int status, std::string_view reason) {
    return Response::json(status, render_error(reason));
}

std::optional<std::size_t> parse_limit(std::string_view text) {
    std::size_t limit = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return limit >= 1 && limit <= kLimitMax ? std::optional(limit) : std::nullopt;
}

int status_of(ErrorKind kind) {
    if (kind == ErrorKind::kNotFound) return 404;
    return kind == ErrorKind::kConflict ? 409 : 400;
}

bool is_json(std::string_view content_type) {
    return content_type.substr(0, content_type.find(';')) == "application/json";
}

// Two decisions of the same content are two decisions when they were made at two moments.
EventId decision_id(std::string_view body, EventTime at) {
    return {fmt::format("decision-{}",
                        http::sha256_hex(fmt::format("{}|{}", micros_of(at), body)).substr(0, 24))};
}

}  // namespace

Api::Api(Options options, Views& views, streams::Bus& bus, const Clock& clock,
         MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      views_(views),
      bus_(bus),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      hub_(views, metrics) {
    views_.on_change([this](std::span<const IncidentPtr> changed) { hub_.announce(changed); });
}

http::WebSocketHandler Api::websocket_handler() {
    return [this](const std::shared_ptr<http::WebSocket>& client) { hub_.add(client); };
}

void Api::add_routes(http::Router& router) {
    const auto add = [&](const char* method, const char* path, Method handle) {
        router.add(method, path, [this, handle](const Request& request, const Respond& respond) {
            (this->*handle)(request, [respond](Response response) {
                add_security_headers(response);
                respond(std::move(response));
            });
        });
    };
    add("GET", "/api/v1/incidents", &Api::list);
    add("GET", "/api/v1/incidents/{id}", &Api::show);
    add("GET", "/api/v1/explain/{id}", &Api::explain);
    add("GET", "/api/v1/postmortems/{id}", &Api::postmortem);
    add("POST", "/api/v1/decisions", &Api::decide);
    add("GET", "/metrics", &Api::metrics);
    add("GET", "/-/healthy", &Api::healthy);
    add("GET", "/-/ready", &Api::ready);
    add("POST", "/-/reload", &Api::reload);
    add_page(router);
}

void Api::list(const Request& request, const Respond& respond) {
    const std::string_view state = request.query_value("state").value_or("");
    if (!is_state_filter(state)) {
        respond(error(400, "state is not active or the name of a state, such as open or resolved"));
        return;
    }
    std::size_t limit = kLimitDefault;
    if (const auto text = request.query_value("limit")) {
        const auto parsed = parse_limit(*text);
        if (!parsed) {
            respond(error(400, fmt::format("limit is not a number from 1 to {}", kLimitMax)));
            return;
        }
        limit = *parsed;
    }
    respond(Response::json(200, render_incidents(*views_.view(), state, limit)));
}

void Api::show(const Request& request, const Respond& respond) {
    const std::string& id = request.path_parts.front();
    const auto incident = views_.view()->find(id);
    respond(incident ? Response::json(200, render_incident(*incident))
                     : error(404, fmt::format("there is no incident {}", id)));
}

void Api::explain(const Request& request, const Respond& respond) {
    const std::string& id = request.path_parts.front();
    auto explanation = render_explanation(*views_.view(), id);
    respond(explanation ? Response::json(200, *std::move(explanation))
                        : error(404, fmt::format("nothing is known about {}", id)));
}

void Api::postmortem(const Request& request, const Respond& respond) {
    const std::string& id = request.path_parts.front();
    const auto incident = views_.view()->find(id);
    if (!incident) {
        respond(error(404, fmt::format("there is no incident {}", id)));
    } else if (incident->postmortem.empty()) {
        respond(error(404, fmt::format("incident {} has no post-mortem yet: it is written when the "
                                       "incident is resolved",
                                       id)));
    } else {
        respond({200, {{"content-type", "text/markdown; charset=utf-8"}}, incident->postmortem});
    }
}

void Api::decide(const Request& request, const Respond& respond) {
    if (auto refusal = refusal_of_change(request, options_.token)) {
        metrics_.counter(metrics::kDecisionsRefused, {{"status", std::to_string(refusal->status)}})
            .add();
        log_.warn("decision refused",
                  {{"peer", request.remote}, {"status", std::to_string(refusal->status)}});
        respond(*std::move(refusal));
        return;
    }
    if (!is_json(request.header("content-type"))) {
        refuse_decision(respond, 415, "the content type is not application/json");
        return;
    }
    if (request.body.size() > kDecisionBytesMax) {
        refuse_decision(respond, 413, "the decision is too long");
        return;
    }
    const EventTime now = to_event_time(clock_.wall());
    auto decision = parse_decision(request.body, *views_.view(), now);
    if (!decision) {
        refuse_decision(respond, status_of(decision.error().kind), decision.error().message);
        return;
    }
    const bool stopped = stop_actions(*decision);
    const std::string kind(schemas::to_string(decision->kind));
    const EventId id = decision_id(request.body, now);
    std::vector<streams::Message> messages{
        {.topic = std::string(topics::kDecisions),
         .key = options_.domain.value,
         .value = schemas::encode({{id, "/console", now, options_.domain}, *std::move(decision)}),
         .headers = {{std::string(topics::kHeaderContentType), "application/cloudevents+json"}},
         .event_time = now}};
    bus_.append(std::move(messages), [this, respond, id, kind, stopped](const Status& status) {
        if (!status) {
            log_.error("decision not recorded", {{"error", status.error().message}});
            auto response = error(503, stopped ? "every action is stopped, but that could not be "
                                                 "recorded: send it again"
                                               : "the decision could not be recorded: send it "
                                                 "again");
            response.headers.emplace_back("retry-after",
                                          std::to_string(options_.retry_after.count()));
            respond(std::move(response));
            return;
        }
        metrics_.counter(metrics::kDecisions, {{"kind", kind}}).add();
        respond(Response::json(202, schemas::dump_json(schemas::Json{{"id", id.value}})));
    });
}

// The red button does not wait for the log, which may be the very thing that is broken.
bool Api::stop_actions(const schemas::Decision& decision) {
    const bool asked = decision.kind == schemas::DecisionKind::kKill && decision.value == "on";
    if (!asked || !options_.stop_actions) return false;
    const Status done = options_.stop_actions();
    if (!done) log_.error("kill switch not set", {{"error", done.error().message}});
    return done.has_value();
}

void Api::refuse_decision(const Respond& respond, int status, std::string_view reason) {
    metrics_.counter(metrics::kDecisionsRefused, {{"status", std::to_string(status)}}).add();
    respond(error(status, reason));
}

void Api::metrics(const Request& /*request*/, const Respond& respond) {
    respond(
        {200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_.expose()});
}

void Api::healthy(const Request& /*request*/, const Respond& respond) {
    respond(Response::text(200, "OK"));
}

void Api::ready(const Request& /*request*/, const Respond& respond) {
    const Status status = options_.ready ? options_.ready() : Status{};
    respond(status ? Response::text(200, "OK") : Response::text(503, status.error().message));
}

void Api::reload(const Request& request, const Respond& respond) {
    if (auto refusal = refusal_of_change(request, options_.token)) {
        respond(*std::move(refusal));
        return;
    }
    if (!options_.reload) {
        respond(error(404, "this Vigie has no configuration to read again"));
        return;
    }
    const Status status = options_.reload();
    respond(status ? Response::text(200, "OK") : error(500, status.error().message));
}

}  // namespace vigie::console
