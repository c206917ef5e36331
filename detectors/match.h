#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "schemas/telemetry.h"

// How rules and options say which series they mean. Globs stand in for regular expressions:
// "*" is any text, "?" one character, "|" separates alternatives; everything is anchored.
namespace vigie::detectors {

enum class MatchOp : std::uint8_t { kEqual, kNotEqual, kGlob, kNotGlob };  // = != =~ !~

// As in Prometheus a label that is not there has the value "".
struct LabelMatcher {
    std::string name;
    MatchOp op = MatchOp::kEqual;
    std::string value;
};

// "code=~5??", "job!=\"node\"": quotes are optional. kInvalid says what is wrong with it.
Result<LabelMatcher> parse_matcher(std::string_view text);

// A metric name glob and matchers that must all hold: "http_*{job=shop,code=~\"4??|5??\"}".
struct SeriesPattern {
    std::string metric = "*";
    std::vector<LabelMatcher> matchers;
};
Result<SeriesPattern> parse_pattern(std::string_view text);
Result<std::vector<SeriesPattern>> parse_patterns(const std::vector<std::string>& texts);

// Takes time in proportion to the product of both lengths at worst, and no memory.
bool glob_matches(std::string_view glob, std::string_view text);
bool matches(const std::vector<LabelMatcher>& matchers, const schemas::Labels& labels);
bool matches(const SeriesPattern& pattern, std::string_view metric, const schemas::Labels& labels);
bool matches_any(const std::vector<SeriesPattern>& patterns, std::string_view metric,
                 const schemas::Labels& labels);

}  // namespace vigie::detectors
