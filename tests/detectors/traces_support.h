#pragma once

#include "detectors/traces/traces.h"

namespace vigie::detectors::test {

// Learns in seconds what it otherwise takes its time for.
inline TraceOptions quick() {
    using std::chrono::seconds;
    TraceOptions options;
    options.window = seconds{2};
    options.lateness = seconds{1};
    options.requests_min = 10;
    options.warmup_windows = 5;
    options.warmup_span = seconds{10};
    options.odd_windows = 2;
    return options;
}

}  // namespace vigie::detectors::test
