#include "detectors/logs/token_shape.h"

#include <algorithm>
#include <array>

#include "detectors/logs/characters.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kHexDigitsMin = 6;
constexpr std::size_t kHexLettersMin = 8;  // Without a digit among them.
constexpr std::size_t kAlternationsMin = 3;
constexpr int kHostPartsMax = 16;
constexpr std::size_t kColonHexBytesMax = 64;
constexpr std::uint64_t kMaskStart = 0x51a2f0c3d94e6b87;

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

// Three letters of a list such as "MonTueWed".
bool is_one_of(std::string_view text, std::string_view three_letters_each) {
    if (text.size() != 3) return false;
    for (std::size_t at = 0; at < three_letters_each.size(); at += 3) {
        if (three_letters_each.substr(at, 3) == text) return true;
    }
    return false;
}
bool is_weekday(std::string_view text) {
    return is_one_of(text, "MonTueWedThuFriSatSun");
}
bool is_month(std::string_view text) {
    return is_one_of(text, "JanFebMarAprMayJunJulAugSepOctNovDec");
}

// The last part of a dotted name is in capitals: one of a list in the program's source.
bool is_constant(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
    return std::ranges::none_of(last, [](char c) { return c >= 'a' && c <= 'z'; });
}

// What the characters of a word say about it.
struct Look {
    std::size_t end = 0;
    std::uint8_t any = 0;   // Classes that occur
    bool hex = true;        // All hexadecimal
    std::uint8_t dots = 0;  // Between its parts
    std::uint8_t changes = 0;
    bool numeric_part = false;  // Digits alone between underscores
};

class ShapeReader {
public:
    ShapeReader(std::string_view line, Introduction introduction)
        : line_(line), introduction_(introduction) {}

    TokenShape shape_at(std::size_t begin) const {
        const char first = line_[begin];
        if (first == '/') return variable(request_end(path_end(begin)));
        if (is_digit(first) || first == '-' || first == '+') {
            return variable(joined_end(begin, look_at(is_digit(first) ? begin : begin + 1)));
        }
        const Look look = look_at(begin);
        const char next = peek(look.end);
        if (next == ':' && is_hex(first) && look.hex && look.end - begin <= 4) {
            if (const std::size_t end = colon_hex_end(begin)) return variable(end);
        }
        if (next == ':' && peek(look.end + 1) == '/' && peek(look.end + 2) == '/') {
            return variable(path_end(look.end + 1));
        }
        if (next == ':' && peek(look.end + 1) == '\\' && look.end == begin + 1) {
            return variable(path_end(look.end));
        }
        if (next == '@' && is_word(peek(look.end + 1))) {
            const Look host = look_at(look.end + 1);
            if (host.dots > 0) return variable(host.end);
        }
        return word_shape(begin, look);
    }

private:
    char peek(std::size_t at) const { return at < line_.size() ? line_[at] : ' '; }

    TokenShape variable(std::size_t end) const {
        return {end, TokenKind::kVariable, kVariableHash};
    }

    // A host name or place with digits, "dsl-7-9.example.net", "R2-M1-N4"; 0 when it is none.
    std::size_t host_end(const Look& first) const {
        std::size_t end = first.end;
        std::size_t dots = first.dots;
        std::size_t digits = (first.any & kDigit) != 0 ? 1 : 0;
        for (int parts = 0; parts < kHostPartsMax && peek(end) == '-' && is_word(peek(end + 1));
             ++parts) {
            const Look look = look_at(end + 1);
            dots += look.dots;
            digits += (look.any & kDigit) != 0 ? 1U : 0U;
            end = look.end;
        }
        return (dots >= 2 && digits > 0) || digits >= 2 ? end : 0;
    }

