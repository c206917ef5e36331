#pragma once

#include <optional>

#include "app/section.h"
#include "detectors/absence.h"
#include "detectors/logs/logs.h"
#include "detectors/metrics.h"
#include "detectors/rules/rules.h"
#include "detectors/traces/traces.h"
#include "schemas/identity.h"

namespace vigie::app {

// Section "detect" of the configuration.
struct DetectConfig {
    detectors::MetricsOptions metrics;
    detectors::AbsenceOptions absence;
    detectors::RuleOptions rules;
    detectors::TraceOptions traces;
    detectors::LogOptions logs;
    std::chrono::milliseconds lateness_max{0};
    schemas::Identity identity;  // Of the section "identity"
};

// What detectors/ refuses (a bad pattern, a rule without a metric) is complained about too.
void read_detect(Section& section, DetectConfig& config);

}  // namespace vigie::app
