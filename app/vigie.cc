#include "app/vigie.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "app/act_stage.h"
#include "app/metrics.h"
#include "app/migrate.h"
#include "app/outward.h"
#include "app/pipeline.h"
#include "app/section.h"
#include "console/alertmanager_api.h"
#include "console/api.h"
#include "console/guard.h"
#include "console/views.h"
#include "core/rng.h"
#include "core/step_guard.h"
#include "core/system_rng.h"
#include "http/frame_server.h"
#include "http/server.h"
#include "ingest/receivers.h"
#include "ingest/scrape.h"
#include "ingest/ticker.h"
#include "schemas/events.h"
#include "schemas/topics.h"
#include "streams/kafka/kafka_bus.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/runtime.h"

namespace vigie::app {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBeat{30'000};
constexpr milliseconds kAlertViewWait{250};
// Time stands still when no tick became durable for so long: the disk is full, for instance.
constexpr int kTickAgeTicks = 5;
constexpr milliseconds kTickAgeMin{10'000};
constexpr std::chrono::seconds kAgentBehindMax{60};
constexpr std::chrono::seconds kAgentLookInterval{1};
constexpr std::chrono::seconds kAgentSeenAgeMax{30};

Status make_folder(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("cannot create folder '{}': {}", path, error.message()));
    }
    // What Vigie knows of a site is not for everybody on its machine.
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    return {};
}

}  // namespace

// In the order in which they depend on each other: destroyed from last to first.
struct Vigie::Parts {
    Parts(Config config_in, std::string file, Log& log_in, const Clock& clock_in)
        : config(std::move(config_in)),
          config_file(std::move(file)),
          log(log_in),
          clock({}, clock_in) {}

    Status open();
    Status restore_kill_switch(bool existed) const;
    Status open_embedded();
    Status open_kafka();
    Status start_pipeline();
    Status start_servers();
    void start_scrapes();
    Status start_syslog();
    Result<std::unique_ptr<http::Server>> start_server(std::string name, const Listen& listen,
                                                       const http::Router& router);
    Status publish(const schemas::ActionEvent& event);
    Status publish_policy(const schemas::Policy& policy);
    Status write_postmortem(const IncidentId& incident, const std::string& markdown) const;
    Status reload();
    Status ready() const;
    Status agent_keeps_up() const;
    void run_views(const std::stop_token& stop);
    void run_alert_view(const std::stop_token& stop);
    void run_ticker(const std::stop_token& stop);
    void stop(milliseconds wait_max);

    const Config config;
    const std::string config_file;
    Log& log;
    const StepGuard clock;
    MetricsRegistry metrics;
    std::atomic<bool> stopping{false};
    std::mutex reload_mutex;  // One reload at a time.
    // What the view thread found last, so that a probe waits for no broker.
    mutable std::mutex agent_mutex;  // Protects the next two.
    Status agent_status = fail(ErrorKind::kUnavailable, "reading the log");
    SteadyTime agent_seen;

    std::unique_ptr<streams::Bus> bus;
    std::unique_ptr<Outward> outward;
    std::unique_ptr<streams::Runtime> runtime;
    std::unique_ptr<ingest::Receivers> receivers;
    std::unique_ptr<ingest::Ticker> ticker;
    std::unique_ptr<console::Views> views;
    std::unique_ptr<console::Api> api;
    std::unique_ptr<console::AlertView> alert_view;
    std::unique_ptr<console::AlertmanagerApi> alertmanager_api;
    http::Router api_router;
    http::Router otlp_router;
    http::Router alertmanager_router;
    std::unique_ptr<streams::Thread> view_thread;
    std::unique_ptr<streams::Thread> alert_view_thread;
    std::unique_ptr<streams::Thread> tick_thread;
    std::unique_ptr<http::Server> api_server;
    std::unique_ptr<http::Server> otlp_server;
    std::unique_ptr<http::Server> otlp_grpc_server;
    std::unique_ptr<http::Server> alertmanager_server;
    std::unique_ptr<http::FrameServer> syslog_server;
    std::unique_ptr<streams::Thread> syslog_thread;
    std::unique_ptr<ingest::KubernetesWatch> kubernetes_watch;
    std::unique_ptr<streams::Thread> kubernetes_thread;
    std::unique_ptr<ingest::Scraper> scraper;
    std::vector<std::unique_ptr<streams::Thread>> scrape_threads;
};

