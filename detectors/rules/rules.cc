#include "detectors/rules/rules.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "detectors/option_check.h"
#include "detectors/rules/rule_condition.h"
#include "detectors/rules/rule_finding.h"
#include "detectors/rules/rule_state.h"
#include "detectors/rules/rule_value.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Point;
using schemas::TimeSeries;

constexpr char kVersion = '2';
constexpr std::chrono::hours kAheadMax{1};
constexpr std::chrono::seconds kSweepEvery{10};
constexpr EventTime kNever = event_time_from_micros(-62'100'000'000'000'000);

// A rule stands behind those it asks for. kInvalid for one that is not there, and for a circle.
Result<std::vector<Condition>> in_order_of_needs(std::vector<Condition> rules) {
    std::set<std::string> names;
    for (const Condition& rule : rules) names.insert(rule.rule().name);
    std::vector<Condition> ordered;
    std::set<std::string> done;
    while (!rules.empty()) {
        std::vector<Condition> left;
        for (Condition& rule : rules) {
            bool ready = true;
            for (const auto& need : rule.needs()) {
                if (!names.contains(need)) {
                    return fail(ErrorKind::kInvalid, fmt::format("rule '{}': there is no rule '{}'",
                                                                 rule.rule().name, need));
                }
                ready = ready && done.contains(need);
            }
            if (ready) done.insert(rule.rule().name);
            (ready ? ordered : left).push_back(std::move(rule));
        }
        if (left.size() == rules.size()) {
            return fail(ErrorKind::kInvalid, fmt::format("rule '{}': asks for itself, by way of "
                                                         "parent, all_of, any_of or none_of",
                                                         left.front().rule().name));
        }
        rules = std::move(left);
    }
    return ordered;
}

// Makes room in a series of which only the increase counts: every second point of its older half
// goes, but for those at a reset. No increase changes but at the ends of a window. False when
// that makes no room.
bool thin(RuleSeries& series) {
    if (!series.counts) return false;
    auto& points = series.points;
    const std::size_t half = points.size() / 2;
    std::deque<RulePoint> kept;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const bool inner = i > 0 && i < half && i % 2 == 1;
        const bool rises = inner && points[i - 1].value <= points[i].value &&
                           points[i].value <= points[i + 1].value;
        if (!rises) kept.push_back(points[i]);
    }
    if (kept.size() == points.size()) return false;
    points = std::move(kept);
    return true;
}

