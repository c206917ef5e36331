#include <pthread.h>
#include <csignal>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/config.h"
#include "app/scrape_config.h"
#include "app/version.h"
#include "app/vigie.h"
#include "core/system_clock.h"

namespace vigie::app {

namespace {

// Blocks the signals that serve() waits for, in this thread and all that it starts.
sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return set;
}

void print_errors(const ConfigErrors& errors) {
    for (const std::string& line : errors.lines) fmt::print(stderr, "{}\n", line);
}

std::string url(const Listen& listen, std::uint16_t port, bool tls) {
    const bool v6 = listen.address.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", tls ? "https" : "http", v6 ? "[" : "", listen.address,
                       v6 ? "]" : "", port);
}

void announce(const Config& config, const Vigie::Ports& ports, Log& log) {
    const bool tls = config.tls.has_value();
    log.info(
        "vigie is running",
        {{"version", std::string(kVersion)},
         {"console", url(config.api, ports.api, tls)},
         {"otlp", ports.otlp == 0 ? "off" : url(config.otlp, ports.otlp, tls)},
         {"otlp_grpc", ports.otlp_grpc == 0 ? "off" : url(config.otlp_grpc, ports.otlp_grpc, tls)},
         {"alertmanager",
          ports.alertmanager == 0 ? "off" : url(config.alertmanager, ports.alertmanager, tls)},
         {"data", config.data}});
    for (const auto& [name, listen] :
         {std::pair{"otlp", &config.otlp}, std::pair{"otlp_grpc", &config.otlp_grpc},
          std::pair{"alertmanager", &config.alertmanager}}) {
        if (!listen->enabled || is_loopback(listen->address)) continue;
        log.warn("this receiver takes data from everyone who reaches it",
                 {{"receiver", name}, {"address", listen->address}});
    }
}

}  // namespace

int run_check_config(const std::string& file) {
    const auto config = load_config(file);
    if (!config) {
        print_errors(config.error());
        return 1;
    }
    for (const auto& line : warnings_of(config->scrape)) {
        fmt::print(stderr, "warning: {}\n", line);
    }
    const auto count = [](std::size_t number, std::string_view one, std::string_view many) {
        return fmt::format("{} {}", number, number == 1 ? one : many);
    };
    fmt::print("{}: good; {}, {}, {} in the inventory\n", file,
               count(config->policy.runbooks.size(), "runbook", "runbooks"),
               count(config->detect.rules.rules.size(), "rule", "rules"),
               count(config->policy.inventory.size(), "entity", "entities"));
    return 0;
}

int run_serve(const std::string& file) {
    const sigset_t signals = block_signals();
    auto config = load_config(file);
    if (!config) {
        print_errors(config.error());
        return 1;
    }
    const auto log = make_stderr_log(config->log_level);
    const SystemClock clock;
    auto vigie = Vigie::start(*config, file, *log, clock);
    if (!vigie) {
        log->error("vigie cannot start", {{"reason", vigie.error().message}});
        return 1;
    }
    announce(*config, (*vigie)->ports(), *log);
    while (true) {
        int signal = 0;
        if (sigwait(&signals, &signal) != 0) continue;
        if (signal != SIGHUP) break;
        // The reasons are logged line by line where they are found.
        static_cast<void>((*vigie)->reload());
    }
    log->info("vigie is stopping", {{"wait_max", to_string(config->drain_wait_max)}});
    (*vigie)->stop(config->drain_wait_max);
    vigie->reset();
    log->info("vigie has stopped");
    return 0;
}

}  // namespace vigie::app