    TokenShape word_shape(std::size_t begin, const Look& look) const {
        const std::string_view text = line_.substr(begin, look.end - begin);
        // "block_-17" is an identifier as "block_17" is.
        if (text.back() == '_' && peek(look.end) == '-' && is_digit(peek(look.end + 1))) {
            return variable(joined_end(begin, look));
        }
        if (peek(look.end) == '-') {
            if (const std::size_t end = host_end(look)) return variable(end);
        }
        if (look.dots >= 2 && peek(look.end) == ':' && is_digit(peek(look.end + 1))) {
            return variable(joined_end(begin, look));
        }
        if ((look.any & kDigit) == 0) {
            if (text.size() == 3) {
                if (const std::size_t end = date_end(begin, text)) return variable(end);
            }
            if (introduction_ == Introduction::kSure ||
                (introduction_ == Introduction::kLikely && !is_own_word(text))) {
                return {look.end, TokenKind::kValue, kVariableHash};
            }
            const bool literal = (text.size() == 4 && (equal_ignoring_case(text, "true") ||
                                                       equal_ignoring_case(text, "null"))) ||
                                 (text.size() == 5 && equal_ignoring_case(text, "false")) ||
                                 (text.size() == 3 && text == "nil");
            if (literal) return variable(look.end);
            if (look.hex && text.size() >= kHexLettersMin) return variable(joined_end(begin, look));
            if (look.dots >= 2 && !is_constant(text)) {
                return {look.end, TokenKind::kValue, kVariableHash};
            }
            return {look.end, TokenKind::kWord, hash_text(text)};
        }
        const bool hex = look.hex && text.size() >= kHexDigitsMin;
        if (hex || look.numeric_part || (look.dots == 0 && look.changes >= kAlternationsMin)) {
            return variable(joined_end(begin, look));
        }
        if (look.dots >= 2 || introduction_ != Introduction::kNone)
            return {look.end, TokenKind::kValue, kVariableHash};
        return {look.end, TokenKind::kDigits, hash_masked(text)};
    }

    Look look_at(std::size_t begin) const {
        Look look;
        std::size_t at = begin;
        // Most words are nothing but letters.
        std::uint8_t all = 0xff;
        std::uint8_t cls = kBlank;
        for (; at < line_.size(); ++at) {
            cls = class_of(line_[at]);
            if ((cls & kPlainLetter) == 0) break;
            all &= cls;
        }
        look.hex = (all & kHexLetter) != 0;
        look.any = at > begin ? kLetter : 0;
        if (at == line_.size() || (cls & kGoesOn) == 0) {
            look.end = at;
            return look;
        }
        look_further(begin, at, look);
        return look;
    }

    void look_further(std::size_t begin, std::size_t at, Look& look) const {
        std::size_t part = begin;
        bool part_numeric = at == begin;
        bool was_digit = false;
        const auto end_part = [&] {
            if (at > part && part_numeric) look.numeric_part = true;
            part = at + 1;
            part_numeric = true;
        };
        for (; at < line_.size(); ++at) {
            const char c = line_[at];
            const std::uint8_t cls = class_of(c);
            if ((cls & (kLetter | kDigit)) != 0) {
                const bool digit = (cls & kDigit) != 0;
                if (c == '_') {
                    end_part();
                } else {
                    if (!digit) part_numeric = false;
                    if (at > begin && digit != was_digit) {
                        look.changes = static_cast<std::uint8_t>(std::min(look.changes + 1, 200));
                    }
                }
                was_digit = digit;
                look.any |= cls;
                if ((cls & (kDigit | kHexLetter)) == 0) look.hex = false;
            } else if (c == '.' && at > begin && is_word(peek(at + 1))) {
                look.dots = static_cast<std::uint8_t>(std::min(look.dots + 1, 200));
                look.hex = false;
                part_numeric = false;
                was_digit = false;
            } else if (c == '\'' && at > begin && (class_of(peek(at - 1)) & kLetter) != 0 &&
                       (class_of(peek(at + 1)) & kLetter) != 0 && peek(at + 1) != '_') {
                look.hex = false;
                part_numeric = false;
            } else {
                break;
            }
        }
        end_part();
        look.end = at;
    }

