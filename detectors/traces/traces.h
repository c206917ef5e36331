#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/result.h"
#include "detectors/detector.h"
#include "schemas/events.h"

namespace vigie::detectors {

struct TraceOptions {
    std::chrono::milliseconds window{10'000};
    std::chrono::milliseconds lateness{5000};  // A window closes so long after its end.
    std::uint32_t requests_min = 20;           // Fewer are put together with the next windows,
    std::uint32_t merge_windows_max = 6;       // at most so many; then they are not judged.

    // Cold start: judged windows and time before anything is odd.
    std::uint32_t warmup_windows = 30;
    std::chrono::seconds warmup_span{600};
    std::uint32_t history_windows = 180;

    std::uint32_t odd_windows = 3;   // In a row, to begin.
    std::uint32_t calm_windows = 3;  // In a row, to end.
    double threshold = 6;            // Multiples of the usual spread.

    // Absolute floors: below these nothing is odd, however unusual.
    double latency_seconds_min = 0.05;  // By how much the p95 must be longer than usual.
    double latency_factor_min = 1.5;    // And how many times as long.
    double error_ratio_min = 0.05;
    double traffic_factor_min = 3;  // Times more, or a part of, the usual rate.

    std::chrono::seconds adapt_after{3600};  // So long at an odd level, and it is the new normal.
    std::chrono::seconds end_after{300};     // Without enough requests for so long: not judged.
    std::chrono::seconds idle_after{3600};   // Silent services and edges make room for new ones.

    std::size_t services_max = 2000;
    std::size_t edges_max = 10'000;
    std::size_t spans_max = 50'000;  // Remembered to find the parent of a span.
    // Of one service, by the names of its server spans; further ones count together as "(other)".
    std::size_t operations_max = 50;
    std::size_t operations_total_max = 5000;  // Of all services.
    // Spans are kept for `parent_wait` after their window to be joined with their parents, for self
    // time and delay; about 200 bytes each. A parent that ends later is not joined with them.
    std::chrono::seconds parent_wait{60};
    std::size_t join_spans_max = 100'000;
    std::chrono::seconds edge_gone_after{300};  // At least so long without a call.

    schemas::Severity severity = schemas::Severity::kWarning;          // Errors and latency
    schemas::Severity severity_traffic = schemas::Severity::kInfo;     // Rate
    schemas::Severity severity_known_edge = schemas::Severity::kInfo;  // The callee reports itself
    schemas::Severity severity_operation = schemas::Severity::kWarning;
    schemas::Severity severity_parts = schemas::Severity::kInfo;  // Self time and delay
    schemas::Severity severity_map = schemas::Severity::kInfo;    // New and vanished edges
};

// Rate, error ratio and p95 latency of each service (its server and consumer spans), of each of its
// operations when it has several, and of each callee that a client span names (peer.service, else
// server.address) or that has a span below it, in windows of event time that advance() closes:
// "trace.latency", "trace.errors", "trace.traffic". From spans that could be joined also the time a
// service worked itself, "trace.self_time", and how long calls were on their way to it,
// "trace.edge_delay" (span_join.h says how). Edges are learned from client spans and from spans
// whose parent is of another service; new and vanished ones are told (service_map.h). Spans for
// closed windows ("late"), without a service ("no_entity"), that end before they start or are too
// far ahead ("bad_time") and over the limits are dropped and counted; so are services and edges
// that make room while an anomaly of theirs is silent ("forgotten"), and spans whose parent never
// came ("incomplete"). Nothing depends on the order in which the spans of a window came, while no
// limit is reached. kInvalid names the option that is wrong.
Result<std::unique_ptr<Detector>> make_trace_detector(TraceOptions options);

// Who calls whom, by caller and callee, and how often; of windows that are closed.
struct EdgeStats {
    EventTime first_at;  // The end of its first call; the epoch when that is not known.
    EventTime last_at;
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
};
// `detector` is one that make_trace_detector made; empty for any other.
std::map<std::pair<std::string, std::string>, EdgeStats> service_map_of(const Detector& detector);

}  // namespace vigie::detectors