// A switch that disappeared from an existing installation counts as on, also after a restart.
// A new installation gets its switch before its log: a crash in between leaves no log without one.
Status Vigie::Parts::restore_kill_switch(bool existed) const {
    const std::string file = config.data + "/kill-switch";
    std::error_code error;
    if (std::filesystem::exists(file, error)) return {};
    if (existed) {
        log.error(
            "the kill switch was missing and is on now; 'vigie kill off' allows actions again",
            {{"file", file}});
    }
    return write_file(file, existed ? "on\n" : "off\n");
}

Status Vigie::Parts::open_embedded() {
    streams::rocks::RocksBus::Options options;
    options.path = config.data + "/bus";
    std::error_code error;
    VIGIE_TRY(restore_kill_switch(std::filesystem::exists(options.path, error)));
    options.sync = config.sync;
    VIGIE_TRY_ASSIGN(bus, streams::rocks::RocksBus::open(options, clock, metrics));
    return {};
}

// The installation is on the brokers: a data folder that is new beside it has lost its switch.
Status Vigie::Parts::open_kafka() {
    VIGIE_TRY(check_move(config.data));
    VIGIE_TRY_ASSIGN(bus, streams::kafka::KafkaBus::open(*config.kafka, clock, metrics, log));
    const auto signals = bus->partition_count(schemas::topics::kSignals);
    if (!signals && signals.error().kind != ErrorKind::kNotFound) return fail(signals.error());
    return restore_kill_switch(signals.has_value());
}

Status Vigie::Parts::open() {
    VIGIE_TRY(make_folder(config.data));
    VIGIE_TRY(make_folder(config.data + "/postmortems"));
    VIGIE_TRY(config.kafka ? open_kafka() : open_embedded());
    return bus->ensure_topics(make_topics(config.partitions, config.retention_bytes));
}

Status Vigie::Parts::start_pipeline() {
    VIGIE_TRY_ASSIGN(
        outward, Outward::create(
                     config.outward, config.data + "/kill-switch",
                     [this](const auto& event) { return publish(event); }, clock, metrics, log));
    Pipeline pipeline;
    pipeline.domain = config.domain;
    pipeline.detect = config.detect;
    pipeline.partitions = config.partitions;
    pipeline.foreign = {config.domain, config.foreign_topics, config.ingest.cloudevents,
                        config.ingest.intake.decode};
    pipeline.make_act_stage = [this] { return outward->make_act_stage(); };
    pipeline.make_notify_stage = [this] { return outward->make_notify_stage(); };
    pipeline.set_kill_switch = [this](bool on) { return outward->kill_switch().set(on); };
    pipeline.write_postmortem = [this](const IncidentId& incident, const std::string& markdown) {
        return write_postmortem(incident, markdown);
    };
    runtime = std::make_unique<streams::Runtime>(*bus, metrics, log, clock);
    for (auto& stage : make_stages(pipeline, metrics, clock)) runtime->start(std::move(stage));
    return publish_policy(config.policy);
}

