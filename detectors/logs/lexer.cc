#include "detectors/logs/lexer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "detectors/logs/characters.h"
#include "detectors/logs/token_shape.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kQuotedBytesMax = 256;
constexpr std::size_t kWordBytesMax = 200;  // What is longer is no word.
constexpr std::uint64_t kGapStart = 0x51a2f0c3d94e6b87;
constexpr std::uint64_t kBlankGap = (kGapStart ^ ' ') * kVariableHash;

// Keys whose value says what happened, not to whom: what structured logs call their text.
bool is_text_key(std::string_view key) {
    constexpr std::array<std::string_view, 13> kKeys{
        "msg", "message",  "event",  "error", "err",    "reason", "level",
        "lvl", "severity", "status", "state", "action", "method"};
    return std::ranges::find(kKeys, key) != kKeys.end();
}

class Lexer {
public:
    Lexer(std::string_view line, std::size_t begin, std::size_t tokens_max,
          std::vector<LogToken>& out)
        : line_(line), tokens_max_(tokens_max), out_(out), at_(begin) {}

    std::uint64_t run() {
        while (at_ < line_.size()) {
            const char c = line_[at_];
            if (begins_token(c)) {
                if (out_.size() + 1 >= tokens_max_) {
                    add(at_, trimmed_end(), TokenKind::kVariable, kVariableHash);
                    break;
                }
                token();
            } else {
                separator(c);
            }
        }
        return gap_;
    }

private:
    std::string_view text_of(const LogToken& token) const {
        return line_.substr(token.begin, token.end - token.begin);
    }
    char peek(std::size_t at) const { return at < line_.size() ? line_[at] : ' '; }
    bool touches_token() const { return !out_.empty() && out_.back().end == at_; }

    std::size_t trimmed_end() const {
        std::size_t end = line_.size();
        while (end > at_ + 1 && is_blank(line_[end - 1])) --end;
        return end;
    }

    bool begins_token(char c) const {
        if (is_word(c)) return true;
        if ((c == ')' || c == ']') && is_empty_pair(c)) return true;
        if (value_ && at_ == value_at_) return (class_of(c) & kValueEnd) == 0 || is_quoted_value();
        if (c == '-' || c == '+') return is_digit(peek(at_ + 1)) && !touches_token();
        if (c == '/') return is_word(peek(at_ + 1)) && !touches_token();
        return false;
    }

    // " ()": what stands there is empty this time.
    bool is_empty_pair(char close) const {
        return at_ >= 2 && line_[at_ - 1] == (close == ')' ? '(' : '[') &&
               is_blank(line_[at_ - 2]) && !out_.empty() && !touches_token();
    }

    bool is_quoted_value() const { return line_[at_] == '"' || line_[at_] == '\''; }

    void separator(char c) {
        if (is_blank(c)) {
            if (!blank_before_) gap_ = (gap_ ^ ' ') * kVariableHash;
            blank_before_ = true;
        } else {
            gap_ = (gap_ ^ static_cast<unsigned char>(c)) * kVariableHash;
            blank_before_ = false;
            value_ = false;
            if (c == '=') expect_value();
        }
        ++at_;
    }

    // key=value, key =value and key = value; not ==, =>, !=, and not "key= other=".
    void expect_value() {
        const char next = peek(at_ + 1);
        const char before = at_ > 0 ? line_[at_ - 1] : ' ';
        const bool blank = is_blank(before);
        if (out_.empty() || next == '=' || next == '>' || next == '~') return;
        if (!blank && !is_word(before) && before != ')' && before != ']') return;
        if (is_text_key(text_of(out_.back()))) return;
        value_at_ = at_ + 1;
        if (is_blank(next)) {
            if (!blank) return;
            while (value_at_ < line_.size() && is_blank(line_[value_at_])) ++value_at_;
        }
        value_ = value_at_ < line_.size();
    }

    void token() {
        const bool value = value_ && at_ == value_at_;
        value_ = false;
        if (line_[at_] == ')' || line_[at_] == ']') {
            return add(at_, at_, TokenKind::kVariable, kVariableHash);
        }
        if (value) {
            value_token();
        } else {
            shaped_token();
        }
    }

    void value_token() {
        const char c = line_[at_];
        const std::size_t begin = at_;
        if (c == '"' || c == '\'') return quoted_value(c);
        if (c == '[' || c == '{' || c == '(' || c == '<') {
            const char close = c == '[' ? ']' : c == '{' ? '}' : c == '(' ? ')' : '>';
            const std::size_t end = bracketed_end(begin, c, close);
            if (end == 0) return separator(c);
            return add(begin, end, TokenKind::kValue, kVariableHash);
        }
        if (is_word(c) || c == '-' || c == '+' || c == '/') {
            const TokenShape kind = token_shape(line_, begin, Introduction::kNone);
            if (kind.kind == TokenKind::kVariable && ends_value(kind.end)) {
                return add(begin, kind.end, TokenKind::kVariable, kVariableHash);
            }
        }
        const std::size_t end = value_end(begin);
        if (end == begin) return separator(c);
        add(begin, end, TokenKind::kValue, kVariableHash);
    }

    std::size_t value_end(std::size_t begin) const {
        std::size_t end = begin;
        while (end < line_.size()) {
            const char c = line_[end];
            if (c == '{' || c == '(' || c == '[') {
                const std::size_t close = bracketed_end(end, c,
                                                        c == '{'   ? '}'
                                                        : c == '(' ? ')'
                                                                   : ']');
                if (close == 0) break;
                end = close;
                continue;
            }
            if ((class_of(c) & kValueEnd) != 0) break;
            ++end;
        }
        while (end > begin + 1 && (line_[end - 1] == '.' || line_[end - 1] == ':')) --end;
        return end;
    }

