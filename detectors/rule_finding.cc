#include "detectors/rule_finding.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "detectors/words.h"

namespace vigie::detectors {

using schemas::Anomaly;

namespace {

constexpr double kScoreMax = 1000;

std::string filled(std::string text, std::string_view name, std::string_view value) {
    for (std::size_t at = text.find(name); at != std::string::npos;
         at = text.find(name, at + value.size())) {
        text.replace(at, name.size(), value);
    }
    return text;
}

double score_of(const Rule& rule, double value) {
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
    anomaly.signal = describe(rule.selection);
    if (rule.divide_by) anomaly.signal += " / " + describe(*rule.divide_by);
    anomaly.observed = finite(state.value);
    anomaly.expected = anomaly.lower = anomaly.upper = rule.threshold;
    anomaly.score = anomaly.firing ? std::max(score_of(rule, state.value), 1.0) : 0;
    anomaly.unit = rule.unit;
    anomaly.first_seen = state.since.value_or(state.last_true);
    anomaly.last_seen = state.last_true;
    const std::string value = with_unit(state.value, rule.unit);
    const std::string threshold = with_unit(rule.threshold, rule.unit);
    std::string summary = rule.summary.empty() ? rule.name : rule.summary;
    summary = filled(std::move(summary), "{value}", value);
    summary = filled(std::move(summary), "{threshold}", threshold);
    summary = filled(std::move(summary), "{entity}", state.entity.value);
    anomaly.reason =
        fmt::format("{}: {} is {}{}, limit {} {}", summary, anomaly.signal, value,
                    anomaly.firing ? "" : " again", to_string(rule.comparison), threshold);
    return anomaly;
}

}  // namespace vigie::detectors
