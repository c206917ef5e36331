#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detectors/rules/rules.h"

// What is wrong with rules, all of it, so that a person mends it in one go.
namespace vigie::detectors {

struct RuleComplaint {
    std::size_t rule = 0;  // Its place in the list that was checked.
    std::string key;       // The option it is about, as the configuration names it; "": the rule.
    std::string what;
    bool between = false;  // It is about how this rule stands to the others, not about the rule.
};

// Each rule's own first mistake, and every one between rules: a name that is given twice, a rule
// that is asked for and is not there, rules that ask for each other in a circle. In the order of
// the rules. When there is none, make_rule_detector takes the rules.
std::vector<RuleComplaint> complaints_about(const std::vector<Rule>& rules);

// The first placeholder of a rule's summary that would never be filled in: "{foo}", "{label:x"
// without its end. Braces with anything but a word between them are text.
std::optional<std::string> wrong_in_summary(std::string_view summary);

}  // namespace vigie::detectors
