#include "detectors/rules/rule_condition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "detectors/option_check.h"
#include "detectors/rules/promql_eval.h"
#include "detectors/rules/promql_match.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kGroupBytesMax = 300;
constexpr EventTime kNever = event_time_from_micros(-62'100'000'000'000'000);

std::string group_of(const Rule& rule, const RuleSeries& series) {
    if (rule.group_by.empty()) return cut(series.entity.value, kGroupBytesMax);
    std::string text;
    for (const auto& name : rule.group_by) {
        if (!text.empty()) text += ',';
        text += fmt::format("{}={}", name, schemas::label(series.labels, name));
    }
    return cut(text, kGroupBytesMax);
}

void insert_sorted(std::vector<const RuleSeries*>& group, const RuleSeries& series) {
    const auto at = std::ranges::lower_bound(group, series.key, {},
                                             [](const RuleSeries* each) { return each->key; });
    group.insert(at, &series);
}

// Long ones are told apart by a hash.
std::string name_of(const schemas::Labels& labels) {
    std::string text = schemas::to_string("", labels);
    if (text.size() <= kGroupBytesMax) return text;
    return fmt::format("{}#{:016x}", cut(text, kGroupBytesMax - 20), fnv1a64(text));
}

bool counts_only(promql::Function function) {
    return function == promql::Function::kRate || function == promql::Function::kIncrease;
}

bool counts_only(Aggregation aggregation) {
    return aggregation == Aggregation::kRate || aggregation == Aggregation::kIncrease ||
           aggregation == Aggregation::kQuantile;
}

// The value of an expression without series.
std::optional<double> constant_of(const promql::Expression& expression) {
    using promql::Kind;
    if (expression.kind == Kind::kNumber) return expression.number;
    if (expression.type != promql::Type::kScalar || expression.kind == Kind::kCall) return {};
    std::vector<double> values;
    for (const auto& operand : expression.operands) {
        const auto value = constant_of(*operand);
        if (!value) return {};
        values.push_back(*value);
    }
    if (expression.kind == Kind::kNegate) return -values.front();
    if (expression.kind != Kind::kBinary) return {};
    return promql::calculated(expression.op, values[0], values[1]);
}

struct Limit {
    Comparison comparison;
    double threshold;
};

std::optional<Comparison> comparison_of(promql::Operator op, bool flipped) {
    using promql::Operator;
    switch (op) {
        case Operator::kAbove: return flipped ? Comparison::kBelow : Comparison::kAbove;
        case Operator::kAtLeast: return flipped ? Comparison::kAtMost : Comparison::kAtLeast;
        case Operator::kBelow: return flipped ? Comparison::kAbove : Comparison::kBelow;
        case Operator::kAtMost: return flipped ? Comparison::kAtLeast : Comparison::kAtMost;
        case Operator::kEqual: return Comparison::kEqual;
        case Operator::kNotEqual: return Comparison::kNotEqual;
        default: return std::nullopt;
    }
}

// The comparison with a number that gives the value its limit: of `a > 1 and b > 2` the first.
std::optional<Limit> limit_of(const promql::Expression& expression) {
    if (expression.kind != promql::Kind::kBinary) return {};
    if (promql::is_set(expression.op)) return limit_of(*expression.operands[0]);
    const auto left = constant_of(*expression.operands[0]);
    const auto right = constant_of(*expression.operands[1]);
    const auto comparison = comparison_of(expression.op, left.has_value());
    if (!comparison || expression.as_bool || left.has_value() == right.has_value()) return {};
    return Limit{*comparison, left ? *left : *right};
}

enum class Answer : std::uint8_t { kNo, kUnknown, kYes };

// Whether a rule fires for an entity; unknown when it fell silent.
Answer answer_of(const GroupStates* states, const EntityId& entity) {
    Answer answer = Answer::kNo;
    if (states == nullptr) return answer;
    for (const auto& [group, state] : *states) {
        if (state.entity != entity) continue;
        if (state.phase == Phase::kFiring) return Answer::kYes;
        if (state.phase == Phase::kSilent) answer = Answer::kUnknown;
    }
    return answer;
}

}  // namespace

