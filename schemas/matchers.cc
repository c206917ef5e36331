#include "schemas/matchers.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "core/redact.h"
#include "core/utf8.h"

namespace vigie::schemas {

namespace {

constexpr std::int64_t kPatternMemoryMax = std::int64_t{1} << 20U;
constexpr std::size_t kMatchersMax = 100;

std::string_view trim(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// Prometheus' label names, and the dots, dashes and slashes of OpenTelemetry's and Kubernetes'.
bool is_name_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':' || c == '.' ||
           c == '-' || c == '/';
}

Error wrong(std::string_view text, std::string_view what) {
    return {ErrorKind::kInvalid,
            fmt::format("bad matcher format: {}: {}", one_line(text, 200), what)};
}

// What stands between the quotes, or the text itself when there are none.
Result<std::string> unquote(std::string_view whole, std::string_view text) {
    const bool quoted = text.starts_with('"');
    if (quoted) {
        if (text.size() < 2 || !text.ends_with('"')) {
            return fail(wrong(whole, "the quotes of the value are not closed"));
        }
        text = text.substr(1, text.size() - 2);
    }
    std::string value;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') return fail(wrong(whole, "the value has a quote that is not escaped"));
        if (c != '\\') {
            value += c;
            continue;
        }
        // A backslash before anything else stands for itself, as in regular expressions.
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (quoted && next == '\0') return fail(wrong(whole, "the last quote is escaped"));
        if (next == 'n') value += '\n';
        if (next == '"' || next == '\\') value += next;
        if (next == 'n' || next == '"' || next == '\\') {
            ++i;
        } else {
            value += c;
        }
    }
    return value;
}

// Where the matcher that begins `text` ends: at a comma outside quotes, or at the end.
std::size_t end_of_matcher(std::string_view text) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (text[i] == ',' && !quoted) {
            return i;
        }
    }
    return text.size();
}

}  // namespace

std::string to_string(const Matcher& matcher) {
    std::string text = matcher.name;
    text += matcher.equal ? (matcher.regex ? "=~" : "=") : (matcher.regex ? "!~" : "!=");
    text += '"';
    for (const char c : matcher.value) {
        if (c == '"' || c == '\\') text += '\\';
        if (c == '\n') {
            text += "\\n";
        } else {
            text += c;
        }
    }
    return text + '"';
}

std::string to_string(std::span<const Matcher> matchers) {
    std::string text;
    for (const auto& matcher : matchers) {
        text += text.empty() ? "{" : ",";
        text += to_string(matcher);
    }
    return text.empty() ? "{}" : text + "}";
}

Result<Matcher> parse_matcher(std::string_view text) {
    const std::string_view whole = text;
    if (!is_utf8(text)) return fail(wrong("", "it is not UTF-8"));
    text = trim(text);
    const auto name_end = static_cast<std::size_t>(
        std::find_if_not(text.begin(), text.end(), is_name_character) - text.begin());
    Matcher matcher;
    matcher.name = text.substr(0, name_end);
    const bool digit_first =
        name_end > 0 && std::isdigit(static_cast<unsigned char>(text.front())) != 0;
    if (matcher.name.empty() || digit_first) {
        return fail(wrong(whole, "it does not begin with a label name"));
    }
    text = trim(text.substr(name_end));
    matcher.equal = !text.starts_with('!');
    if (text.starts_with("=~") || text.starts_with("!~") || text.starts_with("!=")) {
        matcher.regex = text[1] == '~';
        text.remove_prefix(2);
    } else if (text.starts_with('=')) {
        text.remove_prefix(1);
    } else {
        return fail(wrong(whole, "after the name one of = != =~ !~ is missing"));
    }
    VIGIE_TRY_ASSIGN(matcher.value, unquote(whole, trim(text)));
    if (matcher.regex) VIGIE_TRY(Pattern::compile(matcher.value));
    return matcher;
}

Result<std::vector<Matcher>> parse_matchers(std::string_view text) {
    const std::string_view whole = text;
    text = trim(text);
    if (text.starts_with('{') != text.ends_with('}')) {
        return fail(wrong(whole, "one of the braces is missing"));
    }
    if (text.starts_with('{')) text = trim(text.substr(1, text.size() - 2));
    std::vector<Matcher> matchers;
    while (!text.empty()) {
        const auto end = end_of_matcher(text);
        VIGIE_TRY_ASSIGN(auto matcher, parse_matcher(text.substr(0, end)));
        if (matchers.size() == kMatchersMax) {
            return fail(wrong(whole, fmt::format("more than {} matchers", kMatchersMax)));
        }
        matchers.push_back(std::move(matcher));
        text = end == text.size() ? "" : trim(text.substr(end + 1));
    }
    return matchers;
}

struct Pattern::Engine {
    Engine(std::string_view text, const re2::RE2::Options& options)
        : expression(re2::StringPiece(text.data(), text.size()), options) {}
    const re2::RE2 expression;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > kPatternBytesMax) {
        return fail(
            ErrorKind::kInvalid,
            fmt::format("the regular expression is longer than {} bytes", kPatternBytesMax));
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemoryMax);
    Pattern pattern;
    const auto engine = std::make_shared<const Engine>(text, options);
    if (!engine->expression.ok()) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is not a regular expression: {}", one_line(text, 100),
                                one_line(engine->expression.error(), 200)));
    }
    pattern.engine_ = engine;
    return pattern;
}

bool Pattern::matches(std::string_view text) const {
    return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), engine_->expression);
}

Result<MatcherSet> MatcherSet::compile(std::span<const Matcher> matchers) {
    MatcherSet set;
    for (const auto& matcher : matchers) {
        auto& one = set.all_.emplace_back(One{matcher, std::nullopt});
        if (!matcher.regex) continue;
        VIGIE_TRY_ASSIGN(one.pattern, Pattern::compile(matcher.value));
    }
    return set;
}

bool MatcherSet::matches(const Labels& labels, std::string_view entity) const {
    return std::all_of(all_.begin(), all_.end(), [&](const One& one) {
        const auto value =
            one.matcher.name == kEntityLabel ? entity : label(labels, one.matcher.name);
        const bool met = one.pattern ? one.pattern->matches(value) : value == one.matcher.value;
        return met == one.matcher.equal;
    });
}

}  // namespace vigie::schemas