    bool ends_value(std::size_t end) const {
        const char c = peek(end);
        if ((class_of(c) & kValueEnd) != 0) return true;
        return (c == '.' || c == ':') && is_blank(peek(end + 1));
    }

    void quoted_value(char quote) {
        separator(quote);
        const std::size_t bytes = line_.substr(at_, kQuotedBytesMax).find(quote);
        if (bytes == std::string_view::npos || bytes == 0) return;
        // Three words or more are a sentence of the program's.
        if (std::ranges::count(line_.substr(at_, bytes), ' ') > 1) return;
        add(at_, at_ + bytes, TokenKind::kValue, kVariableHash);
    }

    // Without a blank inside, and near; 0 when there is no such end.
    std::size_t bracketed_end(std::size_t begin, char open, char close) const {
        int depth = 0;
        std::size_t at = begin;
        const std::size_t end = std::min(line_.size(), begin + kQuotedBytesMax);
        for (; at < end && !is_blank(line_[at]); ++at) {
            if (line_[at] == open) ++depth;
            if (line_[at] == close && --depth == 0 && peek(at + 1) != open) return at + 1;
        }
        return 0;
    }

    void shaped_token() {
        if (const std::size_t end = unit_end(); end != 0) {
            return add(at_, end, TokenKind::kDigits, kUnitHash);
        }
        const auto introduction = gap_ == kBlankGap ? introduction_ : Introduction::kNone;
        const TokenShape shape = token_shape(line_, at_, introduction);
        add(at_, shape.end, shape.kind, shape.hash);
    }

    // B, KB, MiB, … behind a number and a blank; 0 when it is none.
    std::size_t unit_end() const {
        if (out_.empty() || out_.back().kind != TokenKind::kVariable ||
            out_.back().end + 1 != at_ || !is_blank(line_[at_ - 1])) {
            return 0;
        }
        std::size_t end = at_;
        if (std::string_view("KMGTPkmgtp").find(peek(end)) != std::string_view::npos) ++end;
        if (end > at_ && peek(end) == 'i') ++end;
        if (peek(end) != 'B' || is_word(peek(end + 1))) return 0;
        return end + 1;
    }

    // A variable that touches the one before is part of it.
    void add(std::size_t begin, std::size_t end, TokenKind kind, std::uint64_t hash) {
        at_ = end;
        if (end - begin > kWordBytesMax) {
            kind = TokenKind::kVariable;
            hash = kVariableHash;
        }
        const std::uint64_t gap = gap_;
        gap_ = kGapStart;
        blank_before_ = false;
        introduction_ = kind == TokenKind::kWord ? introduction_of(line_.substr(begin, end - begin))
                                                 : Introduction::kNone;
        if (kind == TokenKind::kVariable && !out_.empty() && joins_row(begin, end)) return;
        out_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), kind, 1,
                        0, hash, gap});
    }

    // A variable that touches the one before is part of it; one behind a blank, or a comma and a
    // blank, makes a row of it.
    bool joins_row(std::size_t begin, std::size_t end) {
        LogToken& last = out_.back();
        if (last.kind != TokenKind::kVariable) return false;
        const std::string_view gap = line_.substr(last.end, begin - last.end);
        if (!gap.empty()) {
            const bool blank = gap.find_first_not_of(' ') == std::string_view::npos;
            const std::uint8_t between = blank ? 1 : gap == ", " ? 2 : 0;
            if (between == 0 || begin == end) return false;
            if (last.items > 1 && last.between != between) return false;
            last.between = between;
            if (last.items < 255) ++last.items;
        }
        last.end = static_cast<std::uint32_t>(end);
        return true;
    }

    std::string_view line_;
    std::size_t tokens_max_;
    std::vector<LogToken>& out_;
    std::size_t at_;
    std::uint64_t gap_ = kGapStart;
    bool blank_before_ = false;
    Introduction introduction_ = Introduction::kNone;
    bool value_ = false;
    std::size_t value_at_ = 0;
};

}  // namespace

std::uint64_t mix(std::uint64_t value) {
    value ^= value >> 32U;
    value *= 0xd6e8feb86659fd93;
    value ^= value >> 32U;
    value *= 0xd6e8feb86659fd93;
    return value ^ (value >> 32U);
}

std::uint64_t hash_text(std::string_view text) {
    std::uint64_t hash = kGapStart ^ text.size();
    while (text.size() >= 8) {
        std::uint64_t eight = 0;
        std::memcpy(&eight, text.data(), 8);
        hash = (hash ^ eight) * kVariableHash;
        hash ^= hash >> 29U;
        text.remove_prefix(8);
    }
    std::uint64_t rest = 0;
    std::memcpy(&rest, text.data(), text.size());
    return mix((hash ^ rest) * kVariableHash);
}

std::uint64_t lex_line(std::string_view line, std::size_t tokens_max, std::vector<LogToken>& out) {
    out.clear();
    std::size_t blank = 0;
    while (blank < line.size() && is_blank(line[blank])) ++blank;
    std::size_t end = line.size();
    while (end > blank && is_blank(line[end - 1])) --end;
    Lexer lexer(line.substr(0, end), blank, tokens_max, out);
    return lexer.run();
}

}  // namespace vigie::detectors
