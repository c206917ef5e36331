#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rule_value.h"
#include "schemas/telemetry.h"

// What an expression says at one moment.
//
// Prometheus leaves out what a comparison does not choose, and so cannot tell "no" from "no data".
// Here an element stays, with `holds` false: only what has data can be said to be over. The
// elements that hold, with their values, are those that Prometheus gives.
namespace vigie::detectors::promql {

struct Element {
    schemas::Labels labels;  // Without the metric's name.
    double value = 0;
    bool holds = true;
    EntityId entity;   // Of the series it is made of, when that is the same for all; else "".
    EventTime newest;  // The newest point it is made of.
};
using Vector = std::vector<Element>;  // Ascending by labels, labels unique.

// How old a point may be that a selector without range takes (Prometheus' lookback delta).
inline constexpr std::chrono::minutes kLookback{5};

// One moment of the evaluation. `selected` holds the series of each selector by its number.
struct Evaluation {
    EventTime now;
    EventTime watching_since;  // What was not there before then, was not looked for: no absence.
    std::span<const std::vector<const RuleSeries*>> selected;
};

// nullopt when the labels do not tell which element of one side belongs to which of the other:
// Prometheus gives an error, and no element. Elements of NaN without `holds` say nothing.
std::optional<Vector> evaluate(const Expression& expression, const Evaluation& at);

}  // namespace vigie::detectors::promql
