#include "app/detect_config.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "detectors/match.h"
#include "detectors/rules/rule_check.h"
#include "schemas/events.h"

namespace vigie::app {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kCountMax = 10'000'000;

template <class T>
void read_count(Section& section, std::string_view key, T& value, std::int64_t min = 1,
                std::int64_t max = kCountMax) {
    value = static_cast<T>(section.integer(key, static_cast<std::int64_t>(value), min, max));
}

void read_severity(Section& section, std::string_view key, schemas::Severity& value) {
    const std::string text = section.text(key, std::string(schemas::to_string(value)));
    if (const auto known = schemas::parse_severity(text)) {
        value = *known;
    } else {
        section.complain(key, "must be info, warning or critical");
    }
}

template <class Options, class Make>
void check(Section& section, const Options& options, Make make) {
    if (const auto made = make(options); !made) section.complain("", made.error().message);
}

std::optional<detectors::Direction> read_direction(Section& section) {
    const std::string direction = section.text("direction", "both");
    if (direction == "up") return detectors::Direction::kUp;
    if (direction == "down") return detectors::Direction::kDown;
    if (direction == "both") return detectors::Direction::kBoth;
    section.complain("direction", "must be both, up or down");
    return std::nullopt;
}

detectors::SeriesRule read_series_rule(Section& section) {
    detectors::SeriesRule rule;
    rule.select = section.texts("select");
    if (section.has("direction")) rule.direction = read_direction(section);
    if (section.has("threshold")) rule.threshold = section.number("threshold", 6, 1, 1000);
    rule.deviation_min = section.number("deviation_min", 0, 0, 1e200);
    rule.deviation_ratio_min = section.number("deviation_ratio_min", 0, 0, 1e6);
    if (section.has("lower_bound")) {
        rule.bound_low = section.number("lower_bound", 0, -1e200, 1e200);
    }
    if (section.has("upper_bound")) {
        rule.bound_high = section.number("upper_bound", 0, -1e200, 1e200);
    }
    rule.deep = section.boolean("deep", false);
    return rule;
}

detectors::KnownEvent read_known_event(Section& section) {
    detectors::KnownEvent event;
    event.name = section.text("name");
    event.entities = section.text("entities", event.entities);
    const std::string begin = section.text("begin");
    if (const auto at = parse_rfc3339(begin)) {
        event.begin = *at;
    } else {
        section.complain("begin", "must be a time such as 2026-11-29T02:00:00Z");
    }
    event.lasts = section.seconds("lasts", std::chrono::hours{1});
    event.every = section.seconds("every", event.every);
    return event;
}

void read_noise(Section& section, detectors::NoiseOptions& options) {
    options.false_alarms_per_day =
        section.number("false_alarms_per_day", options.false_alarms_per_day, 1e-6, 1e6);
    options.deployment_grace = section.seconds("deployment_grace", options.deployment_grace);
    read_count(section, "entities_max", options.entities_max);
    read_count(section, "verdicts_max", options.verdicts_max);
    section.each("calendar", [&options](Section& event) {
        options.calendar.push_back(read_known_event(event));
    });
}

void read_deep(Section& section, detectors::DeepOptions& options) {
    read_count(section, "series_max", options.series_max, 0, 1'000'000);
    if (section.has("named")) options.named = section.texts("named");
    options.golden = section.boolean("golden", options.golden);
    options.odd_stay = section.seconds("odd_stay", options.odd_stay);
}

void read_metrics(Section& section, detectors::MetricsOptions& options) {
    if (section.has("select")) options.select = section.texts("select");
    if (section.has("ignore")) options.ignore = section.texts("ignore");
    read_count(section, "series_max", options.series_max);
    read_count(section, "warmup_points", options.warmup_points);
    options.warmup_span = section.seconds("warmup_span", options.warmup_span);
    options.threshold = section.number("threshold", options.threshold, 1, 1000);
    options.spread_ratio_min = section.number("spread_ratio_min", options.spread_ratio_min, 0, 10);
    options.spread_min = section.number("spread_min", options.spread_min, 0, 1e18);
    read_count(section, "odd_points", options.odd_points);
    read_count(section, "calm_points", options.calm_points);
    options.seasonal = section.boolean("seasonal", options.seasonal);
    options.direction = read_direction(section).value_or(options.direction);
    section.each("rules",
                 [&options](Section& rule) { options.rules.push_back(read_series_rule(rule)); });
    section.child("deep", [&options](Section& part) { read_deep(part, options.deep); });
    section.child("noise", [&options](Section& part) { read_noise(part, options.noise); });
    read_count(section, "histograms_max", options.histograms_max, 0, 1'000'000);
    read_count(section, "joint_entities_max", options.joint_entities_max, 0, 1'000'000);
    options.adapt_after = section.seconds("adapt_after", options.adapt_after);
    options.end_after = section.seconds("end_after", options.end_after);
    options.idle_after = section.seconds("idle_after", options.idle_after);
    read_severity(section, "severity", options.severity);
}

void read_absence(Section& section, detectors::AbsenceOptions& options) {
    if (section.has("select")) options.select = section.texts("select");
    options.gap_max = section.seconds("gap_max", options.gap_max);
    options.seen_min = section.seconds("seen_min", options.seen_min);
    options.forget_after = section.seconds("forget_after", options.forget_after);
    read_count(section, "entities_max", options.entities_max);
    read_severity(section, "severity", options.severity);
    check(section, options, detectors::make_absence_detector);
}

void read_selection(Section& section, detectors::Selection& selection) {
    selection.metric = section.text("metric");
    selection.matchers = section.texts("matchers");
    const std::string name =
        section.text("aggregation", std::string(detectors::to_string(selection.aggregation)));
    if (const auto known = detectors::parse_aggregation(name)) {
        selection.aggregation = *known;
    } else {
        section.complain(
            "aggregation",
            "must be avg, max, min, sum, count, last, increase, rate, quantile or age");
    }
    selection.window = section.duration("window", selection.window, milliseconds{1});
    selection.quantile = section.number("quantile", selection.quantile, 0, 1);
}

// False when something was complained of.
bool read_burn_rate(Section& section, detectors::Rule& rule) {
    detectors::BurnRate burn;
    burn.objective = section.number("objective", burn.objective, 0, 1);
    burn.bad = section.text("bad");
    burn.total = section.text("total");
    burn.by = section.texts("by");
    bool good = true;
    section.each("windows", [&](Section& windows) {
        detectors::BurnRate::Windows each{};
        for (const std::string_view key : {"long", "short"}) {
            if (windows.has(key)) continue;
            windows.complain(key, "is missing");
            good = false;
        }
        each.longer = windows.duration("long", milliseconds{0}, milliseconds{0});
        each.shorter = windows.duration("short", milliseconds{0}, milliseconds{0});
        each.factor = windows.number("factor", 1, 0, 1e6);
        burn.windows.push_back(each);
    });
    const auto complain = [&](std::string_view key, std::string_view what) {
        section.complain(key, what);
        good = false;
    };
    if (section.boolean("ticket", false)) {
        if (section.has("windows")) {
            complain("windows", "give ticket or windows, not both: ticket is 3 d and 6 h");
        }
        burn.windows = detectors::burn_windows_ticket();
    } else if (burn.windows.empty()) {
        if (section.has("windows")) complain("windows", "is empty");
        burn.windows = detectors::burn_windows_page();
    }
    if (burn.bad.empty()) complain("bad", "is missing");
    if (burn.total.empty()) complain("total", "is missing");
    if (!good) return false;
    auto expression = detectors::expression_of(burn);
    if (expression) {
        rule.expression = *std::move(expression);
        rule.burn_rate = std::move(burn);
        return true;
    }
    // Where it stands is said by the place and path.
    std::string_view what = expression.error().message;
    const auto cut = [&what](std::string_view prefix) {
        const bool found = what.starts_with(prefix);
        if (found) what.remove_prefix(prefix.size());
        return found;
    };
    cut("burn_rate: ");
    const std::string_view key = cut("bad: ") ? "bad" : cut("total: ") ? "total" : "";
    complain(key, what);
    return false;
}

// The conditions that a rule names, of which there must be one. `all_of` and `any_of` are one.
std::vector<std::string_view> conditions_of(Section& section, const detectors::Rule& rule) {
    std::vector<std::string_view> found;
    for (const std::string_view key : {"metric", "expr", "burn_rate"}) {
        if (section.has(key)) found.push_back(key);
    }
    if (!rule.all_of.empty() || !rule.any_of.empty()) {
        found.emplace_back(rule.all_of.empty() ? "any_of" : "all_of");
    }
    return found;
}

// The condition of a rule, of which there is one. False when something was complained of.
bool read_condition(Section& section, detectors::Rule& rule) {
    bool good = true;
    const auto complain = [&](std::string_view key, std::string_view what) {
        section.complain(key, what);
        good = false;
    };
    read_selection(section, rule.selection);
    rule.expression = section.text("expr");
    section.child("burn_rate", [&](Section& burn) {
        if (section.has("burn_rate")) good = read_burn_rate(burn, rule);
    });
    rule.all_of = section.texts("all_of");
    rule.any_of = section.texts("any_of");
    rule.none_of = section.texts("none_of");
    const auto conditions = conditions_of(section, rule);
    if (conditions.size() > 1) {
        complain(conditions[1], fmt::format("a rule has one condition, and this one has {}",
                                            fmt::join(conditions, " and ")));
    } else if (section.has("metric") && rule.selection.metric.empty()) {
        complain("metric", "is empty");
    } else if (section.has("expr") && rule.expression.empty()) {
        complain("expr", "is empty");
    }
    rule.parent = section.text("parent");
    const std::string scope = section.text("parent_scope", "entity");
    rule.parent_of_any = scope == "any";
    if (scope != "entity" && scope != "any") {
        section.complain("parent_scope", "must be entity or any");
    }
    return good;
}

// A rule, and how to complain of it once all rules are known.
struct ReadRule {
    bool condition_good = true;  // Else it was complained of.
    Section::Complain complain;
};

ReadRule read_rule(Section& section, detectors::Rule& rule) {
    ReadRule read;
    read.complain = section.complain_later();
    rule.name = section.text("name");
    read.condition_good = read_condition(section, rule);
    section.child("divide_by", [&rule](Section& divide) {
        if (divide.has("metric")) read_selection(divide, rule.divide_by.emplace());
    });
    rule.divide_min = section.number("divide_min", rule.divide_min, 0, 1e18);
    rule.group_by = section.texts("group_by");
    const std::string comparison = section.text("compare", ">");
    if (const auto known = detectors::parse_comparison(comparison)) {
        rule.comparison = *known;
    } else {
        section.complain("compare", "must be >, >=, <, <=, == or !=");
    }
    if (!rule.selection.metric.empty()) {
        if (!section.has("threshold") && read.condition_good) {
            section.complain("threshold", "is missing");
        }
    } else if (!section.has("metric")) {
        for (const auto* key : {"matchers", "aggregation", "window", "quantile", "divide_by",
                                "divide_min", "group_by", "compare", "threshold"}) {
            if (section.has(key)) section.complain(key, "is for a rule with a metric");
        }
    }
    rule.threshold = section.number("threshold", 0, -1e18, 1e18);
    rule.hold = section.duration("for", rule.hold, milliseconds{0});
    rule.keep_firing = section.duration("keep_firing_for", rule.keep_firing, milliseconds{0});
    read_severity(section, "severity", rule.severity);
    const std::string symptom = section.text("symptom", "other");
    if (const auto known = detectors::parse_symptom(symptom)) {
        rule.symptom = *known;
    } else {
        section.complain(
            "symptom",
            "must be latency, errors, traffic, saturation, absence, log_pattern or other");
    }
    rule.unit = section.text("unit", rule.unit);
    rule.summary = section.text("summary");
    if (const auto wrong = detectors::wrong_in_summary(rule.summary)) {
        section.complain("summary", *wrong);
    }
    return read;
}

void read_rules(Section& section, detectors::RuleOptions& options) {
    std::vector<ReadRule> read;
    section.each("rules", [&](Section& rule) {
        read.push_back(read_rule(rule, options.rules.emplace_back()));
    });
    for (const auto& each : detectors::complaints_about(options.rules)) {
        if (!each.between && !read[each.rule].condition_good) continue;
        read[each.rule].complain(each.key, each.what);
    }
}

void read_rule_limits(Section& section, detectors::RuleOptions& options) {
    read_count(section, "series_max", options.series_max);
    read_count(section, "points_per_series_max", options.points_per_series_max);
    options.end_after = section.seconds("end_after", options.end_after);
    options.idle_after = section.seconds("idle_after", options.idle_after);
    options.forget_after = section.seconds("forget_after", options.forget_after);
}

void read_traces(Section& section, detectors::TraceOptions& options) {
    options.window = section.duration("window", options.window, milliseconds{100});
    options.lateness = section.duration("lateness", options.lateness, milliseconds{0});
    read_count(section, "requests_min", options.requests_min);
    read_count(section, "merge_windows_max", options.merge_windows_max);
    read_count(section, "warmup_windows", options.warmup_windows);
    options.warmup_span = section.seconds("warmup_span", options.warmup_span);
    read_count(section, "history_windows", options.history_windows);
    read_count(section, "odd_windows", options.odd_windows);
    read_count(section, "calm_windows", options.calm_windows);
    options.threshold = section.number("threshold", options.threshold, 1, 1000);
    options.latency_seconds_min =
        section.number("latency_seconds_min", options.latency_seconds_min, 0, 3600);
    options.latency_factor_min =
        section.number("latency_factor_min", options.latency_factor_min, 1, 1000);
    options.error_ratio_min = section.number("error_ratio_min", options.error_ratio_min, 0, 1);
    options.traffic_factor_min =
        section.number("traffic_factor_min", options.traffic_factor_min, 1, 1000);
    options.adapt_after = section.seconds("adapt_after", options.adapt_after);
    options.end_after = section.seconds("end_after", options.end_after);
    options.idle_after = section.seconds("idle_after", options.idle_after);
    read_count(section, "services_max", options.services_max);
    read_count(section, "edges_max", options.edges_max);
    read_count(section, "spans_max", options.spans_max);
    read_count(section, "operations_max", options.operations_max, 1, 10'000);
    read_count(section, "operations_total_max", options.operations_total_max, 1, 1'000'000);
    read_count(section, "join_spans_max", options.join_spans_max);
    options.parent_wait = section.seconds("parent_wait", options.parent_wait);
    options.edge_gone_after = section.seconds("edge_gone_after", options.edge_gone_after);
    read_severity(section, "severity", options.severity);
    read_severity(section, "severity_traffic", options.severity_traffic);
    read_severity(section, "severity_known_edge", options.severity_known_edge);
    read_severity(section, "severity_operation", options.severity_operation);
    read_severity(section, "severity_parts", options.severity_parts);
    read_severity(section, "severity_map", options.severity_map);
    check(section, options, detectors::make_trace_detector);
}

void read_logs(Section& section, detectors::LogOptions& options) {
    options.window = section.duration("window", options.window, milliseconds{100});
    options.lateness = section.duration("lateness", options.lateness, milliseconds{0});
    read_count(section, "warmup_lines", options.warmup_lines);
    options.warmup_span = section.seconds("warmup_span", options.warmup_span);
    read_count(section, "new_severity_min", options.new_severity_min, 1, 24);
    read_count(section, "error_severity_min", options.error_severity_min, 1, 24);
    read_count(section, "burst_lines_min", options.burst_lines_min);
    options.threshold = section.number("threshold", options.threshold, 1, 1000);
    read_count(section, "odd_windows", options.odd_windows);
    read_count(section, "calm_windows", options.calm_windows);
    read_count(section, "history_windows", options.history_windows);
    options.adapt_after = section.seconds("adapt_after", options.adapt_after);
    options.end_after = section.seconds("end_after", options.end_after);
    options.idle_after = section.seconds("idle_after", options.idle_after);
    if (section.has("masks")) options.masks = section.texts("masks");
    if (section.has("session_attributes")) {
        options.session_attributes = section.texts("session_attributes");
    }
    read_count(section, "tokens_max", options.tokens_max, 1, 1000);
    read_count(section, "line_bytes_max", options.line_bytes_max, 16, 1 << 20);
    read_count(section, "services_max", options.services_max);
    read_count(section, "templates_per_service_max", options.templates_per_service_max);
    read_severity(section, "severity_new", options.severity_new);
    read_severity(section, "severity_burst", options.severity_burst);
    read_severity(section, "severity_shape", options.severity_shape);
    check(section, options, detectors::make_log_detector);
}

// What a rule speaks of deserves the deep detector.
void name_series(DetectConfig& config) {
    const auto name = [&config](const detectors::Selection& selection) {
        std::string pattern = selection.metric;
        for (std::size_t i = 0; i < selection.matchers.size(); ++i) {
            pattern += (i == 0 ? "{" : ",") + selection.matchers[i];
        }
        if (!selection.matchers.empty()) pattern += "}";
        // What is wrong with a rule its own check says.
        if (selection.metric.empty() || !detectors::parse_pattern(pattern)) return;
        config.metrics.deep.named.push_back(std::move(pattern));
        // A histogram is judged by the quantile that is made of its buckets.
        constexpr std::string_view kBucket = "_bucket";
        if (selection.metric.ends_with(kBucket)) {
            config.metrics.deep.named.push_back(
                selection.metric.substr(0, selection.metric.size() - kBucket.size()));
        }
    };
    for (const auto& rule : config.rules.rules) {
        name(rule.selection);
        if (rule.divide_by) name(*rule.divide_by);
    }
}

}  // namespace

void read_detect(Section& section, DetectConfig& config) {
    config.lateness_max = section.duration("lateness_max", config.lateness_max, milliseconds{0});
    section.child("metrics", [&config](Section& part) { read_metrics(part, config.metrics); });
    section.child("absence", [&config](Section& part) { read_absence(part, config.absence); });
    config.rules.evaluate_every =
        section.duration("evaluate_every", config.rules.evaluate_every, milliseconds{100});
    section.child("rule_limits",
                  [&config](Section& part) { read_rule_limits(part, config.rules); });
    check(section, config.rules, detectors::make_rule_detector);  // The limits: no rules yet.
    read_rules(section, config.rules);
    name_series(config);
    check(section, config.metrics, detectors::make_metrics_detector);
    section.child("traces", [&config](Section& part) { read_traces(part, config.traces); });
    section.child("logs", [&config](Section& part) { read_logs(part, config.logs); });
}

}  // namespace vigie::app
