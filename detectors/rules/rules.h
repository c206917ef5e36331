#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "detectors/detector.h"
#include "schemas/events.h"

namespace vigie::detectors {

// How the points of a window become one number for a group of series:
//   avg max min sum count  over all points of all series of the group
//   last                   newest point of each series; the one that is nearest to firing counts
//   increase rate          of counters, resets handled, summed over the group; rate is per second
//   quantile               of a histogram: increase of the NAME_bucket series, interpolated
//   age                    seconds since the group's newest point; for series that were once seen
enum class Aggregation : std::uint8_t {
    kAvg,
    kMax,
    kMin,
    kSum,
    kCount,
    kLast,
    kIncrease,
    kRate,
    kQuantile,
    kAge
};
enum class Comparison : std::uint8_t { kAbove, kAtLeast, kBelow, kAtMost, kEqual, kNotEqual };

struct Selection {
    std::string metric;                 // Exact name; for kQuantile with or without "_bucket".
    std::vector<std::string> matchers;  // As in detectors/match.h: "code=~5??", "job=shop".
    Aggregation aggregation = Aggregation::kLast;
    std::chrono::milliseconds window{60'000};
    double quantile = 0.95;  // Only for kQuantile.
};

// An objective of `objective` (0.999) good events among all, whose budget burns too fast: more than
// `factor` times as fast as it may, over a long window and over a short one that says it still
// does. Beyer et al., "The Site Reliability Workbook" (O'Reilly, 2018), chapter 5, "6: Multiwindow,
// Multi-Burn-Rate Alerts". For a page: 14.4 over 1 h and 5 min (2 % of a month's budget), or 6 over
// 6 h and 30 min (5 %); for a ticket: 1 over 3 d and 6 h (10 %).
struct BurnRate {
    struct Windows {
        std::chrono::milliseconds longer;
        std::chrono::milliseconds shorter;
        double factor = 1;
    };
    double objective = 0.999;
    std::string bad;    // A selector of counters: http_requests_total{code=~"5.."}
    std::string total;  // A selector of counters: http_requests_total
    std::vector<std::string> by;
    std::vector<Windows> windows;  // Empty: those of a page.
};

// A rule has one condition: a selection with a comparison, an expression, or the states of other
// rules.
struct Rule {
    std::string name;
    Selection selection;  // Without a metric: one of those below.
    // In the part of PromQL that detectors/rules/promql.h has; one group for each element.
    std::string expression;
    // What `expression` was made of; only for the words of a finding.
    std::optional<BurnRate> burn_rate;
    // Fires for an entity while every one of `all_of`, one of `any_of` if there are any, and none
    // of `none_of` fires for it.
    std::vector<std::string> all_of;
    std::vector<std::string> any_of;
    std::vector<std::string> none_of;
    // While that rule fires, this one does not begin to: for the same entity, or for any.
    std::string parent;
    bool parent_of_any = false;
    // The value is selection / divide_by, where that is more than `divide_min`.
    std::optional<Selection> divide_by;
    double divide_min = 0;
    std::vector<std::string> group_by;  // Label names; empty: one group for each entity.
    Comparison comparison = Comparison::kAbove;
    double threshold = 0;
    std::chrono::milliseconds hold{0};         // `for`: true for so long before it fires.
    std::chrono::milliseconds keep_firing{0};  // False for so long before it ends.
    schemas::Severity severity = schemas::Severity::kWarning;
    schemas::Symptom symptom = schemas::Symptom::kOther;
    std::string unit = "1";  // "s", "ratio", "B", "1/s", … of the value
    // Starts the reason: "{entity}", "{value}", "{threshold}" are filled, and of an expression
    // "{label:NAME}".
    std::string summary;
};

struct RuleOptions {
    std::vector<Rule> rules;
    std::chrono::milliseconds evaluate_every{5000};
    std::size_t series_max = 20'000;           // Series that rules select; more are refused.
    std::size_t points_per_series_max = 4096;  // In a window; the oldest go first.
    // Nothing resolves on missing data: a firing rule without any holds for so long, then says
    // that it is no longer judged, and when there is data again, whether it is over.
    std::chrono::seconds end_after{300};
    // Series without a point for so long are forgotten; those of `age` rules after
    // `forget_after`, which ends their anomaly.
    std::chrono::seconds idle_after{3600};
    std::chrono::seconds forget_after{86'400};
};

std::vector<BurnRate::Windows> burn_windows_page();
std::vector<BurnRate::Windows> burn_windows_ticket();
// The expression of a rule. kInvalid says what is wrong with `burn`.
Result<std::string> expression_of(const BurnRate& burn);

// Static rules over metrics. `up == 0` is {metric up, last, kEqual, 0}; absence is `age` > 60.
// kInvalid names the rule and what is wrong with it.
Result<std::unique_ptr<Detector>> make_rule_detector(RuleOptions options);

// "avg", …, "age" and ">", ">=", "<", "<=", "==", "!="; nullopt for anything else.
std::optional<Aggregation> parse_aggregation(std::string_view text);
std::optional<Comparison> parse_comparison(std::string_view text);
std::string_view to_string(Aggregation value);
std::string_view to_string(Comparison value);
// "latency", "errors", …
std::optional<schemas::Symptom> parse_symptom(std::string_view text);

}  // namespace vigie::detectors
