#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "schemas/telemetry.h"

// Alertmanager's matchers: what chooses alerts by their labels, in silences, filters and routes.
// https://prometheus.io/docs/alerting/latest/configuration/#matcher
namespace vigie::schemas {

// The label by which matchers reach the entity of an alert or anomaly; no sender can set it.
inline constexpr std::string_view kEntityLabel = "vigie_entity";

struct Matcher {
    std::string name;
    std::string value;
    bool regex = false;  // The whole value must match, as in Alertmanager.
    bool equal = true;   // False: what does not match is chosen.

    bool operator==(const Matcher&) const = default;
};

// `name="value"`, with =, !=, =~ or !~; parse_matcher reads it back.
std::string to_string(const Matcher& matcher);
std::string to_string(std::span<const Matcher> matchers);  // {a="1",b=~"x|y"}

// One matcher as amtool and alertmanager.yml write it; quotes may be left out. kInvalid says what
// is wrong.
Result<Matcher> parse_matcher(std::string_view text);

// Several, with or without the braces, separated by commas.
Result<std::vector<Matcher>> parse_matchers(std::string_view text);

// A regular expression of RE2, which is that of Go, so what Alertmanager takes is taken and no
// expression takes more than linear time; compiled once. Immutable and safe to share.
class Pattern {
public:
    // kInvalid says what is wrong. An expression of more than `kPatternBytesMax` bytes, or one
    // that needs too much memory, is refused.
    static constexpr std::size_t kPatternBytesMax = 4096;
    static Result<Pattern> compile(std::string_view text);

    // Whether the whole of `text` matches.
    bool matches(std::string_view text) const;

private:
    struct Engine;
    std::shared_ptr<const Engine> engine_;
};

// Matchers that must all be met, ready to be asked. A label that is not there counts as "".
class MatcherSet {
public:
    MatcherSet() = default;  // Meets everything
    static Result<MatcherSet> compile(std::span<const Matcher> matchers);

    // `entity` is the value of kEntityLabel.
    bool matches(const Labels& labels, std::string_view entity) const;

private:
    struct One {
        Matcher matcher;
        std::optional<Pattern> pattern;
    };
    std::vector<One> all_;
};

}  // namespace vigie::schemas
