#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detectors/rules/promql.h"
#include "detectors/rules/promql_eval.h"

// Operators between elements: which belong together, and what becomes of them.
// https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
namespace vigie::detectors::promql {

// `names` ascending.
schemas::Labels only(const schemas::Labels& labels, const std::vector<std::string>& names);
schemas::Labels without(const schemas::Labels& labels, const std::vector<std::string>& names);

// 0 or 1 for a comparison.
double calculated(Operator op, double left, double right);

// Makes `element` what `a` op `b` gives: a comparison chooses and leaves its value, unless it is
// one with bool.
void apply(const Expression& expression, Element& element, double a, double b);

// +, >, … between two vectors. nullopt when an element has several partners.
std::optional<Vector> joined(const Expression& expression, const Vector& left, const Vector& right);

// and, or, unless. May have labels twice: the first counts.
Vector set_operation(const Expression& expression, const Vector& left, const Vector& right);

}  // namespace vigie::detectors::promql
