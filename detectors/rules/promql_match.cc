#include "detectors/rules/promql_match.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace vigie::detectors::promql {

namespace {

schemas::Labels key_of(const Expression& expression, const Element& element) {
    return expression.with ? only(element.labels, expression.labels)
                           : without(element.labels, expression.labels);
}

// The labels of an element of the side that may have several, with those it gets from the other.
void include(const Expression& expression, const Element& one, schemas::Labels& labels) {
    for (const auto& name : expression.include) {
        std::erase_if(labels, [&name](const auto& label) { return label.first == name; });
        const auto value = schemas::label(one.labels, name);
        if (!value.empty()) labels.emplace_back(name, value);
    }
    std::ranges::sort(labels);
}

}  // namespace

schemas::Labels only(const schemas::Labels& labels, const std::vector<std::string>& names) {
    schemas::Labels out;
    out.reserve(names.size());
    for (const auto& label : labels) {
        if (std::ranges::binary_search(names, label.first)) out.push_back(label);
    }
    return out;
}

schemas::Labels without(const schemas::Labels& labels, const std::vector<std::string>& names) {
    schemas::Labels out;
    out.reserve(labels.size());
    for (const auto& label : labels) {
        if (!std::ranges::binary_search(names, label.first)) out.push_back(label);
    }
    return out;
}

double calculated(Operator op, double left, double right) {
    switch (op) {
        case Operator::kAdd: return left + right;
        case Operator::kSubtract: return left - right;
        case Operator::kMultiply: return left * right;
        case Operator::kDivide: return left / right;
        case Operator::kModulo: return std::fmod(left, right);
        case Operator::kPower: return std::pow(left, right);
        case Operator::kEqual: return left == right ? 1 : 0;
        case Operator::kNotEqual: return left != right ? 1 : 0;
        case Operator::kAbove: return left > right ? 1 : 0;
        case Operator::kAtLeast: return left >= right ? 1 : 0;
        case Operator::kBelow: return left < right ? 1 : 0;
        case Operator::kAtMost: return left <= right ? 1 : 0;
        default: return std::numeric_limits<double>::quiet_NaN();
    }
}

void apply(const Expression& expression, Element& element, double a, double b) {
    const double result = calculated(expression.op, a, b);
    if (!is_comparison(expression.op) || expression.as_bool) {
        element.value = result;
        return;
    }
    // Nothing can be said of what is no number.
    if (result == 0 && (std::isnan(a) || std::isnan(b))) {
        element.value = std::numeric_limits<double>::quiet_NaN();
    }
    element.holds = element.holds && result != 0;
}

std::optional<Vector> joined(const Expression& expression, const Vector& left,
                             const Vector& right) {
    // `many` may have several elements with one key, `one` may not.
    const bool swapped = expression.group == Expression::Group::kRight;
    const bool grouped = expression.group != Expression::Group::kNone;
    const Vector& many = swapped ? right : left;
    const Vector& one = swapped ? left : right;
    std::map<schemas::Labels, const Element*> partners;
    for (const Element& each : one) {
        const auto [at, added] = partners.try_emplace(key_of(expression, each), &each);
        if (added) continue;
        // What a comparison did not choose is nobody's partner while another one is.
        if (at->second->holds && each.holds) return std::nullopt;
        if (each.holds) at->second = &each;
    }
    std::map<schemas::Labels, std::size_t> taken;  // Results by labels, to find doubled ones.
    Vector out;
    out.reserve(many.size());
    for (const Element& each : many) {
        schemas::Labels key = key_of(expression, each);
        const auto partner = partners.find(key);
        if (partner == partners.end()) continue;
        const Element& other = *partner->second;
        Element made = each;
        // A comparison that chooses keeps the labels of its left side, when that is the many.
        const bool chooses = is_comparison(expression.op) && !expression.as_bool;
        if (grouped) {
            include(expression, other, made.labels);
        } else if (!chooses || expression.with) {
            made.labels = std::move(key);
        } else {
            made.labels = without(each.labels, expression.labels);
        }
        if (each.entity != other.entity && !grouped) made.entity = {};
        made.holds = each.holds && other.holds;
        made.newest = std::max(each.newest, other.newest);
        const double a = swapped ? other.value : each.value;
        const double b = swapped ? each.value : other.value;
        if (chooses) made.value = a;
        apply(expression, made, a, b);
        const auto [at, added] = taken.try_emplace(made.labels, out.size());
        if (added) {
            out.push_back(std::move(made));
        } else if (each.holds && out[at->second].holds) {
            return std::nullopt;
        } else if (made.holds) {
            out[at->second] = std::move(made);
        }
    }
    return out;
}

Vector set_operation(const Expression& expression, const Vector& left, const Vector& right) {
    struct Side {
        bool holds = false;
        EventTime newest;
    };
    const auto keys_of = [&expression](const Vector& vector) {
        std::map<schemas::Labels, Side> keys;
        for (const Element& each : vector) {
            Side& side =
                keys.try_emplace(key_of(expression, each), Side{false, each.newest}).first->second;
            side.holds = side.holds || each.holds;
            side.newest = std::max(side.newest, each.newest);
        }
        return keys;
    };
    Vector out;
    if (expression.op == Operator::kOr) {
        const auto keys = keys_of(left);
        for (const Element& each : left) {
            if (each.holds) out.push_back(each);
        }
        for (const Element& each : right) {
            const auto found = keys.find(key_of(expression, each));
            if (found == keys.end() || !found->second.holds) out.push_back(each);
        }
        // What holds comes first: of equal labels the first counts.
        std::ranges::stable_sort(out, std::ranges::greater{}, &Element::holds);
        for (const Element& each : left) {
            if (!each.holds) out.push_back(each);
        }
        return out;
    }
    const auto keys = keys_of(right);
    for (const Element& each : left) {
        const auto found = keys.find(key_of(expression, each));
        const bool known = found != keys.end();
        if (!known && expression.op == Operator::kAnd) continue;  // No data for the condition.
        Element made = each;
        if (known) {
            made.newest = std::max(made.newest, found->second.newest);
            made.holds = made.holds && found->second.holds == (expression.op == Operator::kAnd);
        }
        out.push_back(std::move(made));
    }
    return out;
}

}  // namespace vigie::detectors::promql
