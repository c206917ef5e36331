#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
    std::vector<std::string> masks;  // Globs; words that they match are taken as variables.
    // The attributes of a record without a trace id that say what its line is part of; the first
    // that it has counts. session.id is OpenTelemetry's, the others are what people write.
    std::vector<std::string> session_attributes = {
        "session.id", "request.id", "request_id", "http.request.id", "requestId", "correlation_id"};
    std::size_t services_max = 500;
    std::size_t templates_per_service_max = 500;  // Then the oldest are forgotten.
    std::size_t tokens_max = 128;                 // The rest of a line is one variable;
    std::size_t line_bytes_max = 2048;            // what is beyond this is ignored.

    schemas::Severity severity_new = schemas::Severity::kInfo;
    schemas::Severity severity_shape = schemas::Severity::kInfo;  // Rates, values, sequences.
    schemas::Severity severity_burst = schemas::Severity::kInfo;
};

// Learns the templates of each service's log lines, how often each comes, which numbers and texts
// it carries and which follows which in a trace or session, and reports, at most once for each
// service and window, with up to 5 example lines as received and cut:
//
// - "logs.new": a template never seen before, at once when its record says a severity at or above
//   `new_severity_min`, else when it came three times in five minutes at a service that has
//   stopped showing new ones;
// - "logs.errors": a burst of error lines, in number and in share;
// - "logs.rate": lines of one template that are far more than usual, or far fewer, or none;
// - "logs.values": a number in the lines of one template that is a decade from where it was, or a
//   text that is new where only a few are known;
// - "logs.sequence": traces or sessions in which one template follows another that it hardly ever
// follows.
//
// The last three are judged in steps of six windows, after 180 of them. A line without a severity
// is judged by the level word it begins with. Templates that had to make room are counted
// ("templates_max"). A window without any line of a service ends nothing: it may be its lines that
// stopped. A silent service that makes room while an anomaly of its is silent is counted
// ("forgotten"). kInvalid names the option that is wrong.
Result<std::unique_ptr<Detector>> make_log_detector(LogOptions options);

}  // namespace vigie::detectors
