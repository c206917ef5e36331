#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "schemas/series.h"
#include "schemas/telemetry.h"

namespace vigie::schemas {

// The label, or resource attribute, that says outright which entity is meant: "KIND:NAME".
inline constexpr std::string_view kSaidEntityLabel = "vigie.entity";

// Which entity labels speak of, as the configuration says it; entity_of() has what holds without.
struct IdentityRule {
    // "service:{app.kubernetes.io/name|app}", "deployment:{namespace}/{label_app}": names of labels
    // in braces, of which the first that is there and not empty is taken; without any the rule does
    // not match. ":host" behind them leaves out a port. "__name__" is the metric's name.
    std::string entity;
    // Labels that must be so for the rule to match: exact, "*" (there at all), or ending in "*".
    std::map<std::string, std::string> when;
};

// An immutable list of rules, of which the first that matches wins. For any thread.
class IdentityRules {
public:
    // kInvalid names the rule's entity and what is wrong with it.
    static Result<IdentityRules> create(const std::vector<IdentityRule>& rules);

    // "" when no rule matches: then entity_of() has the word.
    EntityId find(const Labels& labels, std::string_view metric = {}) const;

    bool empty() const { return rules_.empty(); }

private:
    // A piece of text, then the value of a label.
    struct Piece {
        std::string text;
        std::vector<std::string> labels;  // Any of them; none at the end
        bool host = false;
    };
    struct Rule {
        std::vector<Piece> pieces;
        std::map<std::string, std::string> when;
    };

    static Result<Rule> parse(const IdentityRule& rule);
    static bool applies(const Rule& rule, const Labels& labels, std::string_view metric);
    static std::string fill(const Rule& rule, const Labels& labels, std::string_view metric);

    std::vector<Rule> rules_;
};
// nullptr: none.
using Identity = std::shared_ptr<const IdentityRules>;

// Writes what the rules find into the label kSaidEntityLabel, which entity_of() believes first.
void identify(const Identity& identity, Labels& labels, std::string_view metric = {});
// What a rule finds, else as entity_of() without rules.
EntityId entity_of(const Identity& identity, const Labels& labels, std::string_view metric = {});

// Does the same for the series of an index, once for each that is new there.
class IdentifyingIndex final : public SeriesIndex {
public:
    // `index` must outlive it.
    IdentifyingIndex(SeriesIndex& index, Identity identity)
        : index_(index), identity_(std::move(identity)) {}

    std::optional<Known> find(std::uint64_t wire_hash) const override {
        return index_.find(wire_hash);
    }
    SeriesHandle add(std::uint64_t wire_hash, MetricKind kind, std::string_view metric,
                     const Labels& labels) override;

private:
    SeriesIndex& index_;
    const Identity identity_;
};

}  // namespace vigie::schemas
