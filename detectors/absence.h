#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "detectors/detector.h"
#include "schemas/events.h"

namespace vigie::detectors {

struct AbsenceOptions {
    // Patterns as in detectors/match.h: which series count as a sign of life.
    std::vector<std::string> select{"*"};
    std::chrono::seconds gap_max{300};
    // An entity must have sent for so long before its silence means anything.
    std::chrono::seconds seen_min{300};
    // Gone for good: no longer judged, and remembered as long as there is room, to tell of its
    // return.
    std::chrono::seconds forget_after{86'400};
    std::size_t entities_max = 10'000;
    schemas::Severity severity = schemas::Severity::kWarning;
};

// Reports an entity all of whose series stopped: once, when the silence becomes longer than
// `gap_max`, and its end when the entity speaks again. A staleness marker is not a sign of life.
// When everything is silent at once the way in is at fault, not the fleet: that is one anomaly,
// on "source:metrics". Time during which nobody called advance() does not count as silence. What is
// gone for good makes room for new entities (counted as "forgotten").
// kInvalid names the option that is wrong.
Result<std::unique_ptr<Detector>> make_absence_detector(AbsenceOptions options);

}  // namespace vigie::detectors
