#include "detectors/match.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace vigie::detectors {

namespace {

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

bool is_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
               c == ':' || c == '-' || c == '/';
    });
}

// One alternative, by backtracking to the last star only.
bool one_glob_matches(std::string_view glob, std::string_view text) {
    std::size_t g = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (t < text.size()) {
        if (g < glob.size() && glob[g] == '*') {
            star = g++;
            star_text = t;
        } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
            ++g;
            ++t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (g < glob.size() && glob[g] == '*') ++g;
    return g == glob.size();
}

// The position of the next comma outside quotes, or the end.
std::size_t find_comma(std::string_view text) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"') quoted = !quoted;
        if (text[i] == ',' && !quoted) return i;
    }
    return text.size();
}

}  // namespace

Result<LabelMatcher> parse_matcher(std::string_view text) {
    const auto invalid = [text](std::string_view why) {
        return fail(ErrorKind::kInvalid, fmt::format("label matcher '{}': {}", text, why));
    };
    const std::size_t at = text.find_first_of("=!");
    if (at == std::string_view::npos) return invalid("needs one of = != =~ !~");
    LabelMatcher matcher;
    matcher.name = trim(text.substr(0, at));
    if (!is_name(matcher.name)) return invalid("its label name is empty or has odd characters");
    std::string_view rest = text.substr(at);
    const auto take = [&rest](std::string_view op) {
        if (!rest.starts_with(op)) return false;
        rest.remove_prefix(op.size());
        return true;
    };
    if (take("=~")) {
        matcher.op = MatchOp::kGlob;
    } else if (take("!~")) {
        matcher.op = MatchOp::kNotGlob;
    } else if (take("!=")) {
        matcher.op = MatchOp::kNotEqual;
    } else if (take("=")) {
        matcher.op = MatchOp::kEqual;
    } else {
        return invalid("needs one of = != =~ !~");
    }
    rest = trim(rest);
    if (rest.starts_with('"')) {
        if (rest.size() < 2 || !rest.ends_with('"')) return invalid("its quote is not closed");
        rest = rest.substr(1, rest.size() - 2);
    }
    if (rest.find('"') != std::string_view::npos) return invalid("has a quote inside its value");
    matcher.value = rest;
    return matcher;
}

Result<SeriesPattern> parse_pattern(std::string_view text) {
    const auto invalid = [text](std::string_view why) {
        return fail(ErrorKind::kInvalid, fmt::format("series pattern '{}': {}", text, why));
    };
    SeriesPattern pattern;
    const std::size_t brace = text.find('{');
    pattern.metric = trim(text.substr(0, brace));
    if (pattern.metric.empty()) {
        if (brace == std::string_view::npos) return invalid("is empty");
        pattern.metric = "*";
    }
    if (pattern.metric.find_first_of("\"=,} ") != std::string::npos) {
        return invalid("its metric name has odd characters");
    }
    if (brace == std::string_view::npos) return pattern;
    std::string_view rest = trim(text.substr(brace + 1));
    if (!rest.ends_with('}')) return invalid("its brace is not closed");
    rest.remove_suffix(1);
    while (!trim(rest).empty()) {
        const std::size_t comma = find_comma(rest);
        VIGIE_TRY_ASSIGN(auto matcher, parse_matcher(trim(rest.substr(0, comma))));
        pattern.matchers.push_back(std::move(matcher));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return pattern;
}

Result<std::vector<SeriesPattern>> parse_patterns(const std::vector<std::string>& texts) {
    std::vector<SeriesPattern> patterns;
    for (const auto& text : texts) {
        VIGIE_TRY_ASSIGN(auto pattern, parse_pattern(text));
        patterns.push_back(std::move(pattern));
    }
    return patterns;
}

bool glob_matches(std::string_view glob, std::string_view text) {
    for (;;) {
        const std::size_t bar = glob.find('|');
        if (one_glob_matches(glob.substr(0, bar), text)) return true;
        if (bar == std::string_view::npos) return false;
        glob.remove_prefix(bar + 1);
    }
}

bool matches(const std::vector<LabelMatcher>& matchers, const schemas::Labels& labels) {
    return std::ranges::all_of(matchers, [&labels](const LabelMatcher& matcher) {
        const std::string_view value = schemas::label(labels, matcher.name);
        switch (matcher.op) {
            case MatchOp::kEqual: return value == matcher.value;
            case MatchOp::kNotEqual: return value != matcher.value;
            case MatchOp::kGlob: return glob_matches(matcher.value, value);
            case MatchOp::kNotGlob: return !glob_matches(matcher.value, value);
        }
        return false;
    });
}

bool matches(const SeriesPattern& pattern, std::string_view metric, const schemas::Labels& labels) {
    return glob_matches(pattern.metric, metric) && matches(pattern.matchers, labels);
}

bool matches_any(const std::vector<SeriesPattern>& patterns, std::string_view metric,
                 const schemas::Labels& labels) {
    return std::ranges::any_of(
        patterns, [&](const SeriesPattern& pattern) { return matches(pattern, metric, labels); });
}

}  // namespace vigie::detectors
