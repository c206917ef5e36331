#include "console/alertmanager_api.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "console/alert_filter.h"
#include "console/guard.h"
#include "console/metrics.h"
#include "console/silence_request.h"
#include "http/signature.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace vigie::console {

namespace topics = schemas::topics;
using http::Request;
using http::Respond;
using http::Response;
using schemas::Json;

namespace {

// How long an alert without an end of its own is promised to live: until somebody resolves it.
constexpr std::chrono::seconds kNextEnd{300};

Response error(int status, std::string_view reason) {
    return Response::json(status, schemas::dump_json(Json(std::string(reason))));
}

Response json(const Json& body) {
    return Response::json(200, schemas::dump_json(body));
}

Json texts(const schemas::Labels& labels) {
    Json object = Json::object();
    for (const auto& [name, value] : labels) object[name] = value;
    return object;
}

Json render(const std::string& fingerprint, const KnownAlert& known,
            const std::vector<std::string>& silenced_by, const std::string& receiver,
            EventTime now) {
    const auto& alert = known.alert;
    return {{"annotations", texts(alert.annotations)},
            {"endsAt", to_rfc3339(alert.ends_at.value_or(now + kNextEnd))},
            {"fingerprint", fingerprint},
            {"generatorURL", alert.url},
            {"labels", texts(alert.labels)},
            {"receivers", Json::array({{{"name", receiver}}})},
            {"startsAt", to_rfc3339(alert.starts_at)},
            {"status",
             {{"inhibitedBy", Json::array()},
              {"silencedBy", silenced_by},
              {"state", silenced_by.empty() ? "active" : "suppressed"}}},
            {"updatedAt", to_rfc3339(known.updated_at)}};
}

std::string_view to_string(SilenceState state) {
    switch (state) {
        case SilenceState::kPending: return "pending";
        case SilenceState::kActive: return "active";
        case SilenceState::kExpired: return "expired";
    }
    return "";
}

Json render(const schemas::Silence& silence, EventTime now) {
    Json matchers = Json::array();
    for (const auto& matcher : schemas::matchers_of(silence)) {
        matchers.push_back({{"name", matcher.name},
                            {"value", matcher.value},
                            {"isRegex", matcher.regex},
                            {"isEqual", matcher.equal}});
    }
    return {{"id", silence.id},
            {"comment", silence.reason},
            {"createdBy", silence.owner},
            {"startsAt", to_rfc3339(silence.starts_at)},
            {"endsAt", to_rfc3339(silence.until)},
            {"updatedAt", to_rfc3339(silence.updated_at)},
            {"matchers", std::move(matchers)},
            {"status", {{"state", to_string(state_of(silence, now))}}}};
}

// Those in force first, the next to end in front; then those to come; then what is over.
auto order_of(const schemas::Silence& silence, EventTime now) {
    const auto state = state_of(silence, now);
    const auto rank = state == SilenceState::kActive ? 0 : state == SilenceState::kPending ? 1 : 2;
    const auto time = state == SilenceState::kPending ? silence.starts_at : silence.until;
    return std::tuple(rank, (rank == 2 ? -1 : 1) * micros_of(time), silence.id);
}

// As Alertmanager chooses silences: a filter is met by a matcher of that name whose value meets
// it, or by there being none when it asks for another value.
bool chosen(const schemas::Silence& silence, std::span<const schemas::Matcher> filter) {
    schemas::Labels labels;
    std::string entity;
    for (const auto& matcher : schemas::matchers_of(silence)) {
        if (matcher.name == schemas::kEntityLabel) entity = matcher.value;
        labels.emplace_back(matcher.name, matcher.value);
    }
    std::ranges::sort(labels);
    const auto set = schemas::MatcherSet::compile(filter);
    return set && set->matches(labels, entity);
}

// A configuration that amtool understands: the one route there is.
std::string original_of(const AlertmanagerApi::Options& options) {
    std::string text = "# Vigie decides itself who is told: see its own configuration.\nroute:\n";
    text += fmt::format("  receiver: {}\n  group_by: [{}]\n", options.receiver,
                        fmt::join(options.group_by, ", "));
    return text + fmt::format("receivers:\n- name: {}\n", options.receiver);
}

}  // namespace