Status Vigie::Parts::start_servers() {
    auto ways_in = config.ingest;
    ways_in.intake.process = fmt::format("{:04x}", system_seed() & 0xffffU);
    receivers = std::make_unique<ingest::Receivers>(std::move(ways_in), *bus, clock, metrics, log);
    ticker = std::make_unique<ingest::Ticker>(
        ingest::Ticker::Options{ticked_topics(), config.domain}, *bus, clock, metrics);
    views = std::make_unique<console::Views>(console::Views::Options{}, *bus, metrics, log);
    console::Api::Options options;
    options.domain = config.domain;
    options.token = config.api_token;
    options.ready = [this] { return ready(); };
    options.stop_actions = [this] { return outward->kill_switch().set(true); };
    options.reload = [this] { return reload(); };
    api = std::make_unique<console::Api>(options, *views, *bus, clock, metrics, log);

    alert_view = std::make_unique<console::AlertView>(console::AlertView::Options{}, *bus, clock,
                                                      metrics, log);
    console::AlertmanagerApi::Options alertmanager;
    alertmanager.domain = config.domain;
    alertmanager.token = config.api_token;
    alertmanager_api = std::make_unique<console::AlertmanagerApi>(alertmanager, *alert_view, *bus,
                                                                  clock, metrics, log);

    api->add_routes(api_router);
    receivers->add_remote_write(api_router);
    receivers->add_alertmanager_webhook(api_router);
    receivers->add_alert_webhooks(api_router);
    receivers->add_github(api_router);
    receivers->add_change_webhooks(api_router);
    receivers->add_generic(api_router);
    receivers->add_logs(api_router);
    receivers->add_heartbeat(api_router);
    receivers->add_explain(api_router);
    receivers->add_otlp(otlp_router);
    receivers->add_otlp_grpc(otlp_router);
    receivers->add_alertmanager(alertmanager_router);
    alertmanager_api->add_routes(alertmanager_router);

    view_thread = std::make_unique<streams::Thread>(
        "views", [this](const std::stop_token& stop) { run_views(stop); });
    if (config.alertmanager.enabled) {
        alert_view_thread = std::make_unique<streams::Thread>(
            "alert-view", [this](const std::stop_token& stop) { run_alert_view(stop); });
    }
    tick_thread = std::make_unique<streams::Thread>(
        "ticker", [this](const std::stop_token& stop) { run_ticker(stop); });
    VIGIE_TRY_ASSIGN(api_server, start_server("api", config.api, api_router));
    if (config.otlp.enabled) {
        VIGIE_TRY_ASSIGN(otlp_server, start_server("otlp", config.otlp, otlp_router));
    }
    if (config.otlp_grpc.enabled) {
        VIGIE_TRY_ASSIGN(otlp_grpc_server,
                         start_server("otlp_grpc", config.otlp_grpc, otlp_router));
    }
    if (config.alertmanager.enabled) {
        VIGIE_TRY_ASSIGN(alertmanager_server,
                         start_server("alertmanager", config.alertmanager, alertmanager_router));
    }
    if (auto expected = receivers->expected_heartbeats(); !expected.empty()) {
        VIGIE_TRY(streams::append_and_wait(*bus, std::move(expected)));
    }
    if (kubernetes_watch = receivers->make_kubernetes_watch(); kubernetes_watch) {
        kubernetes_thread = std::make_unique<streams::Thread>(
            "kubernetes", [this](const std::stop_token& stop) { kubernetes_watch->run(stop); });
    }
    start_scrapes();
    return start_syslog();
}

void Vigie::Parts::start_scrapes() {
    scraper = receivers->make_scraper(config.scrape);
    if (!scraper) return;
    for (unsigned i = 0; i < scraper->threads(); ++i) {
        scrape_threads.push_back(std::make_unique<streams::Thread>(
            "scrape", [this](const std::stop_token& stop) { scraper->run(stop); }));
    }
}

Status Vigie::Parts::start_syslog() {
    const auto wanted = [](const Listen& listen) -> std::optional<http::FrameServer::Address> {
        if (!listen.enabled) return std::nullopt;
        return http::FrameServer::Address{listen.address, listen.port};
    };
    http::FrameServer::Options options;
    options.name = "syslog";
    options.udp = wanted(config.syslog_udp);
    options.tcp = wanted(config.syslog_tcp);
    options.tls = wanted(config.syslog_tls);
    options.tls_files = config.tls;
    if (!options.udp && !options.tcp && !options.tls) return {};
    const auto deliver = [this](const std::vector<std::string>& frames, std::string remote,
                                http::FrameServer::Done done) {
        receivers->receive_syslog(frames, std::move(remote), std::move(done));
    };
    VIGIE_TRY_ASSIGN(syslog_server, http::FrameServer::open(options, deliver, metrics, log));
    syslog_thread = std::make_unique<streams::Thread>(
        "syslog", [this](const std::stop_token& stop) { syslog_server->run(stop); });
    return {};
}

