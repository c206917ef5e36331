#include "responders/agent/facts.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "responders/agent/text.h"

namespace vigie::agent {

namespace {

constexpr std::string_view kFactPrefix = "fact.";

Result<std::string> value_of(std::string_view name, const Bindings& bindings) {
    if (name == "entity") return bindings.entry.entity.value;
    if (name == "entity.name") return std::string(entity_name(bindings.entry.entity));
    if (name.starts_with(kFactPrefix)) {
        const auto found = bindings.facts.find(std::string(name.substr(kFactPrefix.size())));
        if (found != bindings.facts.end()) return found->second;
        return fail(ErrorKind::kNotFound, fmt::format("the inspection did not find the fact {}",
                                                      name.substr(kFactPrefix.size())));
    }
    const auto found = bindings.entry.attributes.find(std::string(name));
    if (found != bindings.entry.attributes.end()) return found->second;
    return fail(ErrorKind::kNotFound, fmt::format("the inventory gives {} no attribute {}",
                                                  bindings.entry.entity.value, name));
}

std::optional<double> to_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

struct Comparison {
    std::string_view fact;
    std::string_view how;
    std::string_view value;
};

Result<Comparison> parse_comparison(std::string_view text) {
    const auto invalid = [text] {
        return fail(ErrorKind::kInvalid,
                    fmt::format("precondition '{}' is not 'fact == value', 'fact != value', "
                                "'fact > n', 'fact < n' or 'fact exists'",
                                clean(text)));
    };
    const auto first = text.find(' ');
    if (first == 0 || first == std::string_view::npos) return invalid();
    const auto rest = text.substr(first + 1);
    const auto second = rest.find(' ');
    Comparison parsed{text.substr(0, first), rest.substr(0, second), {}};
    if (second != std::string_view::npos) parsed.value = rest.substr(second + 1);
    if (parsed.how == "exists") {
        if (second != std::string_view::npos) return invalid();
        return parsed;
    }
    if (parsed.how == "==" || parsed.how == "!=") return parsed;
    if ((parsed.how == ">" || parsed.how == "<") && !parsed.value.empty()) return parsed;
    return invalid();
}

bool compare(std::string_view how, const std::string& found, const std::string& wanted) {
    if (how == "==") return found == wanted;
    if (how == "!=") return found != wanted;
    const auto a = to_number(found);
    const auto b = to_number(wanted);
    if (!a || !b) return false;
    return how == ">" ? *a > *b : *a < *b;
}

}  // namespace

Result<std::string> resolve(std::string_view text, const Bindings& bindings) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto open = text.find_first_of("{}", at);
        out += text.substr(at, open - at);
        if (open == std::string_view::npos) break;
        const auto close = text.find_first_of("{}", open + 1);
        if (text[open] == '}' || close == std::string_view::npos || text[close] == '{') {
            return fail(ErrorKind::kInvalid,
                        fmt::format("template '{}' has a brace without its partner", clean(text)));
        }
        VIGIE_TRY_ASSIGN(const auto value,
                         value_of(text.substr(open + 1, close - open - 1), bindings));
        if (value.size() > kTextBytesMax || clean(value, value.size() + 4) != value) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("the value of '{}' is too long or has control characters",
                                    clean(text)));
        }
        out += value;
        at = close + 1;
    }
    return out;
}

bool needs_facts(std::string_view text) {
    return text.find("{fact.") != std::string_view::npos;
}

Status holds(std::string_view precondition, const Bindings& bindings) {
    VIGIE_TRY_ASSIGN(const auto parsed, parse_comparison(precondition));
    auto wanted = resolve(parsed.value, bindings);
    if (!wanted && wanted.error().kind == ErrorKind::kInvalid) return fail(wanted.error());
    const auto refused = [precondition](std::string_view why) {
        return fail(ErrorKind::kRefused,
                    fmt::format("precondition '{}' does not hold: {}", clean(precondition), why));
    };
    const auto found = bindings.facts.find(std::string(parsed.fact));
    if (found == bindings.facts.end()) {
        return refused(fmt::format("the fact {} is not known", parsed.fact));
    }
    if (parsed.how == "exists") return {};
    if (!wanted) return refused(wanted.error().message);
    if (compare(parsed.how, found->second, *wanted)) return {};
    return refused(fmt::format("{} is '{}'", parsed.fact, clean(found->second, kNameBytesMax)));
}

}  // namespace vigie::agent
