#include "detectors/rules/propose.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "detectors/option_check.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kPointsMin = 20;
constexpr std::size_t kCandidates = 500;
constexpr double kDaySeconds = 86'400;
// As in a rule: what is older says nothing of now, and a row of true ones ends.
constexpr std::chrono::minutes kGapMin{5};

using Points = std::span<const RulePoint>;

double seconds_of(EventClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

struct Tally {
    std::size_t alarms = 0;
    double firing_seconds = 0;
};

class Past {
public:
    Past(std::vector<Points> series, const ProposeOptions& options)
        : series_(std::move(series)), options_(options) {
        for (const Points points : series_) {
            std::vector<EventClock::duration> gaps;
            gaps.reserve(points.size());
            for (std::size_t i = 1; i < points.size(); ++i) {
                gaps.push_back(points[i].at - points[i - 1].at);
            }
            EventClock::duration usual{0};
            if (!gaps.empty()) {
                const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
                std::ranges::nth_element(gaps, middle);
                usual = *middle;
            }
            gap_max_.push_back(std::max<EventClock::duration>(kGapMin, 5 * usual));
            if (points.size() > 1) seconds_ += seconds_of(points.back().at - points.front().at);
        }
    }

    double days() const { return seconds_ / kDaySeconds; }
    double seconds() const { return seconds_; }

    Tally with(double threshold) const {
        Tally tally;
        for (std::size_t i = 0; i < series_.size(); ++i)
            count(series_[i], gap_max_[i], threshold, tally);
        return tally;
    }

    // The most sensitive threshold from which on to the least sensitive all keep the budget.
    double keep(double alarms_per_day) const {
        const auto limit = static_cast<std::size_t>(alarms_per_day * days());
        double chosen = 0;
        bool any = false;
        for (const double candidate : candidates()) {
            const double rounded = round_away(candidate);
            if (any && with(rounded).alarms > limit) break;
            chosen = rounded;
            any = true;
        }
        return chosen;
    }

private:
    // From the least sensitive on: beyond every value, then the values, dense at the end.
    std::vector<double> candidates() const {
        std::vector<double> values;
        for (const Points points : series_) {
            for (const RulePoint& point : points) values.push_back(sign() * point.value);
        }
        std::ranges::sort(values, std::ranges::greater());
        std::vector<double> out;
        // Steps that grow: the rank of the next is a little larger each time.
        for (double rank = 0; rank < static_cast<double>(values.size()) && out.size() < kCandidates;
             rank = std::max(rank + 1, rank * 1.03)) {
            const double value = sign() * values[static_cast<std::size_t>(rank)];
            if (out.empty() || out.back() != value) out.push_back(value);
        }
        return out;
    }

    double sign() const { return options_.above ? 1 : -1; }

    // To three digits, away from the values that are usual.
    double round_away(double value) const {
        if (value == 0) return 0;
        const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 2);
        const double rounded =
            (options_.above ? std::ceil(value / unit) : std::floor(value / unit)) * unit;
        // Without the dust of the multiplication.
        return std::stod(fmt::format("{:.4g}", rounded));
    }

    void count(Points points, EventClock::duration gap_max, double threshold, Tally& tally) const {
        bool on = false;
        bool told = false;
        EventTime since;
        for (std::size_t i = 0; i < points.size(); ++i) {
            const bool beyond =
                options_.above ? points[i].value > threshold : points[i].value < threshold;
            const bool gap = i > 0 && points[i].at - points[i - 1].at > gap_max;
            if (on && told && !gap)
                tally.firing_seconds += seconds_of(points[i].at - points[i - 1].at);
            if (!beyond) {
                on = told = false;
                continue;
            }
            if (!on || gap) {
                on = true;
                told = false;
                since = points[i].at;
            }
            if (told || points[i].at - since < options_.hold) continue;
            told = true;
            ++tally.alarms;
        }
    }

    const std::vector<Points> series_;
    const ProposeOptions& options_;
    std::vector<EventClock::duration> gap_max_;
    double seconds_ = 0;  // Of all series.
};

Past half_of(std::span<const std::vector<RulePoint>> series, bool later,
             const ProposeOptions& options) {
    std::vector<Points> halves;
    halves.reserve(series.size());
    for (const auto& points : series) {
        const Points all(points);
        const std::size_t half = all.size() / 2;
        halves.push_back(later ? all.subspan(half) : all.first(half));
    }
    return {std::move(halves), options};
}

}  // namespace

std::vector<RulePoint> rates_of(std::span<const RulePoint> counts) {
    std::vector<RulePoint> rates;
    rates.reserve(counts.size());
    for (std::size_t i = 1; i < counts.size(); ++i) {
        const RulePoint& before = counts[i - 1];
        const RulePoint& now = counts[i];
        const double more = now.value < before.value ? now.value : now.value - before.value;
        if (now.at > before.at) rates.push_back({now.at, more / seconds_of(now.at - before.at)});
    }
    return rates;
}

Result<std::vector<Proposal>> propose_thresholds(std::span<const std::vector<RulePoint>> series,
                                                 const ProposeOptions& options) {
    OptionCheck check("propose");
    check.span("for", options.hold, std::chrono::milliseconds{0});
    for (const double budget : options.alarms_per_day) {
        check.range("alarms per day", budget, 0.0, 10'000.0);
    }
    std::size_t points = 0;
    for (const auto& each : series) {
        points += each.size();
        const bool ascending =
            std::ranges::is_sorted(each, std::ranges::less_equal{}, &RulePoint::at);
        const bool doubled = std::ranges::adjacent_find(each, {}, &RulePoint::at) != each.end();
        check.require(ascending && !doubled, "the points of a series must ascend in time");
    }
    check.require(points >= kPointsMin, "needs at least 20 points");
    VIGIE_TRY(check.status());
    const Past past({series.begin(), series.end()}, options);
    if (past.days() <= 0)
        return fail(ErrorKind::kInvalid, "propose: no time lies between the points");
    const Past earlier = half_of(series, false, options);
    const Past later = half_of(series, true, options);
    std::vector<double> budgets = options.alarms_per_day;
    std::ranges::sort(budgets);
    std::vector<Proposal> out;
    for (const double budget : budgets) {
        Proposal made;
        made.budget_per_day = budget;
        made.threshold = past.keep(budget);
        if (!out.empty() && out.back().threshold == made.threshold) continue;
        const Tally tally = past.with(made.threshold);
        made.alarms = tally.alarms;
        made.alarms_per_day = static_cast<double>(tally.alarms) / past.days();
        made.firing_ratio = tally.firing_seconds / past.seconds();
        if (later.days() > 0) {
            made.later_per_day =
                static_cast<double>(later.with(earlier.keep(budget)).alarms) / later.days();
        }
        out.push_back(made);
    }
    return out;
}

}  // namespace vigie::detectors
