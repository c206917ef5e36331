// The console with a bus in memory and a few incidents, for the browser test of its page. Prints
// its port; then does what is asked on stdin, one word a line:
//   open      a new incident appears
//   replan    the plan that awaits approval is replaced by another
//   quit
// A decision that arrives is obeyed as the agent would: ack sets the owner, approve resolves.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "console/api.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/system_clock.h"
#include "http/router.h"
#include "http/server.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/runtime.h"
#include "tests/console/samples.h"

namespace {

using namespace vigie;
namespace topics = schemas::topics;
namespace samples = console::samples;

void append(streams::Bus& bus, streams::Message message) {
    std::vector<streams::Message> messages;
    messages.push_back(std::move(message));
    VIGIE_ASSERT(streams::append_and_wait(bus, std::move(messages)).has_value());
}

void obey(streams::Bus& bus, const console::Views& views, const streams::Record& record) {
    const auto event = schemas::decode(record.message.value);
    VIGIE_ASSERT(event.has_value());
    const auto& decision = std::get<schemas::Decision>(event->data);
    const auto shown = views.view()->find(decision.incident.value);
    if (shown == nullptr) return;
    schemas::Incident incident = *shown;
    if (decision.kind == schemas::DecisionKind::kApprove) {
        incident = samples::resolved(incident.id.value);
    }
    incident.owner = decision.actor;
    incident.timeline.push_back({event->meta.time, "decision",
                                 std::string(to_string(decision.kind)) +
                                     (decision.value.empty() ? "" : " " + decision.value) + " by " +
                                     decision.actor +
                                     (decision.reason.empty() ? "" : ": " + decision.reason),
                                 event->meta.id.value});
    append(bus, samples::incident_message(incident));
}

void follow(streams::Bus& bus, console::Views& views, const std::stop_token& stop) {
    streams::Offset decided = 0;
    while (!stop.stop_requested()) {
        const auto read =
            views.step({.records_max = 100, .wait_max = std::chrono::milliseconds{20}});
        VIGIE_ASSERT(read.has_value());
        const auto decisions =
            bus.read({std::string(topics::kDecisions), 0}, decided,
                     {.records_max = 100, .wait_max = std::chrono::milliseconds{0}});
        VIGIE_ASSERT(decisions.has_value());
        for (const auto& record : *decisions) {
            obey(bus, views, record);
            decided = record.offset + 1;
        }
    }
}

// The samples' times are of one day; an offer must still stand when the test runs.
schemas::Incident offer(std::string id) {
    auto incident = samples::awaiting_approval(std::move(id));
    incident.plan->expires_at = to_event_time(SystemClock{}.wall()) + std::chrono::hours{1};
    return incident;
}

void serve_commands(streams::Bus& bus) {
    int opened = 0;
    for (std::string word; std::cin >> word && word != "quit";) {
        if (word == "open") {
            auto incident = offer("inc-00000000010" + std::to_string(++opened));
            incident.state = schemas::IncidentState::kOpen;
            incident.severity = schemas::Severity::kWarning;
            incident.title = "disk of db-1 is almost full";
            incident.plan.reset();
            incident.diagnosis = {};
            append(bus, samples::incident_message(incident));
        } else if (word == "replan") {
            auto incident = offer("inc-000000000001");
            incident.plan->id = {"plan-999999999999"};
            incident.plan->title = "Roll checkout back to 1.4.1";
            append(bus, samples::incident_message(incident));
        }
    }
}

}  // namespace

// Arguments: the port (0: a free one), and a token or nothing.
int main(int argc, char** argv) {
    const int port = argc > 1 ? std::atoi(argv[1]) : 0;
    MetricsRegistry metrics;
    const auto log = make_stderr_log(LogLevel::kWarn);
    const SystemClock clock;
    streams::MemoryBus bus;
    std::vector<streams::TopicOptions> all;
    for (const auto topic : topics::kAll) all.push_back({.name = std::string(topic)});
    VIGIE_ASSERT(bus.ensure_topics(all).has_value());
    append(bus, samples::incident_message(offer("inc-000000000001")));
    append(bus, samples::incident_message(samples::hostile("inc-000000000002")));
    append(bus, samples::incident_message(samples::resolved("inc-000000000003")));
    console::Views views({}, bus, metrics, *log);
    console::Api::Options options;
    if (argc > 2) options.token = argv[2];
    console::Api api(options, views, bus, clock, metrics, *log);
    http::Router router;
    api.add_routes(router);
    const streams::Thread thread("views",
                                 [&](const std::stop_token& stop) { follow(bus, views, stop); });
    auto server = http::Server::start({.name = "console",
                                       .port = static_cast<std::uint16_t>(port),
                                       .websocket_path = std::string(console::kStreamPath),
                                       .on_websocket = api.websocket_handler()},
                                      router, metrics, *log);
    if (!server) {
        std::cerr << server.error().message << "\n";
        return 1;
    }
    std::cout << (*server)->port() << std::endl;
    serve_commands(bus);
    (*server)->drain(std::chrono::milliseconds{500});
    return 0;
}
