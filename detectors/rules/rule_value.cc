#include "detectors/rules/rule_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "detectors/option_check.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr std::array<std::pair<std::string_view, Aggregation>, 10> kAggregations{
    {{"avg", Aggregation::kAvg},
     {"max", Aggregation::kMax},
     {"min", Aggregation::kMin},
     {"sum", Aggregation::kSum},
     {"count", Aggregation::kCount},
     {"last", Aggregation::kLast},
     {"increase", Aggregation::kIncrease},
     {"rate", Aggregation::kRate},
     {"quantile", Aggregation::kQuantile},
     {"age", Aggregation::kAge}}};
constexpr std::array<std::pair<std::string_view, Comparison>, 6> kComparisons{
    {{">", Comparison::kAbove},
     {">=", Comparison::kAtLeast},
     {"<", Comparison::kBelow},
     {"<=", Comparison::kAtMost},
     {"==", Comparison::kEqual},
     {"!=", Comparison::kNotEqual}}};

// The points of a series inside the window.
struct Inside {
    std::deque<RulePoint>::const_iterator begin;
    std::deque<RulePoint>::const_iterator end;

    std::ptrdiff_t size() const { return end - begin; }
};

Inside inside(const RuleSeries& series, const Selection& selection, EventTime now) {
    const auto from = now - selection.window;
    const auto& points = series.points;
    return {std::ranges::upper_bound(points, from, {}, &RulePoint::at),
            std::ranges::upper_bound(points, now, {}, &RulePoint::at)};
}

double seconds_of(EventClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

// Of a counter, which has counted from zero since it went down. Two points at least.
double increase_of(const Inside& points) {
    double total = 0;
    for (auto at = points.begin + 1; at != points.end; ++at) {
        const double before = (at - 1)->value;
        total += at->value < before ? at->value : at->value - before;
    }
    return total;
}

std::optional<double> over_points(Aggregation aggregation, const Selection& selection,
                                  std::span<const RuleSeries* const> group, EventTime now) {
    double sum = 0;
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    std::size_t count = 0;
    for (const RuleSeries* series : group) {
        const Inside points = inside(*series, selection, now);
        for (auto at = points.begin; at != points.end; ++at) {
            sum += at->value;
            low = std::min(low, at->value);
            high = std::max(high, at->value);
            ++count;
        }
    }
    if (aggregation == Aggregation::kCount) return static_cast<double>(count);
    if (count == 0) return std::nullopt;
    switch (aggregation) {
        case Aggregation::kAvg: return sum / static_cast<double>(count);
        case Aggregation::kMax: return high;
        case Aggregation::kMin: return low;
        default: return sum;
    }
}

std::optional<double> increase_or_rate(const Selection& selection,
                                       std::span<const RuleSeries* const> group, EventTime now) {
    double total = 0;
    bool any = false;
    for (const RuleSeries* series : group) {
        const Inside points = inside(*series, selection, now);
        if (points.size() < 2) continue;
        any = true;
        const double increase = increase_of(points);
        const double seconds = seconds_of((points.end - 1)->at - points.begin->at);
        total += selection.aggregation == Aggregation::kRate ? increase / seconds : increase;
    }
    return any ? std::optional(total) : std::nullopt;
}

std::optional<double> last_of(const Selection& selection, std::span<const RuleSeries* const> group,
                              const Moment& moment) {
    std::optional<double> chosen;
    for (const RuleSeries* series : group) {
        const Inside points = inside(*series, selection, moment.now);
        if (series->ended || points.size() == 0) continue;
        const double value = (points.end - 1)->value;
        bool nearer = !chosen;
        if (chosen) {
            switch (moment.nearest) {
                case Comparison::kAbove:
                case Comparison::kAtLeast: nearer = value > *chosen; break;
                case Comparison::kBelow:
                case Comparison::kAtMost: nearer = value < *chosen; break;
                case Comparison::kEqual:
                case Comparison::kNotEqual:
                    nearer = holds(moment.nearest, value, moment.threshold) &&
                             !holds(moment.nearest, *chosen, moment.threshold);
            }
        }
        if (nearer) chosen = value;
    }
    return chosen;
}

std::optional<double> age_of(std::span<const RuleSeries* const> group, const Moment& moment) {
    if (group.empty()) return std::nullopt;
    EventTime newest = moment.watching_since;
    for (const RuleSeries* series : group) newest = std::max(newest, series->value_at);
    return seconds_of(std::max(moment.now - newest, EventClock::duration{0}));
}

std::optional<double> bound_of(const schemas::Labels& labels) {
    const auto text = schemas::label(labels, "le");
    if (text == "+Inf" || text == "inf" || text == "Inf") {
        return std::numeric_limits<double>::infinity();
    }
    double bound = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bound);
    if (error != std::errc{} || end != text.data() + text.size() || std::isnan(bound)) {
        return std::nullopt;
    }
    return bound;
}