AlertmanagerApi::AlertmanagerApi(Options options, AlertView& view, streams::Bus& bus,
                                 const Clock& clock, MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      view_(view),
      bus_(bus),
      metrics_(metrics),
      log_(log),
      started_(to_event_time(clock.wall())) {}

void AlertmanagerApi::add_routes(http::Router& router) {
    const auto add = [&](const char* method, const char* path, Method handle) {
        router.add(method, path, [this, handle](const Request& request, const Respond& respond) {
            (this->*handle)(request, [respond](Response response) {
                add_security_headers(response);
                respond(std::move(response));
            });
        });
    };
    add("GET", "/api/v2/alerts", &AlertmanagerApi::alerts);
    add("GET", "/api/v2/alerts/groups", &AlertmanagerApi::groups);
    add("GET", "/api/v2/silences", &AlertmanagerApi::silences);
    add("POST", "/api/v2/silences", &AlertmanagerApi::set_silence);
    add("GET", "/api/v2/silence/{id}", &AlertmanagerApi::silence);
    add("DELETE", "/api/v2/silence/{id}", &AlertmanagerApi::end_silence);
    add("GET", "/api/v2/receivers", &AlertmanagerApi::receivers);
    add("GET", "/api/v2/status", &AlertmanagerApi::status);
}

void AlertmanagerApi::ask(const Respond& respond, AlertView::Question question) {
    const auto asked = view_.ask([this, respond, question = std::move(question)](
                                     const Result<const AlertBook*>& book, EventTime now) {
        if (!book) {
            log_.warn("a question about alerts cannot be answered",
                      {{"error", book.error().message}});
            respond(retry_later("the log cannot be read now"));
            return;
        }
        question(book, now);
    });
    if (!asked) respond(retry_later(asked.error().message));
}

Response AlertmanagerApi::retry_later(std::string_view reason) const {
    auto response = error(503, reason);
    response.headers.emplace_back("retry-after", std::to_string(options_.retry_after.count()));
    return response;
}

void AlertmanagerApi::alerts(const Request& request, const Respond& respond) {
    auto filter = AlertFilter::parse(request);
    if (!filter) return respond(error(400, filter.error().message));
    ask(respond, [this, respond, filter = *std::move(filter)](const auto& book, EventTime now) {
        const ActiveSilences silences(**book, now);
        Json list = Json::array();
        for (const auto& [fingerprint, known] : (*book)->alerts()) {
            if (!filter.wants_receiver(options_.receiver) || !fires(known.alert, now)) continue;
            const auto silenced_by = silences.of(known.alert);
            if (!filter.passes(known.alert, !silenced_by.empty())) continue;
            list.push_back(render(fingerprint, known, silenced_by, options_.receiver, now));
        }
        respond(json(list));
    });
}

void AlertmanagerApi::groups(const Request& request, const Respond& respond) {
    auto filter = AlertFilter::parse(request);
    if (!filter) return respond(error(400, filter.error().message));
    ask(respond, [this, respond, filter = *std::move(filter)](const auto& book, EventTime now) {
        const ActiveSilences silences(**book, now);
        std::map<schemas::Labels, Json> groups;
        for (const auto& [fingerprint, known] : (*book)->alerts()) {
            if (!filter.wants_receiver(options_.receiver) || !fires(known.alert, now)) continue;
            const auto silenced_by = silences.of(known.alert);
            if (!filter.passes(known.alert, !silenced_by.empty())) continue;
            schemas::Labels labels;
            for (const auto& name : options_.group_by) {
                const auto value = schemas::label(known.alert.labels, name);
                if (!value.empty()) labels.emplace_back(name, value);
            }
            groups[labels].push_back(
                render(fingerprint, known, silenced_by, options_.receiver, now));
        }
        Json list = Json::array();
        for (auto& [labels, members] : groups) {
            list.push_back({{"alerts", std::move(members)},
                            {"labels", texts(labels)},
                            {"receiver", {{"name", options_.receiver}}}});
        }
        respond(json(list));
    });
}

void AlertmanagerApi::silences(const Request& request, const Respond& respond) {
    auto filter = filter_matchers(request);
    if (!filter) return respond(error(400, filter.error().message));
    ask(respond, [respond, filter = *std::move(filter)](const auto& book, EventTime now) {
        std::vector<const schemas::Silence*> found;
        for (const auto& [id, silence] : (*book)->silences()) {
            if (chosen(silence, filter)) found.push_back(&silence);
        }
        std::ranges::sort(found, {},
                          [now](const auto* silence) { return order_of(*silence, now); });
        Json list = Json::array();
        for (const auto* silence : found) list.push_back(render(*silence, now));
        respond(json(list));
    });
}

void AlertmanagerApi::silence(const Request& request, const Respond& respond) {
    ask(respond, [respond, id = request.path_parts.front()](const auto& book, EventTime now) {
        const auto found = (*book)->silences().find(id);
        const bool known = found != (*book)->silences().end();
        respond(known ? json(render(found->second, now)) : error(404, "silence not found"));
    });
}

bool AlertmanagerApi::may_change(const Request& request, const Respond& respond) {
    auto refusal = refusal_of_change(request, options_.token);
    if (!refusal) return true;
    metrics_.counter(metrics::kDecisionsRefused, {{"status", std::to_string(refusal->status)}})
        .add();
    log_.warn("silence refused",
              {{"peer", request.remote}, {"status", std::to_string(refusal->status)}});
    respond(*std::move(refusal));
    return false;
}

void AlertmanagerApi::set_silence(const Request& request, const Respond& respond) {
    if (!may_change(request, respond)) return;
    const auto type = request.header("content-type");
    if (type.substr(0, type.find(';')) != "application/json") {
        return respond(error(415, "the content type is not application/json"));
    }
    if (request.body.size() > options_.silence_bytes_max) {
        return respond(error(413, "the silence is too long"));
    }
    ask(respond, [this, respond, body = request.body](const auto& book, EventTime now) {
        const auto posted = parse_silence(body, now);
        if (!posted) return respond(error(400, posted.error().message));
        auto made = decide_silence(*posted, **book, now);
        if (!made) {
            const bool unknown = made.error().kind == ErrorKind::kNotFound;
            return respond(error(unknown ? 404 : 400, made.error().message));
        }
        auto success = json({{"silenceID", made->id}});
        decide(*std::move(made), now, std::move(success), respond);
    });
}

void AlertmanagerApi::end_silence(const Request& request, const Respond& respond) {
    if (!may_change(request, respond)) return;
    ask(respond, [this, respond, id = request.path_parts.front(), peer = request.remote](
                     const auto& book, EventTime now) {
        auto made = decide_end(id, "Alertmanager API at " + peer, **book, now);
        if (!made) {
            // Alertmanager says 500 of one that has ended, and its tools know that.
            const bool unknown = made.error().kind == ErrorKind::kNotFound;
            return respond(error(unknown ? 404 : 500, made.error().message));
        }
        decide(*std::move(made), now, {200, {}, ""}, respond);
    });
}

void AlertmanagerApi::decide(SilenceDecisions made, EventTime now, Response success,
                             const Respond& respond) {
    std::vector<streams::Message> messages;
    for (auto& decision : made.decisions) {
        // Equal for nothing but the same decision at the same moment.
        const EventId id{fmt::format(
            "decision-{}", http::sha256_hex(fmt::format("{}|{}|{}|{}", micros_of(now), made.id,
                                                        messages.size(), decision.reason))
                               .substr(0, 24))};
        messages.push_back(
            {.topic = std::string(topics::kDecisions),
             .key = options_.domain.value,
             .value = schemas::encode(
                 {{id, "/console/alertmanager", now, options_.domain}, std::move(decision)}),
             .headers = {{std::string(topics::kHeaderContentType), "application/cloudevents+json"}},
             .event_time = now});
    }
    bus_.append(
        std::move(messages), [this, respond, success = std::move(success)](const Status& status) {
            if (!status) {
                log_.error("silence not recorded", {{"error", status.error().message}});
                return respond(retry_later("the silence could not be recorded: send it again"));
            }
            metrics_.counter(metrics::kDecisions, {{"kind", "silence"}}).add();
            respond(success);
        });
}

void AlertmanagerApi::receivers(const Request& /*request*/, const Respond& respond) {
    respond(json(Json::array({{{"name", options_.receiver}}})));
}

void AlertmanagerApi::status(const Request& /*request*/, const Respond& respond) {
    // The version is that of the API that is spoken, for clients that choose by it.
    respond(json({{"cluster", {{"status", "disabled"}, {"peers", Json::array()}}},
                  {"config", {{"original", original_of(options_)}}},
                  {"uptime", to_rfc3339(started_)},
                  {"versionInfo",
                   {{"version", "0.25.0+vigie"},
                    {"revision", ""},
                    {"branch", ""},
                    {"buildUser", ""},
                    {"buildDate", ""},
                    {"goVersion", ""}}}}));
}

}  // namespace vigie::console