Result<std::unique_ptr<http::Server>> Vigie::Parts::start_server(std::string name,
                                                                 const Listen& listen,
                                                                 const http::Router& router) {
    http::Server::Options options;
    options.name = std::move(name);
    options.address = listen.address;
    options.port = listen.port;
    options.tls = config.tls;
    options.body_bytes_max = config.ingest.intake.body_bytes_max;
    options.http2 = &router == &otlp_router;
    options.http2_bounds = config.http2;
    if (&router == &api_router) {
        // Without a token it listens on loopback, where only a page of another site could come by
        // a name.
        if (config.api_token.empty()) options.host_allowed = console::is_address_or_localhost;
        options.websocket_path = console::kStreamPath;
        options.on_websocket = api->websocket_handler();
    }
    const std::string option = "listen." + options.name;
    auto started = http::Server::start(std::move(options), router, metrics, log);
    if (!started && started.error().kind == ErrorKind::kConflict) {
        started.error().message +=
            fmt::format(" (configuration: {}{})", option, &router == &api_router ? "" : ", or off");
    }
    return started;
}

Status Vigie::Parts::publish(const schemas::ActionEvent& event) {
    const auto message = action_message(event, config.domain, to_event_time(clock.wall()));
    return streams::append_and_wait(*bus, {message});
}

Status Vigie::Parts::publish_policy(const schemas::Policy& policy) {
    const EventTime now = to_event_time(clock.wall());
    // The time is part of the id: going back to an older policy is a new event.
    const schemas::EventMeta meta{
        stable_event_id("policy-",
                        fmt::format("{}/{}", micros_of(now), schemas::encode_policy(policy))),
        "/app", now, config.domain};
    return streams::append_and_wait(*bus, {{std::string(schemas::topics::kDecisions),
                                            config.domain.value,
                                            schemas::encode({meta, policy}),
                                            {},
                                            now}});
}

Status Vigie::Parts::write_postmortem(const IncidentId& incident,
                                      const std::string& markdown) const {
    // Ids are ours, but they became a file name by way of the log: keep only what ids have.
    std::string name;
    for (const char c : incident.value) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        name += plain ? c : '_';
    }
    return write_file(fmt::format("{}/postmortems/{}.md", config.data, name), markdown);
}

Status Vigie::Parts::reload() {
    const std::scoped_lock lock(reload_mutex);
    auto loaded = load_config(config_file);
    if (!loaded) {
        for (const std::string& line : loaded.error().lines) {
            log.warn("configuration refused, the old one stays", {{"reason", line}});
        }
        return fail(ErrorKind::kInvalid, fmt::format("{}", fmt::join(loaded.error().lines, "\n")));
    }
    VIGIE_TRY(publish_policy(loaded->policy));
    log.info("configuration reloaded", {{"file", config_file},
                                        {"applied", "agent, runbooks, inventory"},
                                        {"needs_restart", "all other sections"}});
    return {};
}

Status Vigie::Parts::ready() const {
    if (stopping) return fail(ErrorKind::kUnavailable, "stopping");
    if (!runtime->healthy()) return fail(ErrorKind::kUnavailable, "a stage is not running");
    if (!views->view()->caught_up) return fail(ErrorKind::kUnavailable, "reading the log");
    VIGIE_TRY(clock.check());
    {
        const std::scoped_lock lock(agent_mutex);
        VIGIE_TRY(agent_status);
        if (clock.steady() - agent_seen > kAgentSeenAgeMax) {
            return fail(ErrorKind::kUnavailable, "the log does not answer");
        }
    }
    return ticker->check_time_moves(kTickAgeTicks * config.tick + kTickAgeMin);
}

// What it has not read yet it cannot page about.
Status Vigie::Parts::agent_keeps_up() const {
    const streams::Partition signals{std::string(schemas::topics::kSignals), 0};
    VIGIE_TRY_ASSIGN(const auto range, bus->range(signals));
    VIGIE_TRY_ASSIGN(const auto position, bus->group_position("agent", signals));
    if (position >= range.end) return {};
    VIGIE_TRY_ASSIGN(const auto next, bus->read(signals, position, {1, milliseconds{0}}));
    if (next.empty()) return {};
    const auto behind = to_event_time(clock.wall()) - next.front().message.event_time;
    if (behind <= kAgentBehindMax) return {};
    return fail(ErrorKind::kUnavailable,
                fmt::format("the agent is {} behind: it reads offset {} of {}",
                            to_string(std::chrono::duration_cast<std::chrono::seconds>(behind)),
                            position, range.end));
}