    // How far a variable goes on: what is joined to it and has digits too, or is of its host name.
    std::size_t joined_end(std::size_t begin, const Look& first) const {
        std::size_t end = first.end;
        bool hex = first.hex;
        bool host = first.dots > 0 && (first.any & kLetter) != 0;
        while (end < line_.size()) {
            const char c = line_[end];
            if (c == '%') return end + 1;
            const bool joins =
                c == ':' || c == '-' || c == '/' || c == '@' || c == '+' || c == '~' || c == ',';
            if (!joins) break;
            std::size_t next = end + 1;
            if (c == ',' && (peek(next) == '-' || peek(next) == '+')) ++next;
            if ((c == ':' && peek(next) == ':') || (c == '~' && peek(next) == '~') ||
                ((c == '@' || c == '/') && peek(next) == '-')) {
                ++next;
            }
            if (!is_word(peek(next))) break;
            const Look look = look_at(next);
            const bool month =
                (c == '/' || c == '-') && is_month(line_.substr(next, 3)) && look.end == next + 3;
            const bool digits = (look.any & kDigit) != 0 || month;
            const bool same_hex = hex && look.hex && (look.end - next >= 4 || c == ':');
            if (c == ',' ? !starts_number(next, look)
                         : !digits && !same_hex && !(host && c == '-')) {
                break;
            }
            host = host || (look.dots > 0 && (look.any & kLetter) != 0);
            hex = hex && look.hex;
            end = look.end;
        }
        return time_after_date(begin, end);
    }

    bool starts_number(std::size_t at, const Look& look) const {
        return is_digit(peek(at)) || (look.hex && (look.any & kDigit) != 0);
    }

    // "2024-05-01 10:00:00" is one variable.
    std::size_t time_after_date(std::size_t begin, std::size_t end) const {
        const bool date = end - begin >= 8 && end - begin <= 10 && is_digit(line_[begin]) &&
                          std::ranges::count_if(line_.substr(begin, end - begin),
                                                [](char c) { return c == '-' || c == '/'; }) == 2;
        if (!date || peek(end) != ' ') return end;
        const std::size_t time = time_end(end + 1);
        return time == 0 ? end : time;
    }

    // h:mm with seconds and fraction, zone and all that is joined; 0 when there is none.
    std::size_t time_end(std::size_t at) const {
        std::size_t digits = at;
        while (is_digit(peek(digits))) ++digits;
        if (digits == at || digits > at + 2 || peek(digits) != ':' || !is_digit(peek(digits + 1))) {
            return 0;
        }
        std::size_t end = digits;
        while (end < line_.size() &&
               (is_digit(line_[end]) ||
                ((line_[end] == ':' || line_[end] == '.' || line_[end] == ',') &&
                 is_digit(peek(end + 1))))) {
            ++end;
        }
        return end;
    }

    // "Fri Jun 17 07:07:00 2005", "Jun 17 07:07:00", "17 Jun" is not: the month says it.
    std::size_t date_end(std::size_t begin, std::string_view word) const {
        std::size_t at = begin;
        if (is_weekday(word)) {
            at += 3;
            if (peek(at) == ',') ++at;
            if (peek(at) != ' ') return 0;
            ++at;
        }
        if (at + 4 >= line_.size() || !is_month(line_.substr(at, 3)) || peek(at + 3) != ' ') {
            return 0;
        }
        at += 4;
        if (peek(at) == ' ') ++at;
        const std::size_t day = at;
        while (is_digit(peek(at))) ++at;
        if (at == day || at > day + 2 || peek(at) != ' ') return 0;
        const std::size_t time = time_end(at + 1);
        if (time == 0) return 0;
        std::size_t end = time;
        std::size_t zone = time;
        if (peek(zone) == ' ' && (class_of(peek(zone + 1)) & kLetter) != 0) {
            while (zone < time + 5 && peek(zone + 1) >= 'A' && peek(zone + 1) <= 'Z') ++zone;
            if (zone == time || is_word(peek(zone + 1)))
                zone = time;
            else
                ++zone;
        }
        std::size_t year = zone + 1;
        while (is_digit(peek(year))) ++year;
        if (peek(zone) == ' ' && year == zone + 5) end = year;
        return end;
    }

