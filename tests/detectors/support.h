#pragma once

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/rng.h"
#include "core/time.h"
#include "detectors/detector.h"

// Telemetry made up for tests, and a way to play it to a detector.
namespace vigie::detectors::test {

using namespace std::chrono_literals;

inline EventTime at(double seconds) {
    return event_time_from_micros(1'700'000'000'000'000 + static_cast<std::int64_t>(seconds * 1e6));
}

inline schemas::TimeSeries series(std::string metric, schemas::Labels labels, EventTime time,
                                  double value) {
    return {std::move(metric), std::move(labels), schemas::MetricKind::kUnknown, {{time, value}}};
}
inline schemas::TimeSeries gauge(std::string metric, EventTime time, double value) {
    return {std::move(metric), {{"service", "shop"}}, schemas::MetricKind::kGauge, {{time, value}}};
}
inline schemas::TimeSeries stale(std::string metric, schemas::Labels labels, EventTime time) {
    return {std::move(metric),
            std::move(labels),
            schemas::MetricKind::kUnknown,
            {{time, std::nan(""), true}}};
}

inline schemas::LogRecord line(const std::string& service, EventTime time, std::uint8_t severity,
                               std::string body) {
    return {time, severity, std::move(body), "", {{"service.name", service}}};
}

// A span of `service` that ended at `end`.
inline schemas::Span span(const std::string& service, schemas::SpanKind kind, EventTime end,
                          double seconds, bool error, std::string id) {
    schemas::Span span;
    span.trace_id = "trace-" + id;
    span.span_id = std::move(id);
    span.kind = kind;
    span.end = end;
    span.start = end - std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
    span.error = error;
    span.resource = {{"service.name", service}};
    return span;
}

// Distributions on top of the deterministic generator.
inline double normal(Rng& rng) {
    constexpr double kTwoPi = 6.283185307179586;
    return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(kTwoPi * rng.uniform());
}
inline double pareto(Rng& rng, double alpha) {
    return std::pow(1 - rng.uniform(), -1 / alpha);
}
inline std::uint64_t poisson(Rng& rng, double mean) {
    const double limit = std::exp(-mean);
    std::uint64_t count = 0;
    for (double product = rng.uniform(); product > limit; product *= rng.uniform()) ++count;
    return count;
}

// What one call hands to a detector.
using Step = std::variant<std::vector<schemas::TimeSeries>, std::vector<schemas::LogRecord>,
                          std::vector<schemas::Span>, EventTime>;

inline void play(Detector& detector, const Step& step, Findings& out) {
    if (const auto* now = std::get_if<EventTime>(&step)) return detector.advance(*now, out);
    if (const auto* metrics = std::get_if<0>(&step)) return detector.observe(*metrics, out);
    if (const auto* logs = std::get_if<1>(&step)) return detector.observe(*logs, out);
    detector.observe(std::get<2>(step), out);
}

inline Findings play(Detector& detector, const std::vector<Step>& steps) {
    Findings out;
    for (const Step& step : steps) play(detector, step, out);
    return out;
}

inline std::vector<schemas::Anomaly> firing(const Findings& findings) {
    std::vector<schemas::Anomaly> found;
    for (const auto& anomaly : findings.anomalies) {
        if (anomaly.firing) found.push_back(anomaly);
    }
    return found;
}

// Those of one detector.
inline std::vector<schemas::Anomaly> of(const std::string& detector, const Findings& findings) {
    std::vector<schemas::Anomaly> found;
    for (const auto& anomaly : findings.anomalies) {
        if (anomaly.detector == detector) found.push_back(anomaly);
    }
    return found;
}

// "firing", "calm", "silent", "adapted": what was said, in order.
inline std::string said(const schemas::Anomaly& anomaly) {
    if (anomaly.firing) return anomaly.ended ? "firing and ended" : "firing";
    return anomaly.ended ? std::string(schemas::to_string(*anomaly.ended)) : "ended somehow";
}
inline std::string said(const std::vector<schemas::Anomaly>& anomalies) {
    std::string all;
    for (const auto& anomaly : anomalies) all += (all.empty() ? "" : " ") + said(anomaly);
    return all;
}

}  // namespace vigie::detectors::test
