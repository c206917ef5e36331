#include "detectors/rules/rule_check.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "detectors/rules/rule_condition.h"

namespace vigie::detectors {

namespace {

struct Need {
    std::string_view key;
    std::string name;
};

std::vector<Need> needs_of(const Rule& rule) {
    std::vector<Need> needs;
    const auto add = [&needs](std::string_view key, const std::vector<std::string>& names) {
        for (const auto& name : names) needs.push_back({key, name});
    };
    add("all_of", rule.all_of);
    add("any_of", rule.any_of);
    add("none_of", rule.none_of);
    if (!rule.parent.empty()) needs.push_back({"parent", rule.parent});
    return needs;
}

std::optional<RuleComplaint> own_mistake(const Rule& rule, std::size_t index) {
    if (rule.name.empty()) return RuleComplaint{index, "name", "is missing", false};
    const auto made = Condition::create(rule);
    if (made) return std::nullopt;
    RuleComplaint complaint{index, "", made.error().message, false};
    // Where it stands says which rule it is.
    for (const auto& prefix : {fmt::format("rule '{}': ", rule.name), std::string("expr: ")}) {
        if (!complaint.what.starts_with(prefix)) continue;
        complaint.what.erase(0, prefix.size());
        if (prefix == "expr: ") complaint.key = "expr";
    }
    return complaint;
}

// The names of which each asks for itself, by way of others.
class Circles {
public:
    explicit Circles(const std::vector<Rule>& rules) {
        for (const Rule& rule : rules) {
            auto& asks = asks_[rule.name];
            for (auto& need : needs_of(rule)) asks.insert(std::move(need.name));
        }
        // What asks for none that is left is in no circle.
        for (std::size_t before = asks_.size() + 1; asks_.size() < before;) {
            before = asks_.size();
            for (auto at = asks_.begin(); at != asks_.end();) {
                const bool free = std::ranges::none_of(
                    at->second, [this](const auto& each) { return asks_.contains(each); });
                at = free ? asks_.erase(at) : std::next(at);
            }
        }
    }

    bool hold(const std::string& name) const {
        std::set<std::string> seen;
        std::vector<std::string> left{name};
        while (!left.empty()) {
            const auto found = asks_.find(left.back());
            left.pop_back();
            if (found == asks_.end()) continue;
            for (const auto& next : found->second) {
                if (next == name) return true;
                if (seen.insert(next).second) left.push_back(next);
            }
        }
        return false;
    }

private:
    std::map<std::string, std::set<std::string>> asks_;
};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

std::vector<RuleComplaint> complaints_about(const std::vector<Rule>& rules) {
    std::vector<RuleComplaint> out;
    std::set<std::string> names;
    for (const Rule& rule : rules) names.insert(rule.name);
    const Circles circles(rules);
    std::set<std::string> before;
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const Rule& rule = rules[i];
        if (auto mistake = own_mistake(rule, i)) out.push_back(*std::move(mistake));
        if (!rule.name.empty() && !before.insert(rule.name).second) {
            out.push_back(
                {i, "name", fmt::format("another rule has the same name '{}'", rule.name), true});
        }
        for (const Need& need : needs_of(rule)) {
            if (names.contains(need.name) && !need.name.empty()) continue;
            out.push_back(
                {i, std::string(need.key), fmt::format("there is no rule '{}'", need.name), true});
        }
        if (circles.hold(rule.name)) {
            out.push_back({i, "",
                           fmt::format("rule '{}' asks for itself, by way of parent, all_of, "
                                       "any_of or none_of",
                                       rule.name),
                           true});
        }
    }
    return out;
}

std::optional<std::string> wrong_in_summary(std::string_view summary) {
    constexpr std::string_view kLabel = "{label:";
    for (std::size_t at = summary.find('{'); at != std::string_view::npos;
         at = summary.find('{', at + 1)) {
        const std::string_view rest = summary.substr(at);
        const std::size_t end = rest.find('}');
        const std::string_view whole =
            end == std::string_view::npos ? rest : rest.substr(0, end + 1);
        if (rest.starts_with(kLabel)) {
            if (end == std::string_view::npos) {
                return fmt::format("'{}' has no '}}'", whole);
            }
            if (end == kLabel.size()) return fmt::format("'{}' names no label", whole);
            continue;
        }
        if (end == std::string_view::npos || end == 1) continue;
        if (!std::ranges::all_of(whole.substr(1, end - 1), is_letter)) continue;
        if (whole == "{entity}" || whole == "{value}" || whole == "{threshold}") continue;
        return fmt::format(
            "'{}' is not filled in; known here: {{entity}}, {{value}}, {{threshold}}, "
            "{{label:NAME}}",
            whole);
    }
    return std::nullopt;
}

}  // namespace vigie::detectors
