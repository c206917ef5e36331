#include "detectors/rules.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "detectors/option_check.h"
#include "detectors/rule_finding.h"
#include "detectors/rule_state.h"
#include "detectors/rule_value.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Point;
using schemas::TimeSeries;

constexpr char kVersion = '2';
constexpr std::size_t kGroupBytesMax = 300;
constexpr std::chrono::hours kAheadMax{1};
constexpr std::chrono::seconds kSweepEvery{10};
constexpr EventTime kNever = event_time_from_micros(-62'100'000'000'000'000);

using Group = std::vector<const RuleSeries*>;  // By key, ascending.
using Groups = std::map<std::string, Group, std::less<>>;

struct CompiledRule {
    Rule rule;
    CompiledSelection selection;
    std::optional<CompiledSelection> divide_by;
    // Which series there are; rebuilt from the series after load().
    Groups groups;
    Groups divide_groups;
};

Result<CompiledRule> compile_rule(const Rule& rule) {
    const std::string name = fmt::format("rule '{}'", rule.name);
    OptionCheck check(name);
    check.require(!rule.name.empty(), "a rule needs a name");
    check.require(std::isfinite(rule.threshold), "threshold is not a number");
    check.require(std::isfinite(rule.divide_min) && rule.divide_min >= 0,
                  "divide_min must not be negative");
    check.span("for", rule.hold, std::chrono::milliseconds{0});
    check.span("keep_firing_for", rule.keep_firing, std::chrono::milliseconds{0});
    check.require(!rule.divide_by || rule.selection.aggregation != Aggregation::kAge,
                  "an age cannot be divided");
    VIGIE_TRY(check.status());
    auto selection = compile(rule.selection);
    if (!selection) return fail(std::move(selection).error().in(name));
    CompiledRule compiled{rule, *std::move(selection), std::nullopt, {}, {}};
    if (!rule.divide_by) return compiled;
    auto divide_by = compile(*rule.divide_by);
    if (!divide_by) return fail(std::move(divide_by).error().in(name + ": divide_by"));
    compiled.divide_by = *std::move(divide_by);
    return compiled;
}

std::string group_of(const Rule& rule, const RuleSeries& series) {
    if (rule.group_by.empty()) return cut(series.entity.value, kGroupBytesMax);
    std::string text;
    for (const auto& name : rule.group_by) {
        if (!text.empty()) text += ',';
        text += fmt::format("{}={}", name, schemas::label(series.labels, name));
    }
    return cut(text, kGroupBytesMax);
}

void insert_sorted(Group& group, const RuleSeries& series) {
    const auto at = std::ranges::lower_bound(group, series.key, {},
                                             [](const RuleSeries* each) { return each->key; });
    group.insert(at, &series);
}

class RuleDetector final : public Detector {
public:
    RuleDetector(RuleOptions options, std::vector<CompiledRule> rules)
        : options_(std::move(options)), rules_(std::move(rules)) {
        const auto note = [this](const CompiledSelection& selection) {
            metrics_.insert(selection.metric);
            window_max_ = std::max<EventClock::duration>(window_max_, selection.selection.window);
        };
        for (const CompiledRule& rule : rules_) {
            note(rule.selection);
            if (rule.divide_by) note(*rule.divide_by);
        }
    }

    using Detector::observe;
    void observe(std::span<const TimeSeries> batch, Findings& /*out*/) override {
        for (const TimeSeries& input : batch) {
            if (!metrics_.contains(input.metric)) continue;
            RuleSeries* series = find_or_add(input);
            if (series == nullptr) continue;
            for (const Point& point : input.points) take(*series, point);
        }
    }

    void observe(const SampleBatch& batch, Findings& out) override {
        if (metrics_.empty()) return;
        named_.resize(std::max<std::size_t>(named_.size(), batch.series.end()), Named::kUnknown);
        std::vector<schemas::Sample> wanted;
        for (const schemas::Sample& sample : batch.samples) {
            Named& named = named_[sample.series];
            if (named == Named::kUnknown) {
                named = metrics_.contains(batch.series.metric(sample.series)) ? Named::kByRule
                                                                              : Named::kByNone;
            }
            if (named == Named::kByRule) wanted.push_back(sample);
        }
        Detector::observe(SampleBatch{wanted, batch.series}, out);
    }

    void forget(std::span<const schemas::SeriesHandle> series) override {
        for (const schemas::SeriesHandle number : series) {
            if (number < named_.size()) named_[number] = Named::kUnknown;
        }
    }

    void advance(EventTime now, Findings& out) override {
        if (!plausible(now) || (has_now_ && now <= now_)) return;
        // While nobody called, nobody was silent either.
        if (!has_now_ || now - now_ > options_.end_after / 2) watching_since_ = now;
        now_ = now;
        has_now_ = true;
        if (evaluated_ && now_ - evaluated_at_ < options_.evaluate_every) return;
        evaluated_ = true;
        evaluated_at_ = now_;
        if (now_ - swept_at_ >= kSweepEvery) sweep();
        for (CompiledRule& rule : rules_) evaluate(rule, out);
        silence_removed_rules(out);
    }

    std::string save() const override;
    Status load(std::string_view saved) override;

    Counts counts() const override {
        Counts counts = counts_;
        counts.tracked = series_.size();
        return counts;
    }

private:
    using SeriesMap = std::map<std::string, RuleSeries, std::less<>>;
    using States = std::map<std::string, std::map<std::string, GroupState>>;  // By rule and group.

    RuleSeries* find_or_add(const TimeSeries& input) {
        std::string key = schemas::to_string(input.metric, input.labels);
        const auto found = series_.find(key);
        if (found != series_.end()) return &found->second;
        const bool wanted = std::ranges::any_of(rules_, [&input](const CompiledRule& rule) {
            return rule.selection.selects(input.metric, input.labels) ||
                   (rule.divide_by && rule.divide_by->selects(input.metric, input.labels));
        });
        if (!wanted) return nullptr;
        if (series_.size() >= options_.series_max) {
            counts_.dropped["series_max"] += input.points.size();
            return nullptr;
        }
        RuleSeries& series = series_[key];
        series.key = std::move(key);
        series.metric = input.metric;
        series.labels = input.labels;
        series.entity = schemas::entity_of(input.labels, input.metric);
        series.last_at = kNever;
        series.value_at = has_now_ ? now_ : EventTime{};
        index(series);
        return &series;
    }

    void index(const RuleSeries& series) {
        for (CompiledRule& rule : rules_) {
            if (rule.selection.selects(series.metric, series.labels)) {
                insert_sorted(rule.groups[group_of(rule.rule, series)], series);
            }
            if (rule.divide_by && rule.divide_by->selects(series.metric, series.labels)) {
                insert_sorted(rule.divide_groups[group_of(rule.rule, series)], series);
            }
        }
    }

    void rebuild_index() {
        for (CompiledRule& rule : rules_) {
            rule.groups.clear();
            rule.divide_groups.clear();
        }
        for (const auto& [key, series] : series_) index(series);
    }

    void take(RuleSeries& series, const Point& point) {
        if (!plausible(point.at) || (has_now_ && point.at - now_ > kAheadMax)) {
            ++counts_.dropped["bad_time"];
        } else if (point.at <= series.last_at) {
            ++counts_.dropped["late"];
        } else if (point.stale) {
            series.last_at = point.at;
            series.ended = true;
        } else if (!std::isfinite(point.value)) {
            ++counts_.dropped["not_finite"];
        } else {
            series.last_at = series.value_at = point.at;
            series.ended = false;
            series.points.push_back({point.at, point.value});
            while (series.points.front().at <= point.at - window_max_ - kAheadMax) {
                series.points.pop_front();
            }
            if (series.points.size() > options_.points_per_series_max) {
                series.points.pop_front();
                ++counts_.dropped["points_per_series_max"];
            }
        }
    }

    // Forgets points that no window reaches any more, and series that are silent for long.
    void sweep() {
        swept_at_ = now_;
        for (auto& [key, series] : series_) {
            auto& points = series.points;
            while (!points.empty() && points.front().at <= now_ - window_max_) points.pop_front();
        }
        const std::size_t removed = std::erase_if(series_, [this](const auto& each) {
            const RuleSeries& series = each.second;
            const auto silence = now_ - std::max(series.value_at, watching_since_);
            return silence > (has_age_rule(series) ? options_.forget_after : options_.idle_after);
        });
        if (removed > 0) rebuild_index();
        forget_silent();
    }

    // What fell silent is remembered until its data is back, however long its series are gone:
    // at most as many as there may be series. The one that was judged longest ago goes first.
    void forget_silent() {
        std::vector<std::tuple<EventTime, std::string, std::string>> silent;
        for (const auto& [rule, groups] : states_) {
            for (const auto& [name, state] : groups) {
                if (state.phase == Phase::kSilent) silent.emplace_back(state.judged_at, rule, name);
            }
        }
        if (silent.size() <= options_.series_max) return;
        const auto over = silent.begin() + static_cast<std::ptrdiff_t>(silent.size()) -
                          static_cast<std::ptrdiff_t>(options_.series_max);
        std::ranges::nth_element(silent, over);
        for (auto at = silent.begin(); at != over; ++at) {
            states_[std::get<1>(*at)].erase(std::get<2>(*at));
            ++counts_.dropped["forgotten"];
        }
    }

    bool has_age_rule(const RuleSeries& series) const {
        return std::ranges::any_of(rules_, [&series](const CompiledRule& rule) {
            return rule.rule.selection.aggregation == Aggregation::kAge &&
                   rule.selection.selects(series.metric, series.labels);
        });
    }

    std::optional<double> value_of_group(const CompiledRule& rule, const std::string& name,
                                         const Group& group) const {
        const Moment moment{now_, watching_since_, rule.rule.comparison, rule.rule.threshold};
        auto value = value_of(rule.selection.selection, group, moment);
        if (!rule.divide_by) return value;
        // Nothing of a part of what there is, is none of it: nobody counts errors before the first.
        if (!value && rule.selection.metric == rule.divide_by->metric) value = 0;
        if (!value) return value;
        const auto found = rule.divide_groups.find(name);
        if (found == rule.divide_groups.end()) return std::nullopt;
        const auto by = value_of(rule.divide_by->selection, found->second, moment);
        if (!by || *by == 0 || *by < rule.rule.divide_min) return std::nullopt;
        const double ratio = *value / *by;
        return std::isfinite(ratio) ? std::optional(ratio) : std::nullopt;
    }

    // The newest point that a value of the group can come from.
    static EventTime newest_of(const CompiledRule& rule, const std::string& name,
                               const Group& group) {
        EventTime newest = kNever;
        const auto look = [&newest](const Group& at) {
            for (const RuleSeries* series : at) {
                if (!series->points.empty()) newest = std::max(newest, series->points.back().at);
            }
        };
        look(group);
        const auto by = rule.divide_groups.find(name);
        if (by != rule.divide_groups.end()) look(by->second);
        return newest;
    }

    void evaluate(CompiledRule& rule, Findings& out) {
        auto& states = states_[rule.rule.name];
        for (const auto& [name, group] : rule.groups) {
            const auto value = value_of_group(rule, name, group);
            const bool odd = value && holds(rule.rule.comparison, *value, rule.rule.threshold);
            const EventTime newest = newest_of(rule, name, group);
            const auto known = states.find(name);
            // A window that runs empty is not calm: that takes data which was not there before.
            if (!value || (!odd && known != states.end() && newest <= known->second.data_at)) {
                if (known != states.end()) without_data(rule, name, known->second, out);
                continue;
            }
            GroupState& state = states[name];
            state.entity = group.front()->entity;
            if (odd) state.data_at = std::max(state.data_at, newest);
            judge(rule, name, state, *value, out);
        }
        for (auto& [name, state] : states) {
            if (!rule.groups.contains(name)) without_data(rule, name, state, out);
        }
        std::erase_if(states, [](const auto& each) {
            return each.second.phase == Phase::kQuiet && !each.second.since;
        });
    }

    void judge(const CompiledRule& rule, const std::string& name, GroupState& state, double value,
               Findings& out) {
        state.value = value;
        state.judged_at = now_;
        if (holds(rule.rule.comparison, value, rule.rule.threshold)) {
            if (!state.since) state.since = now_;
            state.false_since.reset();
            state.last_true = now_;
            if (state.phase == Phase::kFiring || now_ - *state.since < rule.rule.hold) return;
            state.phase = Phase::kFiring;
            out.anomalies.push_back(finding_of(rule.rule, name, state));
            return;
        }
        if (state.phase != Phase::kFiring) state.since.reset();
        if (state.phase == Phase::kQuiet) return;
        if (!state.false_since) state.false_since = now_;
        if (now_ - *state.false_since < rule.rule.keep_firing) return;
        state.phase = Phase::kQuiet;
        out.anomalies.push_back(finding_of(rule.rule, name, state));
        state.since.reset();
        state.false_since.reset();
    }

    // Nothing resolves on missing data, but nothing fires for ever without any.
    void without_data(const CompiledRule& rule, const std::string& name, GroupState& state,
                      Findings& out) {
        if (state.phase != Phase::kFiring) {
            state.since.reset();
            state.false_since.reset();
            return;
        }
        if (now_ - std::max(state.judged_at, watching_since_) < options_.end_after) return;
        fall_silent(rule.rule, name, state, out);
        out.anomalies.back().reason =
            fmt::format("no data for {}: no longer judged", span_text(options_.end_after));
    }

    static void fall_silent(const Rule& rule, const std::string& name, GroupState& state,
                            Findings& out) {
        state.phase = Phase::kSilent;
        out.anomalies.push_back(finding_of(rule, name, state));
        out.anomalies.back().ended = schemas::Ended::kSilent;
        state.since.reset();
        state.false_since.reset();
    }

    // Nobody judges by rules that the configuration no longer has; they may come back.
    void silence_removed_rules(Findings& out) {
        for (auto& [rule_name, groups] : states_) {
            const auto has_name = [&rule_name](const CompiledRule& rule) {
                return rule.rule.name == rule_name;
            };
            if (std::ranges::any_of(rules_, has_name)) continue;
            Rule gone;
            gone.name = rule_name;
            for (auto& [name, state] : groups) {
                if (state.phase != Phase::kFiring) continue;
                fall_silent(gone, name, state, out);
                out.anomalies.back().reason = "the rule was removed";
            }
            std::erase_if(groups,
                          [](const auto& each) { return each.second.phase == Phase::kQuiet; });
        }
        std::erase_if(states_, [](const auto& each) { return each.second.empty(); });
    }

    const RuleOptions options_;
    std::set<std::string, std::less<>> metrics_;  // Of all selections.
    // Whether the metric of a series is one of them, by number in the table of the samples.
    enum class Named : std::uint8_t { kUnknown, kByRule, kByNone };
    std::vector<Named> named_;
    EventClock::duration window_max_{0};
    std::vector<CompiledRule> rules_;  // Their groups point into `series_`.
    Counts counts_;

    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    bool evaluated_ = false;
    EventTime evaluated_at_;
    EventTime swept_at_;
    SeriesMap series_;
    States states_;
};

std::string RuleDetector::save() const {
    Encoder out;
    out.flag(has_now_);
    out.time(now_);
    out.time(watching_since_);
    out.flag(evaluated_);
    out.time(evaluated_at_);
    out.time(swept_at_);
    out.u64(series_.size());
    for (const auto& [key, series] : series_) save_series(series, out);
    out.u64(states_.size());
    for (const auto& [rule, groups] : states_) {
        out.text(rule);
        out.u64(groups.size());
        for (const auto& [name, state] : groups) {
            out.text(name);
            save_state(state, out);
        }
    }
    return std::move(out).seal(kVersion);
}

Status RuleDetector::load(std::string_view saved) {
    VIGIE_TRY_ASSIGN(auto in, Decoder::open(saved, kVersion, "rule detector"));
    const bool has_now = in.flag();
    const EventTime now = in.time();
    const EventTime watching_since = in.time();
    const bool evaluated = in.flag();
    const EventTime evaluated_at = in.time();
    const EventTime swept_at = in.time();
    SeriesMap series;
    for (std::size_t left = in.count(8); left > 0 && !in.failed(); --left) {
        RuleSeries each = load_series(in);
        std::string key = each.key;
        series.insert_or_assign(std::move(key), std::move(each));
    }
    States states;
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        auto& groups = states[in.text()];
        for (std::size_t each = in.count(8); each > 0 && !in.failed(); --each) {
            std::string name = in.text();
            groups.insert_or_assign(std::move(name), load_state(in));
        }
    }
    VIGIE_TRY(in.finish());
    has_now_ = has_now;
    now_ = now;
    watching_since_ = watching_since;
    evaluated_ = evaluated;
    evaluated_at_ = evaluated_at;
    swept_at_ = swept_at;
    series_ = std::move(series);
    states_ = std::move(states);
    rebuild_index();
    return {};
}

}  // namespace

Result<std::unique_ptr<Detector>> make_rule_detector(RuleOptions options) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    OptionCheck check("rule detector");
    check.span("evaluate_every", options.evaluate_every, milliseconds{100});
    check.range<std::size_t>("series_max", options.series_max, 1, 10'000'000);
    check.range<std::size_t>("points_per_series_max", options.points_per_series_max, 2, 10'000'000);
    check.span("end_after", options.end_after, seconds{1});
    check.span("idle_after", options.idle_after, options.end_after);
    check.span("forget_after", options.forget_after, options.idle_after);
    VIGIE_TRY(check.status());
    std::vector<CompiledRule> compiled;
    std::set<std::string> names;
    for (const Rule& rule : options.rules) {
        VIGIE_TRY_ASSIGN(auto each, compile_rule(rule));
        if (!names.insert(rule.name).second) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("rule '{}': another rule has the same name", rule.name));
        }
        compiled.push_back(std::move(each));
    }
    return std::make_unique<RuleDetector>(std::move(options), std::move(compiled));
}

}  // namespace vigie::detectors
