#include <iostream>

#include <fmt/format.h>

#include "app/backtest.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/log_access.h"
#include "app/render.h"
#include "schemas/events.h"

namespace vigie::app {

namespace {

double hours_of(EventClock::duration span) {
    return std::chrono::duration<double, std::ratio<3600>>(span).count();
}

std::string lasted(EventClock::duration span) {
    return to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration_cast<std::chrono::seconds>(span)));
}

Result<DetectConfig> config_of(const BacktestCommand& command) {
    if (command.detectors.empty() && command.place.config.empty()) {
        fmt::print(stderr,
                   "vigie: detector backtest: neither --config nor --detectors was given: the "
                   "defaults judge, without any rule\n");
    }
    auto config = load_config(command.detectors.empty() ? command.place.config : command.detectors);
    if (config) return std::move(config->detect);
    std::string all;
    for (const auto& line : config.error().lines) all += (all.empty() ? "" : "\n") + line;
    return fail(ErrorKind::kInvalid, all);
}

void print_table(const Backtest& result) {
    fmt::print("{:<16} {:>5} {:>10} {:>10}  {:<20}  {:<28} {}\n", "DETECTOR", "FIRED", "TOTAL",
               "LONGEST", "FIRST", "ENTITY", "SIGNAL");
    for (const BacktestLine& line : result.lines()) {
        fmt::print("{:<16} {:>5} {:>10} {:>10}  {:<20}  {:<28} {}{}\n", line.detector, line.fired,
                   lasted(line.total), lasted(line.longest), to_rfc3339(line.first), line.entity,
                   line.signal, line.firing > 0 ? "  (still fires)" : "");
    }
}

void print_json(const Backtest& result) {
    for (const BacktestAlarm& alarm : result.alarms) {
        const schemas::EventMeta meta{
            stable_event_id("backtest-",
                            fmt::format("{}/{}", alarm.anomaly.key, micros_of(alarm.told_at))),
            "/detectors/" + alarm.anomaly.detector,
            alarm.told_at,
            {"backtest"}};
        auto anomaly = alarm.anomaly;
        anomaly.firing = !alarm.ended;
        anomaly.ended = alarm.ended;
        anomaly.last_seen = alarm.until;
        std::cout << schemas::encode({meta, std::move(anomaly)}) << '\n';
    }
}

Status backtest_and_print(const BacktestCommand& command) {
    VIGIE_TRY_ASSIGN(const EventTime from, parse_rfc3339(command.from));
    VIGIE_TRY_ASSIGN(const EventTime to, parse_rfc3339(command.to));
    std::optional<std::chrono::milliseconds> learn;
    if (!command.learn.empty()) {
        VIGIE_TRY_ASSIGN(learn, parse_duration(command.learn));
    }
    VIGIE_TRY_ASSIGN(const auto config, config_of(command));
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    VIGIE_TRY_ASSIGN(const Backtest result,
                     backtest_detectors(access->bus(), config, from, to, learn));
    command.format == Format::kJson ? print_json(result) : print_table(result);
    std::cout.flush();
    const double days = hours_of(to - from) / 24;
    fmt::print(stderr,
               "{} records, from {} on: would have fired {} times at {} entities in {:.2f} days, "
               "{:.3g} a day\n",
               result.records, to_rfc3339(result.learned_from), result.alarms.size(),
               result.entities(), days, static_cast<double>(result.alarms.size()) / days);
    if (result.refused > 0) fmt::print(stderr, "{} records could not be read\n", result.refused);
    if (result.alarms_left_out > 0) {
        fmt::print(stderr, "{} more alarms were left out\n", result.alarms_left_out);
    }
    if (result.records == 0) {
        return fail(ErrorKind::kNotFound, "the log has no telemetry before " + command.to);
    }
    if (result.learned_from >= from) {
        fmt::print(stderr, "nothing was recorded before {}: the warm-up lies in the backtest\n",
                   command.from);
    }
    return {};
}

}  // namespace

int run_detector_backtest(const BacktestCommand& command) {
    const auto done = backtest_and_print(command);
    if (done) return 0;
    fmt::print(stderr, "vigie: detector backtest: {}\n", done.error().message);
    return 1;
}

}  // namespace vigie::app
