// Requests to the console's API. The first byte chooses the options; then a request line
// ("GET /api/v1/incidents?limit=3"), headers ("name: value"), an empty line, and the body.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "console/api.h"
#include "console/guard.h"
#include "http/url.h"
#include "schemas/json.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "tests/console/samples.h"
#include "tests/fuzz/event_checks.h"

namespace {

using namespace vigie;
using http::Request;
using http::Response;
using schemas::Json;
namespace topics = schemas::topics;

constexpr std::string_view kToken = "fuzz-token-that-no-answer-may-hold";

class StillClock final : public Clock {
public:
    WallTime wall() const override {
        return WallTime{
            std::chrono::duration_cast<std::chrono::milliseconds>(fuzz::kNow.time_since_epoch())};
    }
    SteadyTime steady() const override { return {}; }
};

// A console that has read two incidents.
struct Site {
    explicit Site(bool with_token)
        : api({.token = std::string(with_token ? kToken : std::string_view{}),
               .ready = {},
               .reload = [this]() -> Status { return ++reloads, Status{}; }},
              views, bus, clock, metrics, log) {
        const std::array<streams::TopicOptions, 3> all{{{.name = std::string(topics::kIncidents)},
                                                        {.name = std::string(topics::kAudit)},
                                                        {.name = std::string(topics::kDecisions)}}};
        VIGIE_ASSERT(bus.ensure_topics(all));
        namespace samples = console::samples;
        const auto append = [this](streams::Message message) {
            VIGIE_ASSERT(streams::append_and_wait(bus, {std::move(message)}));
        };
        append(samples::incident_message(samples::awaiting_approval("inc-1")));
        append(samples::incident_message(samples::resolved("inc-2")));
        append(samples::audit_message(1, "plan gated", "plan-0a1b2c3d4e5f", "for inc-1"));
        while (*views.step({.records_max = 100, .wait_max = std::chrono::milliseconds{0}}) > 0) {
        }
        VIGIE_ASSERT(views.view()->caught_up);
        api.add_routes(router);
    }

    std::size_t records(std::string_view topic) const { return bus.records(topic).size(); }

    StillClock clock;
    streams::MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    console::Views views{{}, bus, metrics, log};
    int reloads = 0;
    console::Api api;
    http::Router router;
};

std::string_view take_line(std::string_view& rest) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    return line;
}

std::optional<Request> request_of(std::string_view text) {
    Request request;
    const auto line = take_line(text);
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    auto target = http::parse_target(line.substr(blank + 1));
    if (!target) return std::nullopt;
    request.method = line.substr(0, blank);
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    request.target = std::move(target->raw);
    while (!text.empty()) {
        const auto header = take_line(text);
        if (header.empty()) break;
        const auto colon = header.find(": ");
        if (colon == std::string_view::npos) return std::nullopt;
        request.headers.emplace_back(header.substr(0, colon), header.substr(colon + 2));
    }
    request.body = text;
    request.remote = "127.0.0.1:5000";
    return request;
}

// What docs/reference/api.md promises of who may change something: 0 when the request may.
int refusal_by_definition(const Request& request, std::string_view token) {
    const std::string origin(request.header("origin"));
    const std::string host(request.header("host"));
    if (!origin.empty()) {
        const auto scheme = origin.find("://");
        if (scheme == std::string::npos || origin.substr(scheme + 3) != host) return 403;
        const std::string name = host.substr(0, host.find(':'));
        const bool numbers = name.find_first_not_of("0123456789.") == std::string::npos;
        const bool safe = host.starts_with("[") || name == "localhost" || (numbers && name != "");
        if (token.empty() && !safe) return 403;
    }
    const bool right = request.header("authorization") == "Bearer " + std::string(token);
    return token.empty() || right ? 0 : 401;
}

bool is_limit(std::string_view text) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    const auto first = std::min(text.find_first_not_of('0'), text.size());
    return digits && text.size() - first <= 4 && std::stoi("0" + std::string(text)) >= 1 &&
           std::stoi("0" + std::string(text)) <= 1000;
}

