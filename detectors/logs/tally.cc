#include "detectors/logs/tally.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kExamplesMax = 5;
constexpr std::size_t kExampleBytesMax = 500;
constexpr std::size_t kLevelWordsMax = 8;  // Where a line says what it is.
constexpr std::size_t kLevelBytesMax = 120;

void save_texts(const std::vector<std::string>& texts, Encoder& out) {
    out.u64(texts.size());
    for (const auto& text : texts) out.text(text);
}

void load_texts(std::vector<std::string>& texts, Decoder& in) {
    for (std::size_t left = in.count(1); left > 0; --left) texts.push_back(in.text());
    if (texts.size() > kExamplesMax) in.set_failed();
}

std::uint8_t severity_of_word(std::string_view word) {
    struct Level {
        std::string_view word;
        std::uint8_t severity;
    };
    static constexpr std::array<Level, 9> kLevels{{{"fatal", 21},
                                                   {"critical", 21},
                                                   {"panic", 21},
                                                   {"error", 17},
                                                   {"err", 17},
                                                   {"warning", 13},
                                                   {"warn", 13},
                                                   {"info", 9},
                                                   {"debug", 5}}};
    for (const Level& level : kLevels) {
        if (std::ranges::equal(word, level.word, {},
                               [](unsigned char c) { return std::tolower(c); })) {
            return level.severity;
        }
    }
    return 0;
}

}  // namespace

void add_example(std::vector<std::string>& examples, std::string_view line) {
    if (examples.size() < kExamplesMax) examples.push_back(cut(line, kExampleBytesMax));
}

std::uint8_t severity_of(const schemas::LogRecord& record) {
    if (record.severity > 0) return record.severity;
    std::string_view text = std::string_view(record.body).substr(0, kLevelBytesMax);
    for (std::size_t words = 0; words < kLevelWordsMax && !text.empty();) {
        const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0; };
        const auto begin = std::ranges::find_if(text, is_letter);
        const auto end = std::find_if_not(begin, text.end(), is_letter);
        const std::string_view word(begin, end);
        if (word.empty()) break;
        if (const std::uint8_t severity = severity_of_word(word)) return severity;
        text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
        ++words;
    }
    return 9;
}

void LogTally::save(Encoder& out) const {
    out.u64(lines);
    out.u64(errors);
    out.u64(novel);
    out.text(novel_template);
    save_texts(error_examples, out);
    save_texts(novel_examples, out);
}

void LogTally::load(Decoder& in) {
    lines = in.u64();
    errors = in.u64();
    novel = in.u64();
    novel_template = in.text();
    load_texts(error_examples, in);
    load_texts(novel_examples, in);
}

}  // namespace vigie::detectors