Result<Condition> Condition::create(Rule rule) {
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
    const bool composite = !rule.all_of.empty() || !rule.any_of.empty();
    const int kinds = (rule.selection.metric.empty() ? 0 : 1) + (rule.expression.empty() ? 0 : 1) +
                      (composite ? 1 : 0);
    check.require(kinds == 1, "needs one of metric, expr, burn_rate, or all_of and any_of");
    check.require(composite || rule.none_of.empty(), "none_of needs all_of or any_of beside it");
    VIGIE_TRY(check.status());
    Condition condition(std::move(rule));
    Status compiled;
    if (!condition.rule_.expression.empty()) {
        compiled = condition.compile_expression();
    } else if (!composite) {
        compiled = condition.compile_selection();
    } else {
        condition.rule_.threshold = std::numeric_limits<double>::quiet_NaN();
    }
    if (!compiled) return fail(std::move(compiled).error().in(name));
    return condition;
}

Status Condition::compile_selection() {
    VIGIE_TRY_ASSIGN(selection_, compile(rule_.selection));
    metrics_.insert(selection_->metric);
    if (!rule_.divide_by) return {};
    auto divide_by = compile(*rule_.divide_by);
    if (!divide_by) return fail(std::move(divide_by).error().in("divide_by"));
    divide_by_ = *std::move(divide_by);
    metrics_.insert(divide_by_->metric);
    return {};
}

Status Condition::compile_expression() {
    auto tree = promql::parse(rule_.expression);
    if (!tree) {
        const auto place = promql::place_of(rule_.expression, tree.error().at);
        return fail(ErrorKind::kInvalid, fmt::format("expr: line {}, column {}: {}", place.line,
                                                     place.column, tree.error().what));
    }
    tree_ = *std::move(tree);
    if (tree_->type != promql::Type::kVector) {
        return fail(ErrorKind::kInvalid, "expr: gives no series: compare something with a number");
    }
    add_selectors(*tree_, false);
    for (Selector& selector : selectors_) {
        VIGIE_TRY_ASSIGN(selector.matchers,
                         schemas::MatcherSet::compile(selector.expression->matchers));
    }
    selected_.resize(selectors_.size());
    const auto limit = limit_of(*tree_);
    rule_.threshold = limit ? limit->threshold : std::numeric_limits<double>::quiet_NaN();
    if (limit) rule_.comparison = limit->comparison;
    return {};
}

void Condition::add_selectors(const promql::Expression& expression, bool counts) {
    if (expression.kind == promql::Kind::kSelector) {
        const bool range = expression.type == promql::Type::kRange;
        Selector selector;
        selector.expression = &expression;
        selector.keep = (range ? expression.range : promql::kLookback) + expression.offset;
        selector.counts = range ? counts : expression.offset.count() == 0;
        metrics_.insert(expression.metric);
        selectors_.push_back(std::move(selector));
        return;
    }
    const bool counting =
        expression.kind == promql::Kind::kCall && counts_only(expression.function);
    for (const auto& operand : expression.operands) add_selectors(*operand, counting);
}

std::vector<std::string> Condition::needs() const {
    std::vector<std::string> names = rule_.all_of;
    names.insert(names.end(), rule_.any_of.begin(), rule_.any_of.end());
    names.insert(names.end(), rule_.none_of.begin(), rule_.none_of.end());
    if (!rule_.parent.empty()) names.push_back(rule_.parent);
    return names;
}

bool Condition::selects(const std::string& metric, const schemas::Labels& labels) const {
    if (!metrics_.contains(metric)) return false;
    if (selection_) {
        return selection_->selects(metric, labels) ||
               (divide_by_ && divide_by_->selects(metric, labels));
    }
    return std::ranges::any_of(selectors_, [&](const Selector& selector) {
        return selector.expression->metric == metric && selector.matchers.matches(labels, {});
    });
}

void Condition::index(RuleSeries& series) {
    const auto keep = [&series](EventClock::duration span, bool counts) {
        series.keep = std::max(series.keep, span);
        series.counts = series.counts && counts;
    };
    const auto add = [&](const CompiledSelection& selection, Groups& groups) {
        if (!selection.selects(series.metric, series.labels)) return;
        insert_sorted(groups[group_of(rule_, series)], series);
        keep(selection.selection.window, counts_only(selection.selection.aggregation));
    };
    if (selection_) add(*selection_, groups_);
    if (divide_by_) add(*divide_by_, divide_groups_);
    for (const Selector& selector : selectors_) {
        if (selector.expression->metric != series.metric) continue;
        if (!selector.matchers.matches(series.labels, {})) continue;
        insert_sorted(selected_[selector.expression->selector], series);
        keep(selector.keep, selector.counts);
    }
}

void Condition::clear_index() {
    groups_.clear();
    divide_groups_.clear();
    for (Group& group : selected_) group.clear();
}

