#pragma once

#include <optional>

#include "core/id.h"
#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/phase.h"
#include "detectors/rules/rule_value.h"

namespace vigie::detectors {

// Where one rule stands with one group.
struct GroupState {
    EntityId entity;
    std::optional<EventTime> since;        // True without a break since.
    std::optional<EventTime> false_since;  // False without a break since; unless quiet.
    Phase phase = Phase::kQuiet;
    EventTime last_true;
    EventTime judged_at;
    EventTime data_at;  // The newest point when it was last true.
    double value = 0;
};

void save_state(const GroupState& state, Encoder& out);
GroupState load_state(Decoder& in);

void save_series(const RuleSeries& series, Encoder& out);
RuleSeries load_series(Decoder& in);

}  // namespace vigie::detectors
