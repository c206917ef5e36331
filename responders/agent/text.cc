#include "responders/agent/text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/id.h"

namespace vigie::agent {

namespace {

constexpr std::size_t kKeyPartBytesMax = 160;

unsigned byte_at(std::string_view text, std::size_t at) {
    return static_cast<unsigned char>(text[at]);
}

// Length of the well-formed UTF-8 character at `at`; 0 when it is broken.
std::size_t character_bytes(std::string_view text, std::size_t at) {
    const unsigned first = byte_at(text, at);
    if (first < 0x80) return 1;
    std::size_t length = 0;
    if (first >= 0xc2 && first <= 0xdf) length = 2;
    if (first >= 0xe0 && first <= 0xef) length = 3;
    if (first >= 0xf0 && first <= 0xf4) length = 4;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte_at(text, at + i) & 0xc0U) != 0x80U) return 0;
    }
    return length;
}

// Control characters (C0, DEL, C1), line and paragraph separators, zero-width and
// direction-changing marks: they make shown text differ from what it is.
bool is_hidden(std::string_view character) {
    const unsigned a = byte_at(character, 0);
    if (character.size() == 1) return a < 0x20 || a == 0x7f;
    const unsigned b = byte_at(character, 1);
    if (character.size() == 2) return a == 0xc2 && b < 0xa0;
    if (character.size() == 4) return false;
    const unsigned c = byte_at(character, 2);
    if (a == 0xe2 && b == 0x80) return (c >= 0x8b && c <= 0x8f) || (c >= 0xa8 && c <= 0xae);
    if (a == 0xe2 && b == 0x81) return c >= 0xa0 && c <= 0xaf;
    return a == 0xef && b == 0xbb && c == 0xbf;
}

bool is_key_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_:@").find(c) != std::string_view::npos;
}

}  // namespace

std::string clean(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view kEllipsis = "…";
    std::string out;
    std::size_t fits = 0;  // Length up to which the ellipsis still fits.
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_bytes(text, at);
        const std::string_view character = text.substr(at, std::max<std::size_t>(length, 1));
        const bool shown = length != 0 && !is_hidden(character);
        out += shown ? character : std::string_view(" ");
        if (out.size() > bytes_max) return out.substr(0, fits) + std::string(kEllipsis);
        if (out.size() + kEllipsis.size() <= bytes_max) fits = out.size();
        at += character.size();
    }
    return out;
}

std::string code_span(std::string_view text) {
    std::string out = clean(text, text.size() + 4);
    std::replace(out.begin(), out.end(), '`', '\'');
    if (out.find_first_not_of(' ') == std::string::npos) return "-";
    return fmt::format("`{}`", out);
}

std::string escape_markdown(std::string_view text) {
    const std::string line = clean(text, text.size() + 4);
    const auto is_word = [&line](std::size_t at) {
        return at < line.size() && is_key_character(line[at]) && line[at] != '_';
    };
    std::string out;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const char c = line[at];
        if (c == '&') {
            out += "&amp;";
            continue;
        }
        if (c == '<') {
            out += "&lt;";
            continue;
        }
        // Inside a word an underscore means nothing, and at the beginning of a line only these do.
        const bool in_word = c == '_' && at > 0 && is_word(at - 1) && is_word(at + 1);
        const bool special = std::string_view("\\`*_[]~").find(c) != std::string_view::npos;
        const bool leads = at == 0 && std::string_view("#>+-=|").find(c) != std::string_view::npos;
        if ((special && !in_word) || leads) out += '\\';
        out += c;
    }
    return out;
}

std::string key_part(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (out.size() >= kKeyPartBytesMax) return stable_id(out + "%-", text);
        if (is_key_character(c)) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string number(double value) {
    if (!std::isfinite(value)) return "0.00";
    return fmt::format("{:.2f}", std::clamp(value, -1e15, 1e15));
}

double bounded_score(double value) {
    if (std::isnan(value)) return 0;
    return std::clamp(value, 0.0, 1e6);
}

std::string age_text(EventClock::duration duration) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return vigie::to_string(std::chrono::milliseconds(std::max(whole, std::chrono::seconds{0})));
}

}  // namespace vigie::agent