void check_list(const Request& request, const Response& answer) {
    const auto limit = request.query_value("limit");
    const auto state = std::string(request.query_value("state").value_or(""));
    constexpr std::array kStates{"",         "active",   "open",       "diagnosing",
                                 "acting",   "resolved", "escalated",  "verifying",
                                 "reviewed", "reopened", "suppressed", "awaiting_approval"};
    const bool good =
        (!limit || is_limit(*limit)) && std::ranges::find(kStates, state) != kStates.end();
    VIGIE_ASSERT(answer.status == (good ? 200 : 400));
    if (!good) return;
    const auto json = schemas::parse_json(answer.body).value_or(Json{});
    const auto matching = schemas::integer_at(json, "/matching").value_or(-1);
    const auto& incidents = json.at("incidents");
    VIGIE_ASSERT(static_cast<std::int64_t>(incidents.size()) <= matching && matching <= 2);
    VIGIE_ASSERT(!limit || incidents.size() <= std::stoul("0" + std::string(*limit)));
    for (const auto& incident : incidents) {
        const bool active = schemas::bool_at(incident, "/active").value_or(false);
        const auto is = schemas::string_at(incident, "/state");
        VIGIE_ASSERT(state.empty() || is == state || (state == "active" && active));
    }
}

void check_form(const Request& request, const Response& answer) {
    const auto type = answer.header("content-type");
    const bool ours = !type.starts_with("text/plain");
    VIGIE_ASSERT(!ours || !answer.header("content-security-policy").empty());
    if (type == "application/json") {
        const auto json = schemas::parse_json(answer.body);
        VIGIE_ASSERT(json);
        VIGIE_ASSERT((answer.status >= 400) == schemas::string_at(*json, "/error").has_value());
    }
    for (const auto& [name, value] : answer.headers) {
        VIGIE_ASSERT(http::is_token(name) && http::is_header_value(value));
    }
    const bool told = request.target.contains(kToken) || request.body.contains(kToken) ||
                      request.path.contains(kToken);
    VIGIE_ASSERT(told || !answer.body.contains(kToken));
}

void check(Site& site, const Request& request, std::string_view token) {
    const std::size_t decided = site.records(topics::kDecisions);
    const int reloads = site.reloads;
    int answers = 0;
    Response answer;
    site.router.dispatch(request, [&](Response response) {
        ++answers;
        answer = std::move(response);
    });
    VIGIE_ASSERT(answers == 1 && answer.status >= 200 && answer.status < 500);
    check_form(request, answer);

    const std::string route = request.method + " " + request.path;
    const bool decides = route == "POST /api/v1/decisions";
    const bool reloading = route == "POST /-/reload";
    const bool taken = decides && answer.status == 202;
    VIGIE_ASSERT(site.records(topics::kDecisions) == decided + (taken ? 1 : 0));
    VIGIE_ASSERT(site.reloads == reloads + (reloading && answer.status == 200 ? 1 : 0));
    if (decides || reloading) {
        const int refusal = refusal_by_definition(request, token);
        const bool refused = answer.status == 401 || answer.status == 403;
        VIGIE_ASSERT(refusal == 0 ? !refused : answer.status == refusal);
    } else {
        VIGIE_ASSERT(answer.status != 401 && answer.status != 403 && answer.status != 202);
    }
    if (taken) {
        const auto event =
            schemas::decode(site.bus.records(topics::kDecisions).back().message.value);
        VIGIE_ASSERT(event && std::holds_alternative<schemas::Decision>(event->data));
    }
    if (route == "GET /api/v1/incidents") check_list(request, answer);
}

}  // namespace

// A site outlives its inputs, so that each of them would be searched for leaks, which takes most of
// the time.
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool with_token = (data[0] & 1U) != 0;
    const auto request = request_of({reinterpret_cast<const char*>(data) + 1, size - 1});
    if (!request) return 0;
    static std::array<std::unique_ptr<Site>, 2> sites;
    static unsigned requests = 0;
    auto& site = sites.at(with_token ? 1 : 0);
    // A new one now and then: what it logs and records would grow without end.
    if (!site || requests++ % 1000 == 0) site = std::make_unique<Site>(with_token);
    check(*site, *request, with_token ? kToken : std::string_view{});
    return 0;
}
