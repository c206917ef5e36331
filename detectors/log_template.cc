#include "detectors/log_template.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace vigie::detectors {

namespace {

constexpr std::string_view kAny = "<*>";
constexpr std::size_t kHexDigitsMin = 8;
constexpr std::size_t kQuotedBytesMax = 512;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex(char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
bool is_blank(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// The length of what begins `text` and is all of `good`.
template <class Good>
std::size_t run(std::string_view text, const Good& good) {
    const auto end = std::ranges::find_if_not(text, good);
    return static_cast<std::size_t>(end - text.begin());
}

std::size_t uuid_at(std::string_view text) {
    constexpr std::size_t kLength = 36;
    if (text.size() < kLength) return 0;
    for (std::size_t i = 0; i < kLength; ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !is_hex(text[i])) return 0;
    }
    return kLength;
}

// Four numbers with dots, and a port if there is one.
std::size_t ip_at(std::string_view text) {
    std::size_t at = 0;
    for (int part = 0; part < 4; ++part) {
        if (part > 0) {
            if (at >= text.size() || text[at] != '.') return 0;
            ++at;
        }
        const std::size_t digits = run(text.substr(at), is_digit);
        if (digits == 0 || digits > 3) return 0;
        at += digits;
    }
    if (at + 1 < text.size() && text[at] == ':' && is_digit(text[at + 1])) {
        at += 1 + run(text.substr(at + 1), is_digit);
    }
    return at;
}

std::size_t hex_at(std::string_view text) {
    if (text.starts_with("0x")) {
        const std::size_t digits = run(text.substr(2), is_hex);
        return digits == 0 ? 0 : digits + 2;
    }
    const std::size_t length = run(text, is_hex);
    if (length < kHexDigitsMin || (length < text.size() && is_word(text[length]))) return 0;
    const std::string_view word = text.substr(0, length);
    // Only digits is a number, only letters a word.
    return std::ranges::any_of(word, is_digit) && !std::ranges::all_of(word, is_digit) ? length : 0;
}

// With a fraction and what follows at once, as in "12.5ms" or "3rd".
std::size_t number_at(std::string_view text) {
    std::size_t at = run(text, is_digit);
    if (at == 0) return 0;
    while (at + 1 < text.size() && (text[at] == '.' || text[at] == ',') && is_digit(text[at + 1])) {
        at += 1 + run(text.substr(at + 1), is_digit);
    }
    return at;
}

std::size_t quoted_at(std::string_view text) {
    const std::size_t end = text.find(text.front(), 1);
    return end == std::string_view::npos || end > kQuotedBytesMax ? 0 : end + 1;
}

struct Masked {
    std::size_t length = 0;
    std::string_view mask;
};

// What begins `text` and varies; `inside` is after a letter, where a digit is part of a name
// ("db1", "utf8") and is masked as a number only.
Masked masked_at(std::string_view text, bool inside, bool json) {
    const char first = text.front();
    if (!json && !inside && (first == '"' || first == '\'')) {
        if (const std::size_t length = quoted_at(text)) return {length, "<str>"};
    }
    if (!inside && is_hex(first)) {
        if (const std::size_t length = uuid_at(text)) return {length, "<id>"};
        if (const std::size_t length = hex_at(text)) return {length, "<hex>"};
        if (const std::size_t length = ip_at(text)) return {length, "<ip>"};
    }
    if (is_digit(first)) return {number_at(text), "<num>"};
    return {};
}

double similarity(const std::vector<std::string>& words, const std::vector<std::string>& line) {
    if (words.empty()) return 1;
    std::size_t equal = 0;
    for (std::size_t i = 0; i < words.size(); ++i) equal += words[i] == line[i] ? 1U : 0U;
    return static_cast<double>(equal) / static_cast<double>(words.size());
}

// A word that varies does not choose the way down the tree.
std::string_view branch(const std::vector<std::string>& words, std::size_t at) {
    if (at >= words.size()) return "";
    return words[at].find('<') == std::string::npos ? std::string_view(words[at]) : kAny;
}

}  // namespace

std::vector<std::string> mask_line(std::string_view line, std::size_t tokens_max) {
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    const bool json = line.starts_with('{');
    std::vector<std::string> words;
    std::string word;
    bool inside = false;
    const auto finish = [&words, &word, &inside] {
        if (!word.empty()) words.push_back(std::move(word));
        word.clear();
        inside = false;
    };
    while (!line.empty() && words.size() < tokens_max) {
        const char c = line.front();
        if (is_blank(c) || (json && std::string_view("{}[]\":,").find(c) != std::string::npos)) {
            finish();
            line.remove_prefix(1);
            continue;
        }
        const Masked masked = masked_at(line, inside, json);
        if (masked.length > 0) {
            word += masked.mask;
            line.remove_prefix(masked.length);
            inside = true;
            continue;
        }
        word += c;
        inside = is_word(c);
        line.remove_prefix(1);
    }
    if (words.size() < tokens_max) finish();
    return words;
}

std::string TemplateMiner::Template::text() const {
    return fmt::format("{}", fmt::join(words, " "));
}

TemplateMiner::Match TemplateMiner::match(std::vector<std::string> words) {
    std::string leaf = fmt::format("{} {} {}", words.size(), branch(words, 0), branch(words, 1));
    const auto at = leaves_.find(leaf);
    Template* best = nullptr;
    double best_similarity = 0;
    if (at != leaves_.end()) {
        for (Template& each : at->second) {
            const double share = similarity(each.words, words);
            if (best != nullptr && share <= best_similarity) continue;
            best = &each;
            best_similarity = share;
        }
    }
    if (best != nullptr && best_similarity >= similarity_min_) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (best->words[i] != words[i]) best->words[i] = kAny;
        }
        ++best->lines;
        return {best, false};
    }
    if (size_ >= templates_max_) return {};
    ++size_;
    auto& templates = leaves_[std::move(leaf)];
    templates.push_back({std::move(words), 1, false});
    return {&templates.back(), true};
}

void TemplateMiner::save(Encoder& out) const {
    out.u64(leaves_.size());
    for (const auto& [leaf, templates] : leaves_) {
        out.text(leaf);
        out.u64(templates.size());
        for (const Template& each : templates) {
            out.u64(each.words.size());
            for (const auto& word : each.words) out.text(word);
            out.u64(each.lines);
            out.flag(each.novel);
        }
    }
}

void TemplateMiner::load(Decoder& in) {
    leaves_.clear();
    size_ = 0;
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        std::string leaf = in.text();
        auto& templates = leaves_[leaf];
        for (std::size_t each = in.count(3); each > 0 && !in.failed(); --each) {
            Template& loaded = templates.emplace_back();
            for (std::size_t word = in.count(1); word > 0; --word) {
                loaded.words.push_back(in.text());
            }
            loaded.lines = in.u64();
            loaded.novel = in.flag();
            // The leaf says how many words its templates have; match() relies on it.
            if (!leaf.starts_with(fmt::format("{} ", loaded.words.size()))) in.set_failed();
            ++size_;
        }
    }
}

}  // namespace vigie::detectors
