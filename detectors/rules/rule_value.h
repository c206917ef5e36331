#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "detectors/match.h"
#include "detectors/rules/rules.h"
#include "schemas/telemetry.h"

// What a selection says of a group of series at one moment.
namespace vigie::detectors {

struct RulePoint {
    EventTime at;
    double value = 0;
};

// A series that some rule selects, with the points of the longest window any rule needs.
struct RuleSeries {
    std::string key;
    std::string metric;
    schemas::Labels labels;
    EntityId entity;
    std::deque<RulePoint> points;  // Ascending in time.
    EventTime last_at;             // Newest point or staleness marker.
    EventTime value_at;            // Newest point.
    bool ended = false;            // A staleness marker came after the newest point.
    // By the rules that select it; not saved.
    EventClock::duration keep{0};  // How long its points are needed.
    bool counts = true;            // Only its increase is asked for.
};

// A selection ready to be matched.
struct CompiledSelection {
    Selection selection;
    std::string metric;  // With "_bucket" for a quantile.
    std::vector<LabelMatcher> matchers;

    bool selects(const std::string& name, const schemas::Labels& labels) const {
        return name == metric && matches(matchers, labels);
    }
};
Result<CompiledSelection> compile(const Selection& selection);

// nullopt when the window (now - window, now] holds too little to say. `nearest` decides which
// series counts for kLast; `watching_since` is where an age starts at the earliest.
struct Moment {
    EventTime now;
    EventTime watching_since;
    Comparison nearest = Comparison::kAbove;
    double threshold = 0;
};
std::optional<double> value_of(const Selection& selection, std::span<const RuleSeries* const> group,
                               const Moment& moment);

bool holds(Comparison comparison, double value, double threshold);

// "p95 of http_request_duration_seconds over 60 s".
std::string describe(const Selection& selection);

}  // namespace vigie::detectors