// As Prometheus' histogram_quantile: linear inside a bucket, the largest finite bound above.
std::optional<double> quantile_of(const Selection& selection,
                                  std::span<const RuleSeries* const> group, EventTime now) {
    std::map<double, double> cumulative;
    for (const RuleSeries* series : group) {
        const auto bound = bound_of(series->labels);
        const Inside points = inside(*series, selection, now);
        if (!bound || points.size() < 2) continue;
        cumulative[*bound] += increase_of(points);
    }
    if (cumulative.empty() || !std::isinf(cumulative.rbegin()->first)) return std::nullopt;
    double total = 0;
    for (auto& [bound, count] : cumulative) count = total = std::max(total, count);
    if (total <= 0) return std::nullopt;
    const double rank = selection.quantile * total;
    double low = std::min(0.0, cumulative.begin()->first);
    double below = 0;
    for (const auto& [bound, count] : cumulative) {
        if (count >= rank && count > below) {
            if (std::isinf(bound)) return low;
            return low + (bound - low) * (rank - below) / (count - below);
        }
        low = std::isinf(bound) ? low : bound;
        below = count;
    }
    return low;
}

}  // namespace

Result<CompiledSelection> compile(const Selection& selection) {
    OptionCheck check("selection");
    check.require(!selection.metric.empty(), "metric is empty");
    check.span("window", selection.window, std::chrono::milliseconds{1});
    if (selection.aggregation == Aggregation::kQuantile) {
        check.range("quantile", selection.quantile, 0.0, 1.0);
    }
    VIGIE_TRY(check.status());
    CompiledSelection compiled{selection, selection.metric, {}};
    if (selection.aggregation == Aggregation::kQuantile && !compiled.metric.ends_with("_bucket")) {
        compiled.metric += "_bucket";
    }
    for (const auto& text : selection.matchers) {
        VIGIE_TRY_ASSIGN(auto matcher, parse_matcher(text));
        compiled.matchers.push_back(std::move(matcher));
    }
    return compiled;
}

std::optional<double> value_of(const Selection& selection, std::span<const RuleSeries* const> group,
                               const Moment& moment) {
    std::optional<double> value;
    switch (selection.aggregation) {
        case Aggregation::kAvg:
        case Aggregation::kMax:
        case Aggregation::kMin:
        case Aggregation::kSum:
        case Aggregation::kCount:
            value = over_points(selection.aggregation, selection, group, moment.now);
            break;
        case Aggregation::kLast: value = last_of(selection, group, moment); break;
        case Aggregation::kIncrease:
        case Aggregation::kRate: value = increase_or_rate(selection, group, moment.now); break;
        case Aggregation::kQuantile: value = quantile_of(selection, group, moment.now); break;
        case Aggregation::kAge: value = age_of(group, moment); break;
    }
    if (value && !std::isfinite(*value)) value.reset();
    return value;
}

bool holds(Comparison comparison, double value, double threshold) {
    switch (comparison) {
        case Comparison::kAbove: return value > threshold;
        case Comparison::kAtLeast: return value >= threshold;
        case Comparison::kBelow: return value < threshold;
        case Comparison::kAtMost: return value <= threshold;
        case Comparison::kEqual: return value == threshold;
        case Comparison::kNotEqual: return value != threshold;
    }
    return false;
}

std::string describe(const Selection& selection) {
    std::string text = selection.metric;
    if (!selection.matchers.empty()) {
        text += fmt::format("{{{}}}", fmt::join(selection.matchers, ","));
    }
    switch (selection.aggregation) {
        case Aggregation::kLast: return text;
        case Aggregation::kAge: return fmt::format("time since the last {}", text);
        case Aggregation::kQuantile:
            return fmt::format("p{:.4g} of {} over {}", selection.quantile * 100, text,
                               span_text(selection.window));
        default: break;
    }
    return fmt::format("{} of {} over {}", to_string(selection.aggregation), text,
                       span_text(selection.window));
}

std::optional<Aggregation> parse_aggregation(std::string_view text) {
    for (const auto& [name, value] : kAggregations) {
        if (name == text) return value;
    }
    return std::nullopt;
}

std::optional<Comparison> parse_comparison(std::string_view text) {
    for (const auto& [name, value] : kComparisons) {
        if (name == text) return value;
    }
    return std::nullopt;
}

std::string_view to_string(Aggregation value) {
    return kAggregations.at(static_cast<std::size_t>(value)).first;
}

std::string_view to_string(Comparison value) {
    return kComparisons.at(static_cast<std::size_t>(value)).first;
}

std::optional<schemas::Symptom> parse_symptom(std::string_view text) {
    for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(schemas::Symptom::kOther); ++i) {
        const auto symptom = static_cast<schemas::Symptom>(i);
        if (schemas::to_string(symptom) == text) return symptom;
    }
    return std::nullopt;
}

}  // namespace vigie::detectors
