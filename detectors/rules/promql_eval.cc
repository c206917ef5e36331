#include "detectors/rules/promql_eval.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "detectors/rules/promql_match.h"
#include "detectors/rules/promql_range.h"

namespace vigie::detectors::promql {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr EventTime kNever = event_time_from_micros(-62'100'000'000'000'000);

struct Value {
    bool scalar = false;
    double number = 0;
    Vector vector;
};

// Sorted by labels; of equal labels the first stays.
void tidy(Vector& vector) {
    std::ranges::stable_sort(vector, {}, &Element::labels);
    const auto rest = std::ranges::unique(vector, {}, &Element::labels);
    vector.erase(rest.begin(), rest.end());
}

std::optional<double> number_of(std::string_view text) {
    if (text == "+Inf" || text == "Inf" || text == "inf") {
        return std::numeric_limits<double>::infinity();
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || std::isnan(value)) {
        return std::nullopt;
    }
    return value;
}

class Evaluator {
public:
    explicit Evaluator(const Evaluation& at) : at_(at) {}

    bool failed() const { return failed_; }

    Value value_of(const Expression& expression) {
        switch (expression.kind) {
            case Kind::kNumber: return {true, expression.number, {}};
            case Kind::kSelector: return {false, 0, select(expression)};
            case Kind::kNegate: {
                Value value = value_of(*expression.operands[0]);
                value.number = -value.number;
                for (Element& each : value.vector) each.value = -each.value;
                return value;
            }
            case Kind::kCall: return call(expression);
            case Kind::kAggregate: return {false, 0, aggregate(expression)};
            case Kind::kBinary: break;
        }
        return binary(expression);
    }

private:
    const std::vector<const RuleSeries*>& series_of(const Expression& selector) const {
        return at_.selected[selector.selector];
    }

    // Its points in (now - offset - range, now - offset].
    std::vector<RulePoint> points_of(const RuleSeries& series, const Expression& selector,
                                     std::chrono::milliseconds range) const {
        const EventTime end = at_.now - selector.offset;
        const auto& points = series.points;
        const auto from = std::ranges::upper_bound(points, end - range, {}, &RulePoint::at);
        const auto to = std::ranges::upper_bound(points, end, {}, &RulePoint::at);
        return {from, to};
    }

    Vector select(const Expression& selector) const {
        Vector out;
        out.reserve(series_of(selector).size());
        const EventTime end = at_.now - selector.offset;
        for (const RuleSeries* series : series_of(selector)) {
            if (series->ended && selector.offset.count() == 0) continue;
            const auto& points = series->points;
            const auto after = std::ranges::upper_bound(points, end, {}, &RulePoint::at);
            if (after == points.begin() || (after - 1)->at <= end - kLookback) continue;
            out.push_back(
                {series->labels, (after - 1)->value, true, series->entity, (after - 1)->at});
        }
        tidy(out);
        return out;
    }

    Vector over_ranges(Function function, const Expression& selector, double parameter) const {
        Vector out;
        out.reserve(series_of(selector).size());
        for (const RuleSeries* series : series_of(selector)) {
            const auto points = points_of(*series, selector, selector.range);
            const auto value = over_range(
                function, {points, at_.now - selector.offset, selector.range}, parameter);
            if (!value) continue;
            out.push_back({series->labels, *value, true, series->entity, points.back().at});
        }
        tidy(out);
        return out;
    }

    // One element when nothing is there, with the labels that the selector's = demand.
    Vector absent(const Expression& operand, const Vector& found) const {
        Element made{{}, 1, true, {}, kNever};
        std::chrono::milliseconds span = kLookback;
        if (operand.kind == Kind::kSelector) {
            for (const auto& matcher : operand.matchers) {
                if (matcher.regex || !matcher.equal || matcher.value.empty()) continue;
                made.labels.emplace_back(matcher.name, matcher.value);
            }
            std::ranges::sort(made.labels);
            if (operand.range.count() > 0) span = operand.range;
        }
        for (const Element& each : found) {
            made.newest = std::max(made.newest, each.newest);
            if (each.holds) made.holds = false;
        }
        if (made.holds && at_.now - at_.watching_since < span) return {};
        if (!made.holds) made.value = 0;
        return {std::move(made)};
    }

    Value call(const Expression& expression) {
        const auto& operands = expression.operands;
        switch (expression.function) {
            case Function::kTime: return {true, static_cast<double>(micros_of(at_.now)) / 1e6, {}};
            case Function::kScalar: return scalar(value_of(*operands[0]).vector);
            case Function::kVector:
                return {false, 0, {{{}, value_of(*operands[0]).number, true, {}, kNever}}};
            case Function::kAbsent:
                return {false, 0, absent(*operands[0], value_of(*operands[0]).vector)};
            case Function::kAbsentOverTime:
                return {
                    false, 0,
                    absent(*operands[0], over_ranges(Function::kPresentOverTime, *operands[0], 0))};
            case Function::kHistogramQuantile:
                return {false, 0,
                        histogram_quantile(value_of(*operands[0]).number,
                                           value_of(*operands[1]).vector)};
            case Function::kQuantileOverTime:
                return {
                    false, 0,
                    over_ranges(expression.function, *operands[1], value_of(*operands[0]).number)};
            case Function::kPredictLinear:
                return {
                    false, 0,
                    over_ranges(expression.function, *operands[0], value_of(*operands[1]).number)};
            default: break;
        }
        if (operands[0]->type == Type::kRange) {
            return {false, 0, over_ranges(expression.function, *operands[0], 0)};
        }
        const double limit = operands.size() > 1 ? value_of(*operands[1]).number : 0;
        Value value = value_of(*operands[0]);
        for (Element& each : value.vector) each.value = applied(expression.function, each, limit);
        return value;
    }

    static double applied(Function function, const Element& element, double limit) {
        switch (function) {
            case Function::kAbs: return std::abs(element.value);
            case Function::kCeil: return std::ceil(element.value);
            case Function::kFloor: return std::floor(element.value);
            case Function::kClampMin: return std::max(element.value, limit);
            case Function::kClampMax: return std::min(element.value, limit);
            case Function::kTimestamp: return static_cast<double>(micros_of(element.newest)) / 1e6;
            default: return element.value;
        }
    }

    static Value scalar(const Vector& vector) {
        double number = kNaN;
        std::size_t count = 0;
        for (const Element& each : vector) {
            if (!each.holds) continue;
            number = each.value;
            ++count;
        }
        return {true, count == 1 ? number : kNaN, {}};
    }

    static Vector histogram_quantile(double q, const Vector& buckets) {
        struct Histogram {
            std::vector<Bucket> buckets;
            Element element;
        };
        std::map<schemas::Labels, Histogram> histograms;
        for (const Element& each : buckets) {
            const auto bound = number_of(schemas::label(each.labels, "le"));
            if (!bound || !each.holds) continue;
            schemas::Labels labels = without(each.labels, {"le"});
            Histogram& histogram = histograms[std::move(labels)];
            if (histogram.buckets.empty()) {
                histogram.element = each;
            } else if (histogram.element.entity != each.entity) {
                histogram.element.entity = {};
            }
            histogram.element.newest = std::max(histogram.element.newest, each.newest);
            histogram.buckets.push_back({*bound, each.value});
        }
        Vector out;
        out.reserve(histograms.size());
        for (auto& [labels, histogram] : histograms) {
            Element element = std::move(histogram.element);
            element.labels = labels;
            element.value = quantile_of_buckets(q, std::move(histogram.buckets));
            out.push_back(std::move(element));
        }
        return out;
    }

    Vector aggregate(const Expression& expression) {
        struct Group {
            Element element;
            std::vector<double> values;  // Of what holds.
        };
        std::map<schemas::Labels, Group> groups;
        for (const Element& each : value_of(*expression.operands[0]).vector) {
            schemas::Labels labels = expression.with ? only(each.labels, expression.labels)
                                                     : without(each.labels, expression.labels);
            const auto [at, added] = groups.try_emplace(std::move(labels));
            Element& element = at->second.element;
            if (added) {
                element = {at->first, 0, false, each.entity, each.newest};
            } else if (element.entity != each.entity) {
                element.entity = {};
            }
            element.newest = std::max(element.newest, each.newest);
            if (each.holds) at->second.values.push_back(each.value);
        }
        Vector out;
        out.reserve(groups.size());
        for (auto& [labels, group] : groups) {
            group.element.holds = !group.values.empty();
            group.element.value = folded(expression.aggregate, group.values);
            out.push_back(std::move(group.element));
        }
        return out;
    }

    static double folded(Aggregate aggregate, const std::vector<double>& values) {
        if (values.empty()) return 0;
        double sum = 0;
        for (const double value : values) sum += value;
        switch (aggregate) {
            case Aggregate::kSum: return sum;
            case Aggregate::kAvg: return sum / static_cast<double>(values.size());
            case Aggregate::kMin: return *std::ranges::min_element(values);
            case Aggregate::kMax: return *std::ranges::max_element(values);
            case Aggregate::kCount: return static_cast<double>(values.size());
        }
        return sum;
    }

    Value binary(const Expression& expression) {
        Value left = value_of(*expression.operands[0]);
        Value right = value_of(*expression.operands[1]);
        if (left.scalar && right.scalar) {
            return {true, calculated(expression.op, left.number, right.number), {}};
        }
        if (left.scalar || right.scalar) {
            Vector& vector = left.scalar ? right.vector : left.vector;
            for (Element& each : vector) {
                const double a = left.scalar ? left.number : each.value;
                const double b = right.scalar ? right.number : each.value;
                apply(expression, each, a, b);
            }
            return {false, 0, std::move(vector)};
        }
        auto matched = is_set(expression.op)
                           ? std::optional(set_operation(expression, left.vector, right.vector))
                           : joined(expression, left.vector, right.vector);
        if (!matched) failed_ = true;
        Vector out = matched ? *std::move(matched) : Vector{};
        tidy(out);
        return {false, 0, std::move(out)};
    }

    const Evaluation& at_;
    bool failed_ = false;
};

}  // namespace

std::optional<Vector> evaluate(const Expression& expression, const Evaluation& at) {
    Evaluator evaluator(at);
    Value value = evaluator.value_of(expression);
    if (evaluator.failed()) return std::nullopt;
    return std::move(value.vector);
}

}  // namespace vigie::detectors::promql