    // IPv6 and MAC addresses: three groups or more, or "::".
    std::size_t colon_hex_end(std::size_t begin) const {
        std::size_t at = begin;
        int colons = 0;
        bool doubled = false;
        while (at < begin + kColonHexBytesMax && (is_hex(peek(at)) || peek(at) == ':')) {
            if (peek(at) == ':') {
                ++colons;
                doubled = doubled || peek(at + 1) == ':';
                if (!is_hex(peek(at + 1)) && peek(at + 1) != ':') return 0;
            }
            ++at;
        }
        if (is_word(peek(at)) || (colons < 3 && !(doubled && colons >= 2))) return 0;
        bool digits = false;
        for (std::size_t i = begin; i < at; ++i) digits = digits || is_digit(line_[i]);
        return digits ? at : 0;
    }

    std::size_t path_end(std::size_t begin) const {
        std::size_t end = begin;
        while (end < line_.size() && (class_of(line_[end]) & kPathEnd) == 0) ++end;
        while (end > begin + 1 && (line_[end - 1] == '.' || line_[end - 1] == ':' ||
                                   line_[end - 1] == '!' || line_[end - 1] == '?')) {
            --end;
        }
        return end;
    }

    // The version of HTTP behind the target of a request line belongs to it (RFC 9112, 3).
    std::size_t request_end(std::size_t target) const {
        constexpr std::string_view kVersion = " HTTP/";
        if (line_.substr(target, kVersion.size()) != kVersion) return target;
        std::size_t end = target + kVersion.size();
        if (!is_digit(peek(end))) return target;
        while (is_digit(peek(end)) || (peek(end) == '.' && is_digit(peek(end + 1)))) ++end;
        return end;
    }

    static std::uint64_t hash_masked(std::string_view text) {
        std::uint64_t hash = kMaskStart;
        bool in_digits = false;
        for (const char c : text) {
            if (is_digit(c)) {
                if (!in_digits) hash = (hash ^ '#') * kVariableHash;
                in_digits = true;
            } else {
                hash = (hash ^ static_cast<unsigned char>(c)) * kVariableHash;
                hash ^= hash >> 29U;
                in_digits = false;
            }
        }
        return mix(hash);
    }

    std::string_view line_;
    Introduction introduction_;
};

}  // namespace

Introduction introduction_of(std::string_view word) {
    switch (word.size()) {
        case 2: return word == "by" ? Introduction::kLikely : Introduction::kNone;
        case 3: return word == "for" ? Introduction::kLikely : Introduction::kNone;
        case 4:
            if (word == "user") return Introduction::kSure;
            return word == "from" ? Introduction::kLikely : Introduction::kNone;
        default: return Introduction::kNone;
    }
}

bool is_own_word(std::string_view text) {
    constexpr std::array<std::string_view, 12> kNoNames{
        "the", "a", "an", "this", "that", "any", "all", "no", "each", "some", "more", "which"};
    if (std::ranges::find(kNoNames, text) != kNoNames.end() ||
        introduction_of(text) != Introduction::kNone)
        return true;
    return text.size() >= 5 && (text.ends_with("ed") || text.ends_with("ing") || is_constant(text));
}

TokenShape token_shape(std::string_view line, std::size_t begin, Introduction introduction) {
    return ShapeReader(line, introduction).shape_at(begin);
}

}  // namespace vigie::detectors
