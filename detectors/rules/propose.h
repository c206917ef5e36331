#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "core/result.h"
#include "detectors/rules/rule_value.h"

// Thresholds for a rule `value > threshold for: hold`, from what the value did in the past.
namespace vigie::detectors {

struct ProposeOptions {
    bool above = true;  // Else `value < threshold`.
    std::chrono::milliseconds hold{0};
    // How many alarms a series may raise in a day; one proposal for each, fewer when several give
    // the same.
    std::vector<double> alarms_per_day{0, 1.0 / 30, 1.0 / 7, 1};
};

struct Proposal {
    double threshold = 0;
    double budget_per_day = 0;  // That it was chosen for.
    std::size_t alarms = 0;     // That the rule would have raised in all of the past,
    double alarms_per_day = 0;  // for each series,
    double firing_ratio = 0;    // and the part of the time in which it would have fired.
    // What a threshold that is chosen in the same way from the earlier half alone raises in the
    // later half, for each series and day: what to expect of the future, if that is like the past.
    double later_per_day = 0;
};

// The increase for each second between the points of a counter, at the later of two; after a reset
// it has counted from zero. Of points ascending in time.
std::vector<RulePoint> rates_of(std::span<const RulePoint> counts);

// The most sensitive threshold that keeps each budget, with three digits. All alarms of the past
// are taken as false: leave out what was a real incident. Ascending in the budget. kInvalid says
// what is wrong: less than 20 points or no time between them, points that are not ascending, an
// option.
Result<std::vector<Proposal>> propose_thresholds(std::span<const std::vector<RulePoint>> series,
                                                 const ProposeOptions& options);

}  // namespace vigie::detectors
