#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rule_state.h"
#include "detectors/rules/rule_value.h"
#include "detectors/rules/rules.h"
#include "schemas/matchers.h"

namespace vigie::detectors {

// What a rule says of one group at one moment.
struct GroupVerdict {
    std::string group;
    EntityId entity;
    std::optional<double> value;  // Nothing: there is too little data to say.
    bool odd = false;
    EventTime newest;  // The newest point that the value can come from.
};

// How the groups of another rule stand; nullptr when none of them is known.
using GroupStates = std::map<std::string, GroupState>;
using StatesOf = std::function<const GroupStates*(const std::string& rule)>;

// The condition of one rule: a selection with a comparison, an expression, or the states of other
// rules. It keeps pointers to the series it selects, which the caller owns and must clear when
// they go.
class Condition {
public:
    // kInvalid says what is wrong with the rule.
    static Result<Condition> create(Rule rule);

    // With comparison and threshold as the expression has them; a threshold of NaN when it has
    // none.
    const Rule& rule() const { return rule_; }
    std::vector<std::string> needs() const;  // Names of the rules it asks for.
    const std::set<std::string, std::less<>>& metrics() const { return metrics_; }

    bool selects(const std::string& metric, const schemas::Labels& labels) const;
    // Adds the series where it is selected, and tells the series for how long to keep points.
    void index(RuleSeries& series);
    void clear_index();
    bool is_age() const { return rule_.selection.aggregation == Aggregation::kAge; }

    struct At {
        EventTime now;
        EventTime watching_since;
        const StatesOf& states_of;
        const GroupStates& own;
    };
    // Sets `ambiguous` when the labels of an expression do not match one to one.
    std::vector<GroupVerdict> judge(const At& at, bool& ambiguous) const;

private:
    using Group = std::vector<const RuleSeries*>;  // By key, ascending.
    using Groups = std::map<std::string, Group, std::less<>>;

    // One selector of an expression.
    struct Selector {
        const promql::Expression* expression = nullptr;  // In `tree_`.
        schemas::MatcherSet matchers;
        EventClock::duration keep{0};
        bool counts = false;  // Only the increase of counters is asked for.
    };

    explicit Condition(Rule rule) : rule_(std::move(rule)) {}
    Status compile_selection();
    Status compile_expression();
    void add_selectors(const promql::Expression& expression, bool counts);
    std::vector<GroupVerdict> judge_selection(const At& at) const;
    std::vector<GroupVerdict> judge_expression(const At& at, bool& ambiguous) const;
    std::vector<GroupVerdict> judge_others(const At& at) const;
    std::optional<double> value_of_group(const std::string& name, const Group& group,
                                         const At& at) const;
    EventTime newest_of(const std::string& name, const Group& group) const;
    EntityId entity_of(const schemas::Labels& labels, const EntityId& common) const;

    Rule rule_;
    std::set<std::string, std::less<>> metrics_;
    // Of a selection.
    std::optional<CompiledSelection> selection_;
    std::optional<CompiledSelection> divide_by_;
    Groups groups_;
    Groups divide_groups_;
    // Of an expression.
    promql::ExpressionPtr tree_;
    std::vector<Selector> selectors_;
    std::vector<Group> selected_;  // By the number of the selector.
};

}  // namespace vigie::detectors
