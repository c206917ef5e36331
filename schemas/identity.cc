#include "schemas/identity.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "schemas/host_port.h"

namespace vigie::schemas {

namespace {

constexpr std::string_view kMetricName = "__name__";
constexpr std::string_view kHost = ":host";
constexpr std::size_t kEntityBytesMax = 512;

std::string_view value_of(const Labels& labels, std::string_view metric, std::string_view name) {
    return name == kMetricName ? metric : label(labels, name);
}

bool matches(std::string_view pattern, std::string_view value) {
    if (value.empty()) return false;
    if (pattern.ends_with('*')) return value.starts_with(pattern.substr(0, pattern.size() - 1));
    return value == pattern;
}

std::vector<std::string> split(std::string_view text, char by) {
    std::vector<std::string> parts;
    while (true) {
        const auto end = text.find(by);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

Result<IdentityRules> IdentityRules::create(const std::vector<IdentityRule>& rules) {
    IdentityRules made;
    for (const auto& rule : rules) {
        VIGIE_TRY_ASSIGN(auto parsed, parse(rule));
        made.rules_.push_back(std::move(parsed));
    }
    return made;
}

Result<IdentityRules::Rule> IdentityRules::parse(const IdentityRule& rule) {
    const auto wrong = [&](std::string_view why) {
        return fail(ErrorKind::kInvalid, fmt::format("'{}': {}", rule.entity, why));
    };
    const auto colon = rule.entity.find(':');
    const auto brace = rule.entity.find('{');
    if (colon == std::string::npos || colon == 0 || brace < colon) {
        return wrong("must be KIND:NAME, for example service:{app}");
    }
    Rule parsed;
    parsed.when = rule.when;
    std::string_view rest = rule.entity;
    bool any = false;
    while (!rest.empty()) {
        Piece piece;
        const auto open = rest.find('{');
        piece.text = rest.substr(0, open);
        if (piece.text.find('}') != std::string::npos) return wrong("'}' without '{'");
        if (open == std::string_view::npos) {
            parsed.pieces.push_back(std::move(piece));
            break;
        }
        const auto close = rest.find('}', open);
        if (close == std::string_view::npos) return wrong("'{' without '}'");
        auto names = rest.substr(open + 1, close - open - 1);
        if (names.ends_with(kHost)) {
            piece.host = true;
            names.remove_suffix(kHost.size());
        }
        piece.labels = split(names, '|');
        const bool good = std::ranges::none_of(piece.labels, [](const std::string& name) {
            return name.empty() || name.find('{') != std::string::npos;
        });
        if (!good) return wrong("a label without a name");
        any = true;
        parsed.pieces.push_back(std::move(piece));
        rest.remove_prefix(close + 1);
    }
    if (!any) return wrong("names no label in braces: everything would be one entity");
    return parsed;
}

bool IdentityRules::applies(const Rule& rule, const Labels& labels, std::string_view metric) {
    return std::ranges::all_of(rule.when, [&](const auto& each) {
        return matches(each.second, value_of(labels, metric, each.first));
    });
}

std::string IdentityRules::fill(const Rule& rule, const Labels& labels, std::string_view metric) {
    std::string out;
    for (const Piece& piece : rule.pieces) {
        out += piece.text;
        if (piece.labels.empty()) continue;
        std::string_view value;
        for (const auto& name : piece.labels) {
            value = value_of(labels, metric, name);
            if (!value.empty()) break;
        }
        if (piece.host) value = detail::without_port(value);
        if (value.empty()) return {};
        out += value;
    }
    return out.size() <= kEntityBytesMax ? out : std::string();
}

EntityId IdentityRules::find(const Labels& labels, std::string_view metric) const {
    for (const Rule& rule : rules_) {
        if (!applies(rule, labels, metric)) continue;
        if (auto found = fill(rule, labels, metric); !found.empty()) return {std::move(found)};
    }
    return {};
}

void identify(const Identity& identity, Labels& labels, std::string_view metric) {
    if (!identity || identity->empty()) return;
    EntityId found = identity->find(labels, metric);
    if (found.empty()) return;
    const auto place = std::ranges::lower_bound(labels, kSaidEntityLabel, {}, [](const auto& pair) {
        return std::string_view(pair.first);
    });
    if (place != labels.end() && place->first == kSaidEntityLabel) {
        place->second = std::move(found.value);
    } else {
        labels.insert(place, {std::string(kSaidEntityLabel), std::move(found.value)});
    }
}

EntityId entity_of(const Identity& identity, const Labels& labels, std::string_view metric) {
    if (identity) {
        if (auto found = identity->find(labels, metric); !found.empty()) return found;
    }
    return entity_of(labels, metric);
}

SeriesHandle IdentifyingIndex::add(std::uint64_t wire_hash, MetricKind kind,
                                   std::string_view metric, const Labels& labels) {
    if (!identity_ || identity_->empty()) return index_.add(wire_hash, kind, metric, labels);
    Labels identified = labels;
    identify(identity_, identified, metric);
    return index_.add(wire_hash, kind, metric, identified);
}

}  // namespace vigie::schemas
