#include "detectors/rules/rule_finding.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "detectors/words.h"
#include "schemas/matchers.h"

namespace vigie::detectors {

using schemas::Anomaly;

namespace {

constexpr double kScoreMax = 1000;
constexpr std::size_t kSignalBytesMax = 200;

std::string filled(std::string text, std::string_view name, std::string_view value) {
    for (std::size_t at = text.find(name); at != std::string::npos;
         at = text.find(name, at + value.size())) {
        text.replace(at, name.size(), value);
    }
    return text;
}

// "5 min", "1 h", "3 d".
std::string window_text(std::chrono::milliseconds span) {
    using std::chrono::hours;
    using std::chrono::minutes;
    if (span >= hours{48} && span % hours{24} == span.zero())
        return fmt::format("{} d", span / hours{24});
    if (span >= hours{1} && span % hours{1} == span.zero())
        return fmt::format("{} h", span / hours{1});
    if (span >= minutes{1} && span % minutes{1} == span.zero())
        return fmt::format("{} min", span / minutes{1});
    return span_text(span);
}

// The windows of a budget over which it may burn as fast as `times` says: the value is that of a
// long window, and tells which it cannot be.
std::vector<BurnRate::Windows> windows_beyond(const BurnRate& burn, double times) {
    std::vector<BurnRate::Windows> beyond;
    for (const auto& windows : burn.windows.empty() ? burn_windows_page() : burn.windows) {
        if (times > windows.factor) beyond.push_back(windows);
    }
    return beyond;
}

// "burns 333 times the budget of 0.999 over 1 h and 5 min (limit 14.4)".
std::string burns(const BurnRate& burn, double times, bool firing) {
    std::string text = fmt::format("burns {:.3g} times the budget of {}", times, burn.objective);
    if (!firing) return text + " again";
    std::vector<std::string> over;
    for (const auto& windows : windows_beyond(burn, times)) {
        over.push_back(fmt::format("{} and {} (limit {:.4g})", window_text(windows.longer),
                                   window_text(windows.shorter), windows.factor));
    }
    if (!over.empty()) text += fmt::format(" over {}", fmt::join(over, " or "));
    return text;
}

// What the rule looks at.
std::string signal_of(const Rule& rule) {
    if (rule.burn_rate) {
        return one_line(fmt::format("error budget of {} of {}", rule.burn_rate->objective,
                                    rule.burn_rate->total),
                        kSignalBytesMax);
    }
    if (!rule.expression.empty()) return one_line(rule.expression, kSignalBytesMax);
    if (rule.selection.metric.empty()) {
        std::vector<std::string> parts;
        if (!rule.all_of.empty())
            parts.push_back(fmt::format("all of {}", fmt::join(rule.all_of, ", ")));
        if (!rule.any_of.empty())
            parts.push_back(fmt::format("any of {}", fmt::join(rule.any_of, ", ")));
        if (!rule.none_of.empty()) {
            parts.push_back(fmt::format("none of {}", fmt::join(rule.none_of, ", ")));
        }
        return cut(fmt::format("rules that fire: {}", fmt::join(parts, "; ")), kSignalBytesMax);
    }
    std::string text = describe(rule.selection);
    if (rule.divide_by) text += " / " + describe(*rule.divide_by);
    return text;
}

// "{label:NAME}", by the name of an expression's group, which is its labels.
std::string with_labels(std::string text, const std::string& group) {
    constexpr std::string_view kBegin = "{label:";
    std::size_t at = text.find(kBegin);
    if (at == std::string::npos) return text;
    const auto labels = schemas::parse_matchers(group);
    while (at != std::string::npos) {
        const std::size_t end = text.find('}', at);
        if (end == std::string::npos) break;
        const std::string name = text.substr(at + kBegin.size(), end - at - kBegin.size());
        std::string value = "?";
        for (const auto& label : labels ? *labels : std::vector<schemas::Matcher>{}) {
            if (label.name == name) value = label.value;
        }
        text.replace(at, end + 1 - at, value);
        at = text.find(kBegin, at + value.size());
    }
    return text;
}

// Not a number when there is none.
double limit_of(const Rule& rule, double value) {
    if (!rule.burn_rate) return rule.threshold;
    const double budget = 1 - rule.burn_rate->objective;
    const auto beyond = windows_beyond(*rule.burn_rate, value / budget);
    return beyond.empty() ? rule.threshold : beyond.front().factor * budget;
}

double score_of(const Rule& rule, double value, double limit) {
    if (std::isnan(limit)) return 1;
    const bool low =
        rule.comparison == Comparison::kBelow || rule.comparison == Comparison::kAtMost;
    const double over = low ? limit : value;
    const double under = low ? value : limit;
    if (over > 0 && under > 0) return std::min(over / under, kScoreMax);
    return std::min(1 + std::abs(value - limit), kScoreMax);
}

}  // namespace

Anomaly finding_of(const Rule& rule, const std::string& group, const GroupState& state) {
    Anomaly anomaly;
    anomaly.detector = "rule:" + rule.name;
    anomaly.key = fmt::format("rule:{}|{}", rule.name, group);
    anomaly.firing = state.phase == Phase::kFiring;
    if (!anomaly.firing) anomaly.ended = schemas::Ended::kCalm;
    anomaly.symptom = rule.symptom;
    anomaly.severity = rule.severity;
    anomaly.entity = state.entity;
    anomaly.signal = signal_of(rule);
    anomaly.observed = finite(state.value);
    const double limit = limit_of(rule, state.value);
    const bool limited = !std::isnan(limit);
    anomaly.expected = anomaly.lower = anomaly.upper = limited ? limit : anomaly.observed;
    anomaly.score = anomaly.firing ? std::max(score_of(rule, state.value, limit), 1.0) : 0;
    anomaly.unit = rule.unit;
    anomaly.first_seen = state.since.value_or(state.last_true);
    anomaly.last_seen = state.last_true;
    const std::string value = with_unit(state.value, rule.unit);
    const std::string threshold = limited ? with_unit(limit, rule.unit) : "";
    std::string summary = rule.summary.empty() ? rule.name : rule.summary;
    summary = filled(std::move(summary), "{value}", value);
    summary = filled(std::move(summary), "{threshold}", threshold);
    summary = filled(std::move(summary), "{entity}", state.entity.value);
    summary = with_labels(std::move(summary), group);
    if (rule.burn_rate) {
        const double times = state.value / (1 - rule.burn_rate->objective);
        anomaly.reason =
            fmt::format("{}: {}", summary, burns(*rule.burn_rate, times, anomaly.firing));
        return anomaly;
    }
    anomaly.reason = fmt::format("{}: {} is {}{}", summary, anomaly.signal, value,
                                 anomaly.firing ? "" : " again");
    if (limited) {
        anomaly.reason += fmt::format(", limit {} {}", to_string(rule.comparison), threshold);
    }
    return anomaly;
}

}  // namespace vigie::detectors
