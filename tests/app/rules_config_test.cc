#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "app/config.h"

namespace {

using Lines = std::vector<std::string>;

// What is complained of in these rules, the first of which stands in line 3 from column 7 on.
Lines said_of(const std::string& rules) {
    const auto config = vigie::app::parse_config("detect:\n  rules:\n" + rules, "v.yaml", {});
    return config ? Lines{} : config.error().lines;
}

Lines said_of_one(const std::string& rule) {
    return said_of("    - " + rule + "\n");
}

}  // namespace

TEST_CASE("rules: what contradicts itself is refused where it stands", "[app]") {
    CHECK(said_of_one("{name: A, expr: 'up == 0', burn_rate: {bad: a, total: b}}") ==
          Lines{"v.yaml:3:34: detect.rules[0].burn_rate: a rule has one condition, and this one "
                "has expr and burn_rate"});
    CHECK(said_of_one("{name: A, expr: up, metric: up}") ==
          Lines{"v.yaml:3:17: detect.rules[0].expr: a rule has one condition, and this one has "
                "metric and expr"});
    CHECK(said_of("    - {name: A, expr: up}\n    - {name: B, expr: up, any_of: [A]}\n") ==
          Lines{"v.yaml:4:27: detect.rules[1].any_of: a rule has one condition, and this one has "
                "expr and any_of"});
    CHECK(said_of_one("{name: A, burn_rate: {bad: a, total: b, ticket: true, windows: [{long: 2h, "
                      "short: 10m}]}}") ==
          Lines{"v.yaml:3:61: detect.rules[0].burn_rate.windows: give ticket or windows, not both: "
                "ticket is 3 d and 6 h"});
    CHECK(said_of_one("{name: A, burn_rate: {bad: a, total: b, windows: [{long: 2h, short: 10m}]}}")
              .empty());
}

TEST_CASE("rules: what a rule lacks is named", "[app]") {
    CHECK(said_of_one("{name: A, burn_rate: {total: b}}") ==
          Lines{"v.yaml:3:17: detect.rules[0].burn_rate.bad: is missing"});
    CHECK(said_of_one("{name: A, burn_rate: {bad: a}}") ==
          Lines{"v.yaml:3:17: detect.rules[0].burn_rate.total: is missing"});
    CHECK(said_of_one("{name: A, burn_rate: {bad: 'a{', total: b}}") ==
          Lines{"v.yaml:3:29: detect.rules[0].burn_rate.bad: column 3: the expression "
                "ends too early"});
    CHECK(said_of_one("{name: A, burn_rate: {bad: a, total: b, windows: [{long: 1h}]}}") ==
          Lines{"v.yaml:3:57: detect.rules[0].burn_rate.windows[0].short: is missing"});
    CHECK(said_of_one("{name: A, expr: ''}") ==
          Lines{"v.yaml:3:17: detect.rules[0].expr: is empty"});
    CHECK(said_of_one("{name: A, metric: '', threshold: 1}") ==
          Lines{"v.yaml:3:17: detect.rules[0].metric: is empty"});
    CHECK(said_of_one("{expr: up == 0}") == Lines{"v.yaml:3:7: detect.rules[0].name: is missing"});
    CHECK(said_of_one("{name: A, metric: up}") ==
          Lines{"v.yaml:3:7: detect.rules[0].threshold: is missing"});
}

TEST_CASE("rules: a summary holds no placeholder that nobody fills in", "[app]") {
    const auto summary = [](const std::string& text) {
        return said_of_one("{name: A, expr: up == 0, summary: '" + text + "'}");
    };
    CHECK(summary("{label:job} of {entity} has {value}, not {threshold}; {} {a b} {").empty());
    CHECK(summary("{label:x") ==
          Lines{"v.yaml:3:32: detect.rules[0].summary: '{label:x' has no '}'"});
    CHECK(summary("{label:}") ==
          Lines{"v.yaml:3:32: detect.rules[0].summary: '{label:}' names no label"});
    CHECK(summary("a {foo}") ==
          Lines{"v.yaml:3:32: detect.rules[0].summary: '{foo}' is not filled in; known here: "
                "{entity}, {value}, {threshold}, {label:NAME}"});
}

TEST_CASE("rules: every mistake is told at once, each once and where it stands", "[app]") {
    const auto lines = said_of(R"(
    - {name: Good, expr: up == 0, parent: Missing}
    - {name: Good, expr: up == 1}
    - {name: Broken, expr: 'up >'}
    - {name: Round, all_of: [About]}
    - {name: About, any_of: [Round, Nothing]}
    - {name: Beside, all_of: [Round]}
    - {name: None}
    - {name: Match, metric: up, threshold: 1, matchers: [code]}
)");
    REQUIRE(lines.size() == 8);
    CHECK(lines[0] == "v.yaml:4:35: detect.rules[0].parent: there is no rule 'Missing'");
    CHECK(lines[1] == "v.yaml:5:8: detect.rules[1].name: another rule has the same name 'Good'");
    CHECK(lines[2] ==
          "v.yaml:6:22: detect.rules[2].expr: line 1, column 5: the expression ends too early");
    CHECK(lines[3] ==
          "v.yaml:7:7: detect.rules[3]: rule 'Round' asks for itself, by way of parent, "
          "all_of, any_of or none_of");
    CHECK(lines[4] == "v.yaml:8:21: detect.rules[4].any_of: there is no rule 'Nothing'");
    CHECK(lines[5].starts_with("v.yaml:8:7: detect.rules[4]: rule 'About' asks for itself"));
    CHECK(lines[6].starts_with("v.yaml:10:7: detect.rules[6]: needs one of"));
    CHECK(lines[7].starts_with("v.yaml:11:7: detect.rules[7]: "));
    CHECK(lines[7].find("'code'") != std::string::npos);
}
