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

// What the rule looks at.
std::string signal_of(const Rule& rule) {
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

double score_of(const Rule& rule, double value) {
    if (std::isnan(rule.threshold)) return 1;
    const bool low =
        rule.comparison == Comparison::kBelow || rule.comparison == Comparison::kAtMost;
    const double over = low ? rule.threshold : value;
    const double under = low ? value : rule.threshold;
    if (over > 0 && under > 0) return std::min(over / under, kScoreMax);
    return std::min(1 + std::abs(value - rule.threshold), kScoreMax);
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
    const bool limited = !std::isnan(rule.threshold);
    anomaly.expected = anomaly.lower = anomaly.upper = limited ? rule.threshold : anomaly.observed;
    anomaly.score = anomaly.firing ? std::max(score_of(rule, state.value), 1.0) : 0;
    anomaly.unit = rule.unit;
    anomaly.first_seen = state.since.value_or(state.last_true);
    anomaly.last_seen = state.last_true;
    const std::string value = with_unit(state.value, rule.unit);
    const std::string threshold = limited ? with_unit(rule.threshold, rule.unit) : "";
    std::string summary = rule.summary.empty() ? rule.name : rule.summary;
    summary = filled(std::move(summary), "{value}", value);
    summary = filled(std::move(summary), "{threshold}", threshold);
    summary = filled(std::move(summary), "{entity}", state.entity.value);
    summary = with_labels(std::move(summary), group);
    anomaly.reason = fmt::format("{}: {} is {}{}", summary, anomaly.signal, value,
                                 anomaly.firing ? "" : " again");
    if (limited) {
        anomaly.reason += fmt::format(", limit {} {}", to_string(rule.comparison), threshold);
    }
    return anomaly;
}

}  // namespace vigie::detectors