void Vigie::Parts::run_views(const std::stop_token& stop) {
    SteadyTime last_beat = clock.steady();
    SteadyTime look_at = last_beat;
    while (!stop.stop_requested()) {
        if (const auto done = views->step({500, milliseconds{100}}); !done) {
            log.warn("console view cannot read the log", {{"reason", done.error().message}});
            streams::wait_for(milliseconds{500}, stop);
        }
        if (clock.steady() >= look_at) {
            Status status = agent_keeps_up();
            const std::scoped_lock lock(agent_mutex);
            agent_status = std::move(status);
            agent_seen = clock.steady();
            look_at = agent_seen + kAgentLookInterval;
        }
        if (clock.steady() - last_beat >= kBeat) {
            api->beat();
            last_beat = clock.steady();
        }
    }
}

void Vigie::Parts::run_alert_view(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        if (const auto done = alert_view->step(kAlertViewWait); !done) {
            log.warn("the view of alerts cannot read the log", {{"reason", done.error().message}});
            streams::wait_for(milliseconds{500}, stop);
        }
    }
}

void Vigie::Parts::run_ticker(const std::stop_token& stop) {
    Gauge& kill_switch_on = metrics.gauge(kKillSwitchOn);
    while (!stop.stop_requested()) {
        if (const auto ticked = ticker->tick(); !ticked) {
            log.warn("time does not move: a tick was not written",
                     {{"reason", ticked.error().message}});
        }
        receivers->tick();
        kill_switch_on.set(outward->kill_switch().check_off() ? 0 : 1);
        streams::wait_for(config.tick, stop);
    }
}

void Vigie::Parts::stop(milliseconds wait_max) {
    if (stopping.exchange(true)) return;
    // One deadline for all servers together.
    const SteadyTime deadline = clock.steady() + wait_max;
    for (http::Server* server :
         {otlp_server.get(), otlp_grpc_server.get(), alertmanager_server.get(), api_server.get()}) {
        if (server == nullptr) continue;
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock.steady());
        server->drain(std::max(left, milliseconds{0}));
    }
    kubernetes_thread.reset();
    for (auto& thread : scrape_threads) thread->request_stop();
    scrape_threads.clear();
    syslog_thread.reset();
    tick_thread.reset();
    view_thread.reset();
    alert_view_thread.reset();
    if (runtime) runtime->stop();
    // Outcomes of calls under way are still published.
    if (outward) outward->stop();
    runtime.reset();
    // Answers the appends that still wait, while all that their answers use is there.
    bus.reset();
}

Vigie::Vigie(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Vigie::~Vigie() {
    stop(milliseconds{0});
}

Result<std::unique_ptr<Vigie>> Vigie::start(Config config, std::string config_file, Log& log,
                                            const Clock& clock) {
    auto parts = std::make_unique<Parts>(std::move(config), std::move(config_file), log, clock);
    std::unique_ptr<Vigie> vigie(new Vigie(std::move(parts)));
    VIGIE_TRY(vigie->parts_->open());
    VIGIE_TRY(vigie->parts_->start_pipeline());
    VIGIE_TRY(vigie->parts_->start_servers());
    return vigie;
}

Vigie::Ports Vigie::ports() const {
    Ports ports;
    ports.api = parts_->api_server->port();
    if (parts_->otlp_server) ports.otlp = parts_->otlp_server->port();
    if (parts_->otlp_grpc_server) ports.otlp_grpc = parts_->otlp_grpc_server->port();
    if (parts_->alertmanager_server) ports.alertmanager = parts_->alertmanager_server->port();
    return ports;
}

Status Vigie::reload() {
    return parts_->reload();
}

void Vigie::stop(milliseconds wait_max) {
    parts_->stop(wait_max);
}

}  // namespace vigie::app