std::vector<GroupVerdict> Condition::judge(const At& at, bool& ambiguous) const {
    if (tree_) return judge_expression(at, ambiguous);
    return selection_ ? judge_selection(at) : judge_others(at);
}

std::vector<GroupVerdict> Condition::judge_selection(const At& at) const {
    std::vector<GroupVerdict> out;
    out.reserve(groups_.size());
    for (const auto& [name, group] : groups_) {
        const auto value = value_of_group(name, group, at);
        const bool odd = value && holds(rule_.comparison, *value, rule_.threshold);
        out.push_back({name, group.front()->entity, value, odd, newest_of(name, group)});
    }
    return out;
}

std::optional<double> Condition::value_of_group(const std::string& name, const Group& group,
                                                const At& at) const {
    const Moment moment{at.now, at.watching_since, rule_.comparison, rule_.threshold};
    auto value = value_of(selection_->selection, group, moment);
    if (!divide_by_) return value;
    // Nothing of a part of what there is, is none of it: nobody counts errors before the first.
    if (!value && selection_->metric == divide_by_->metric) value = 0;
    if (!value) return value;
    const auto found = divide_groups_.find(name);
    if (found == divide_groups_.end()) return std::nullopt;
    const auto by = value_of(divide_by_->selection, found->second, moment);
    if (!by || *by == 0 || *by < rule_.divide_min) return std::nullopt;
    const double ratio = *value / *by;
    return std::isfinite(ratio) ? std::optional(ratio) : std::nullopt;
}

EventTime Condition::newest_of(const std::string& name, const Group& group) const {
    EventTime newest = kNever;
    const auto look = [&newest](const Group& in) {
        for (const RuleSeries* series : in) {
            if (!series->points.empty()) newest = std::max(newest, series->points.back().at);
        }
    };
    look(group);
    const auto by = divide_groups_.find(name);
    if (by != divide_groups_.end()) look(by->second);
    return newest;
}

std::vector<GroupVerdict> Condition::judge_expression(const At& at, bool& ambiguous) const {
    const auto elements = promql::evaluate(*tree_, {at.now, at.watching_since, selected_});
    if (!elements) {
        ambiguous = true;
        return {};
    }
    std::vector<GroupVerdict> out;
    out.reserve(elements->size());
    for (const promql::Element& each : *elements) {
        GroupVerdict verdict;
        verdict.group = name_of(each.labels);
        verdict.entity = entity_of(each.labels, each.entity);
        verdict.odd = each.holds;
        verdict.newest = each.newest;
        if (each.holds || !std::isnan(each.value)) verdict.value = finite(each.value);
        out.push_back(std::move(verdict));
    }
    return out;
}

// The series', else that of the labels that are left, else the rule itself.
EntityId Condition::entity_of(const schemas::Labels& labels, const EntityId& common) const {
    if (!common.empty()) return common;
    EntityId entity = schemas::entity_of(labels);
    return entity.empty() ? make_entity("rule", rule_.name) : entity;
}

std::vector<GroupVerdict> Condition::judge_others(const At& at) const {
    std::map<std::string, EntityId> entities;
    for (const auto& [group, state] : at.own) entities.emplace(group, state.entity);
    for (const auto* names : {&rule_.all_of, &rule_.any_of}) {
        for (const auto& name : *names) {
            const GroupStates* const states = at.states_of(name);
            if (states == nullptr) continue;
            for (const auto& [group, state] : *states) {
                entities.emplace(cut(state.entity.value, kGroupBytesMax), state.entity);
            }
        }
    }
    std::vector<GroupVerdict> out;
    out.reserve(entities.size());
    for (const auto& [group, entity] : entities) {
        Answer all = Answer::kYes;
        Answer any = rule_.any_of.empty() ? Answer::kYes : Answer::kNo;
        double firing = 0;
        const auto ask = [&](const std::string& name) {
            const Answer answer = answer_of(at.states_of(name), entity);
            if (answer == Answer::kYes) ++firing;
            return answer;
        };
        for (const auto& name : rule_.all_of) all = std::min(all, ask(name));
        for (const auto& name : rule_.any_of) any = std::max(any, ask(name));
        Answer answer = std::min(all, any);
        for (const auto& name : rule_.none_of) {
            if (answer_of(at.states_of(name), entity) == Answer::kYes) answer = Answer::kNo;
        }
        GroupVerdict verdict{group, entity, {}, answer == Answer::kYes, at.now};
        if (answer != Answer::kUnknown) verdict.value = firing;
        out.push_back(std::move(verdict));
    }
    return out;
}

}  // namespace vigie::detectors
