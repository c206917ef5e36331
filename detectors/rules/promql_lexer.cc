#include "detectors/rules/promql_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace vigie::detectors::promql {

namespace {

constexpr double kDurationMsMax = 10.0 * 365 * 86'400'000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    std::expected<std::vector<Token>, Fault> run() {
        while (true) {
            skip_blanks();
            Token token;
            token.begin = at_;
            if (at_ == text_.size()) {
                token.end = at_;
                tokens_.push_back(std::move(token));
                return std::move(tokens_);
            }
            if (!read(token)) return std::unexpected(std::move(fault_));
            token.end = at_;
            tokens_.push_back(std::move(token));
        }
    }

private:
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }

    void skip_blanks() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                ++at_;
            } else {
                return;
            }
        }
    }

    bool wrong(std::size_t at, std::string what) {
        fault_ = {at, std::move(what)};
        return false;
    }

    bool read(Token& token) {
        const char c = peek();
        if (c == '"' || c == '\'' || c == '`') return read_string(token, c);
        if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
            return duration_may_stand() ? read_duration(token) : read_number(token);
        }
        if (is_letter(c) || (c == ':' && !duration_may_stand())) return read_name(token);
        static constexpr std::array<std::string_view, 24> kMarks{
            "==", "!=", ">=", "<=", "=~", "!~", ">", "<", "=", "+", "-", "*",
            "/",  "%",  "^",  "(",  ")",  "{",  "}", "[", "]", ",", "@", ":"};
        for (const std::string_view mark : kMarks) {
            if (!text_.substr(at_).starts_with(mark)) continue;
            token.kind = Token::Kind::kMark;
            token.text = mark;
            at_ += mark.size();
            if (c == '{') ++braces_;
            if (c == '}' && braces_ > 0) --braces_;
            return true;
        }
        const auto code = static_cast<unsigned char>(c);
        return wrong(at_, code > 0x20 && code < 0x7f
                              ? fmt::format("'{}' has no meaning here", c)
                              : fmt::format("byte {:#04x} has no meaning here", code));
    }

    bool duration_may_stand() const {
        if (tokens_.empty()) return false;
        const Token& last = tokens_.back();
        if (last.kind == Token::Kind::kMark) {
            const bool negative = last.text == "-" && tokens_.size() > 1 &&
                                  tokens_[tokens_.size() - 2].text == "offset";
            return last.text == "[" || last.text == ":" || negative;
        }
        return last.kind == Token::Kind::kName && last.text == "offset";
    }

    bool read_name(Token& token) {
        const std::size_t begin = at_;
        while (is_letter(peek()) || is_digit(peek()) || peek() == ':') ++at_;
        token.kind = Token::Kind::kName;
        token.text = text_.substr(begin, at_ - begin);
        if (braces_ == 0) make_keyword(token.text);
        return true;
    }

    // Keywords may be written in capitals.
    static void make_keyword(std::string& word) {
        static constexpr std::array<std::string_view, 16> kKeywords{
            "and",         "or",   "unless", "by",  "without", "on",  "ignoring", "group_left",
            "group_right", "bool", "offset", "sum", "avg",     "min", "max",      "count"};
        std::string lower = word;
        std::ranges::transform(lower, lower.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        if (std::ranges::find(kKeywords, lower) != kKeywords.end()) word = std::move(lower);
    }

    bool read_number(Token& token) {
        const std::size_t begin = at_;
        token.kind = Token::Kind::kNumber;
        const char* const first = text_.data() + at_;
        const char* const last = text_.data() + text_.size();
        const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
        std::from_chars_result read{};
        if (hex) {
            std::uint64_t value = 0;
            read = std::from_chars(first + 2, last, value, 16);
            token.number = static_cast<double>(value);
        } else {
            read = std::from_chars(first, last, token.number);
        }
        at_ = static_cast<std::size_t>(read.ptr - text_.data());
        if (read.ec != std::errc{} || is_letter(peek()) || peek() == '.') {
            return wrong(begin, "this is no number");
        }
        token.text = text_.substr(begin, at_ - begin);
        return true;
    }

    // "1h30m", as Prometheus has it: units in descending order, whole numbers.
    bool read_duration(Token& token) {
        static constexpr std::array<std::pair<std::string_view, double>, 7> kUnits{
            {{"ms", 1},
             {"y", 365.0 * 86'400'000},
             {"w", 7.0 * 86'400'000},
             {"d", 86'400'000},
             {"h", 3'600'000},
             {"m", 60'000},
             {"s", 1000}}};
        const std::size_t begin = at_;
        double total = 0;
        double last = std::numeric_limits<double>::infinity();
        while (is_digit(peek())) {
            std::uint32_t count = 0;
            const auto [end, error] =
                std::from_chars(text_.data() + at_, text_.data() + text_.size(), count);
            if (error != std::errc{}) return wrong(begin, "this duration is too long");
            at_ = static_cast<std::size_t>(end - text_.data());
            std::optional<double> unit;
            for (const auto& [name, size] : kUnits) {
                if (unit || !text_.substr(at_).starts_with(name)) continue;
                unit = size;
                at_ += name.size();
            }
            if (!unit) return wrong(begin, "this is no duration: write 30s, 5m or 1h30m");
            if (*unit >= last)
                return wrong(begin, "the units of a duration go from large to small");
            last = *unit;
            total += count * *unit;
        }
        if (is_letter(peek())) return wrong(begin, "this is no duration: write 30s, 5m or 1h30m");
        if (total > kDurationMsMax) return wrong(begin, "this duration is longer than ten years");
        token.kind = Token::Kind::kDuration;
        token.number = total;
        token.text = text_.substr(begin, at_ - begin);
        return true;
    }

    bool read_string(Token& token, char quote) {
        const std::size_t begin = at_++;
        token.kind = Token::Kind::kString;
        while (true) {
            if (at_ == text_.size() || (quote != '`' && peek() == '\n')) {
                return wrong(begin, "this quote is not closed");
            }
            const char c = text_[at_++];
            if (c == quote) return true;
            if (c != '\\' || quote == '`') {
                token.text += c;
            } else if (!read_escape(token, quote)) {
                return false;
            }
        }
    }

    bool read_escape(Token& token, char quote) {
        static constexpr std::string_view kLetters = "abfnrtv\\";
        static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\";
        const char c = peek();
        const std::size_t known = c == '\0' ? std::string_view::npos : kLetters.find(c);
        if (c != quote && known == std::string_view::npos) {
            return wrong(at_ - 1, "this escape is not known here");
        }
        token.text += c == quote ? quote : kMeanings[known];
        ++at_;
        return true;
    }

    const std::string_view text_;
    std::size_t at_ = 0;
    int braces_ = 0;
    std::vector<Token> tokens_;
    Fault fault_;
};

}  // namespace

std::expected<std::vector<Token>, Fault> tokens_of(std::string_view text) {
    return Lexer(text).run();
}

Place place_of(std::string_view text, std::size_t at) {
    Place place;
    for (const char c : text.substr(0, at)) {
        if (c == '\n') {
            ++place.line;
            place.column = 1;
        } else {
            ++place.column;
        }
    }
    return place;
}

}  // namespace vigie::detectors::promql