class RuleDetector final : public Detector {
public:
    RuleDetector(RuleOptions options, std::vector<Condition> rules)
        : options_(std::move(options)), rules_(std::move(rules)) {
        for (const Condition& rule : rules_) {
            metrics_.insert(rule.metrics().begin(), rule.metrics().end());
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
        const EventTime before = evaluated_ ? evaluated_at_ : kNever;
        evaluated_ = true;
        evaluated_at_ = now_;
        if (now_ - swept_at_ >= kSweepEvery) sweep();
        for (const Condition& rule : rules_) evaluate(rule, before, out);
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
    using States = std::map<std::string, GroupStates>;  // By rule and group.

    RuleSeries* find_or_add(const TimeSeries& input) {
        std::string key = schemas::to_string(input.metric, input.labels);
        const auto found = series_.find(key);
        if (found != series_.end()) return &found->second;
        const bool wanted = std::ranges::any_of(rules_, [&input](const Condition& rule) {
            return rule.selects(input.metric, input.labels);
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

    void index(RuleSeries& series) {
        series.keep = {};
        series.counts = true;
        for (Condition& rule : rules_) rule.index(series);
    }

    void rebuild_index() {
        for (Condition& rule : rules_) rule.clear_index();
        for (auto& [key, series] : series_) index(series);
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
            while (series.points.front().at <= point.at - series.keep - kAheadMax) {
                series.points.pop_front();
            }
            if (series.points.size() > options_.points_per_series_max && !thin(series)) {
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
            while (!points.empty() && points.front().at <= now_ - series.keep) points.pop_front();
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
        return std::ranges::any_of(rules_, [&series](const Condition& rule) {
            return rule.is_age() && rule.selects(series.metric, series.labels);
        });
    }

    void evaluate(const Condition& rule, EventTime before, Findings& out) {
        auto& states = states_[rule.rule().name];
        const StatesOf states_of = [this](const std::string& name) -> const GroupStates* {
            const auto found = states_.find(name);
            return found == states_.end() ? nullptr : &found->second;
        };
        bool ambiguous = false;
        const auto verdicts = rule.judge({now_, watching_since_, states_of, states}, ambiguous);
        if (ambiguous) ++counts_.dropped["ambiguous_match"];
        std::set<std::string_view> judged;
        for (const GroupVerdict& verdict : verdicts) {
            judged.insert(verdict.group);
            const auto known = states.find(verdict.group);
            // A window that runs empty is not calm: that takes data which was not there before.
            if (!verdict.value || (!verdict.odd && known != states.end() &&
                                   verdict.newest <= known->second.data_at)) {
                if (known != states.end()) {
                    without_data(rule.rule(), verdict.group, known->second, out);
                }
                continue;
            }
            GroupState& state = states[verdict.group];
            state.entity = verdict.entity;
            if (verdict.odd) state.data_at = std::max(state.data_at, verdict.newest);
            judge(rule.rule(), verdict, before, state, out);
        }
        for (auto& [name, state] : states) {
            if (!judged.contains(name)) without_data(rule.rule(), name, state, out);
        }
        std::erase_if(states, [](const auto& each) {
            return each.second.phase == Phase::kQuiet && !each.second.since;
        });
    }

    // Whether the rule's parent fires, so that this one is not told of.
    bool held_back(const Rule& rule, const EntityId& entity) const {
        if (rule.parent.empty()) return false;
        const auto found = states_.find(rule.parent);
        return found != states_.end() && std::ranges::any_of(found->second, [&](const auto& each) {
                   return each.second.phase == Phase::kFiring &&
                          (rule.parent_of_any || each.second.entity == entity);
               });
    }

    void judge(const Rule& rule, const GroupVerdict& verdict, EventTime before, GroupState& state,
               Findings& out) {
        state.value = *verdict.value;
        state.judged_at = now_;
        if (verdict.odd) {
            if (!state.since) state.since = now_;
            state.false_since.reset();
            state.last_true = now_;
            if (state.phase == Phase::kFiring || now_ - *state.since < rule.hold) return;
            if (held_back(rule, state.entity)) {
                const bool first = before < *state.since || before - *state.since < rule.hold;
                if (first) ++counts_.dropped["held_by_parent"];
                return;
            }
            state.phase = Phase::kFiring;
            out.anomalies.push_back(finding_of(rule, verdict.group, state));
            return;
        }
        if (state.phase != Phase::kFiring) state.since.reset();
        if (state.phase == Phase::kQuiet) return;
        if (!state.false_since) state.false_since = now_;
        if (now_ - *state.false_since < rule.keep_firing) return;
        state.phase = Phase::kQuiet;
        out.anomalies.push_back(finding_of(rule, verdict.group, state));
        state.since.reset();
        state.false_since.reset();
    }

    // Nothing resolves on missing data, but nothing fires for ever without any.
    void without_data(const Rule& rule, const std::string& name, GroupState& state, Findings& out) {
        if (state.phase != Phase::kFiring) {
            state.since.reset();
            state.false_since.reset();
            return;
        }
        if (now_ - std::max(state.judged_at, watching_since_) < options_.end_after) return;
        fall_silent(rule, name, state, out);
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
            const auto has_name = [&rule_name](const Condition& rule) {
                return rule.rule().name == rule_name;
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
    std::vector<Condition> rules_;  // In the order of their needs; they point into `series_`.
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
    std::vector<Condition> conditions;
    std::set<std::string> names;
    for (const Rule& rule : options.rules) {
        VIGIE_TRY_ASSIGN(auto each, Condition::create(rule));
        if (!names.insert(rule.name).second) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("rule '{}': another rule has the same name", rule.name));
        }
        conditions.push_back(std::move(each));
    }
    VIGIE_TRY_ASSIGN(auto ordered, in_order_of_needs(std::move(conditions)));
    return std::make_unique<RuleDetector>(std::move(options), std::move(ordered));
}

}  // namespace vigie::detectors
