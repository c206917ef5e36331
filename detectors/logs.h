#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/result.h"
#include "detectors/detector.h"
#include "schemas/events.h"

namespace vigie::detectors {

struct LogOptions {
    std::chrono::milliseconds window{10'000};
    std::chrono::milliseconds lateness{5000};  // A window closes so long after its end.

    // Cold start, for each service: lines and time before a template counts as new or an
    // amount of error lines as a burst.
    std::uint32_t warmup_lines = 200;
    std::chrono::seconds warmup_span{600};

    std::uint8_t new_severity_min = 13;    // OpenTelemetry severity number; 13 is WARN.
    std::uint8_t error_severity_min = 17;  // 17 is ERROR.
    std::uint32_t burst_lines_min = 10;    // Error lines of a window, at least, to be a burst.
    double threshold = 6;                  // Multiples of the usual spread.
    std::uint32_t odd_windows = 2;         // In a row, for a burst to begin.
    std::uint32_t calm_windows = 3;        // In a row, for either to end.
    std::uint32_t history_windows = 180;
    std::chrono::seconds adapt_after{1800};  // So long odd, and it is the new normal.
    std::chrono::seconds end_after{300};     // Without any line for so long: not judged.
    std::chrono::seconds idle_after{3600};   // Silent services make room for new ones.

    // Template mining.
    double similarity_min = 0.5;  // Share of equal tokens to join a template.
    std::size_t services_max = 500;
    std::size_t templates_per_service_max = 500;
    std::size_t tokens_max = 64;        // The rest of a line is ignored,
    std::size_t line_bytes_max = 2048;  // and so is what is beyond this.

    schemas::Severity severity_new = schemas::Severity::kInfo;
    schemas::Severity severity_burst = schemas::Severity::kInfo;
};

// Learns the templates of each service's log lines and reports, at most once for each service
// and window: templates never seen before at or above `new_severity_min` ("logs.new"), and
// bursts of error lines ("logs.errors"), with up to 5 example lines as received and cut. A line
// without a severity is judged by the level word it begins with. A service at its limit of
// templates counts lines that would need another ("templates_max"). A window without any line of a
// service ends nothing: it may be its lines that stopped. A silent service that makes room while
// an anomaly of its is silent is counted ("forgotten").
// kInvalid names the option that is wrong.
Result<std::unique_ptr<Detector>> make_log_detector(LogOptions options);

}  // namespace vigie::detectors
