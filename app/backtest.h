#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/detect_config.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/events.h"
#include "streams/bus.h"

namespace vigie::app {

// One anomaly that would have been told.
struct BacktestAlarm {
    schemas::Anomaly anomaly;  // As it began.
    EventTime told_at;
    EventTime until;                      // The end that was told, or that of the backtest.
    std::optional<schemas::Ended> ended;  // Nothing when it still fired then.
};

// What one detector would have told of one signal.
struct BacktestLine {
    std::string detector;
    std::string entity;
    std::string signal;
    std::size_t fired = 0;
    EventClock::duration total{0};
    EventClock::duration longest{0};
    EventTime first;
    EventTime last;          // When it began last.
    std::size_t firing = 0;  // Still, at the end.
};

struct Backtest {
    EventTime from;
    EventTime to;
    EventTime learned_from;             // The oldest record that detectors were given.
    std::size_t records = 0;            // Of telemetry, without ticks.
    std::size_t refused = 0;            // Records that could not be read.
    std::vector<BacktestAlarm> alarms;  // In the order in which they would have been told.
    std::size_t alarms_left_out = 0;    // Beyond kBacktestAlarmsMax.

    std::vector<BacktestLine> lines() const;  // Most alarms first, then by name.
    std::size_t entities() const;             // That would have been alarmed about.
};
inline constexpr std::size_t kBacktestAlarmsMax = 1'000'000;

// Runs the detect stages over the recorded telemetry as they would run live with `config`, and
// keeps what they tell from `from` on and before `to`. They are given everything from `learn`
// before `from` on (the oldest record when absent), so that they are past their warm-up. Two
// backtests of the same log give the same result. Nothing is written to `bus`. kInvalid when `to`
// is not after `from`; else the errors of reading the log.
Result<Backtest> backtest_detectors(const streams::Bus& bus, const DetectConfig& config,
                                    EventTime from, EventTime to,
                                    std::optional<std::chrono::milliseconds> learn);

}  // namespace vigie::app
