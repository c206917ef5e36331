#pragma once

#include <string>
#include <string_view>

#include "core/time.h"
#include "schemas/events.h"
#include "schemas/telemetry.h"

// Numbers as an engineer reads them, and what a metric's name says about it.
namespace vigie::detectors {

// "820 ms", "31 %", "1.5 GiB", "12.3 /s" for the units "s", "ratio", "B", "1/s"; "1" has none.
std::string with_unit(double value, std::string_view unit);
// "40–60 ms": both ends in the unit of the larger.
std::string range_with_unit(double low, double high, std::string_view unit);
// "10 s", "2 min", "3 h".
std::string span_text(EventClock::duration duration);

// At most `bytes_max` bytes of `text`, never half a UTF-8 character, "…" where it was cut.
std::string cut(std::string_view text, std::size_t bytes_max);

// General rules on the words in the name, and the label `code` or `status` being 5xx.
schemas::Symptom symptom_of(std::string_view metric, const schemas::Labels& labels);

// The unit of the values of a metric by its suffix: _seconds "s", _bytes "B", _ratio "ratio",
// _celsius "°C", else "1"; per second when `rate`.
std::string unit_of(std::string_view metric, bool rate);

// Whether a metric of that name usually is a counter: _total, _count, _sum, _bucket.
bool counter_by_name(std::string_view metric);

// Anomaly numbers go out as JSON, which has no infinity.
double finite(double value);

}  // namespace vigie::detectors
