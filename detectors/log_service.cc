#include "detectors/log_service.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using Sight = Episode::Sight;
using Turn = Episode::Turn;

constexpr std::size_t kExamplesMax = 5;
constexpr std::size_t kExampleBytesMax = 500;
constexpr std::size_t kTemplateBytesMax = 300;
constexpr std::size_t kLevelWordsMax = 8;  // Where a line says what it is.
constexpr std::size_t kLevelBytesMax = 120;
constexpr double kCalmFactor = 0.6;
constexpr double kTopFactor = 1.25;
constexpr double kScoreMax = 1000;

void add_example(std::vector<std::string>& examples, std::string_view line) {
    if (examples.size() < kExamplesMax) examples.push_back(cut(line, kExampleBytesMax));
}

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

LogService::LogService(EntityId entity, EventTime at, const LogOptions& options)
    : entity_(std::move(entity)),
      first_at_(at),
      last_at_(at),
      miner_(options.similarity_min, options.templates_per_service_max),
      errors_(options.history_windows) {}

bool LogService::warm(EventTime at, const LogOptions& options) const {
    return lines_ > options.warmup_lines && at - first_at_ >= options.warmup_span;
}

bool LogService::take(const schemas::LogRecord& record, LogTally& tally,
                      const LogOptions& options) {
    const std::string_view line = std::string_view(record.body).substr(0, options.line_bytes_max);
    const std::uint8_t severity = severity_of(record);
    ++lines_;
    first_at_ = std::min(first_at_, record.at);
    last_at_ = std::max(last_at_, record.at);
    ++tally.lines;
    if (severity >= options.error_severity_min) {
        ++tally.errors;
        add_example(tally.error_examples, line);
    }
    const auto match = miner_.match(mask_line(line, options.tokens_max));
    if (match.found == nullptr) return false;
    if (match.added && severity >= options.new_severity_min && warm(record.at, options)) {
        match.found->novel = true;
    }
    if (match.found->novel) {
        if (tally.novel++ == 0) tally.novel_template = cut(match.found->text(), kTemplateBytesMax);
        add_example(tally.novel_examples, line);
    }
    return true;
}

void LogService::close(EventTime from, EventTime to, const LogTally& tally,
                       const LogOptions& options, Findings& out) {
    close_news(from, to, tally, options, out);
    close_burst(from, to, tally, options, out);
}

void LogService::close_news(EventTime from, EventTime to, const LogTally& tally,
                            const LogOptions& options, Findings& out) {
    if (tally.lines == 0) return;
    // What was taken as known since is no news, though this window still counted it.
    const Sight sight = tally.novel > 0 && has_news() ? Sight::kOdd : Sight::kCalm;
    Turn turn = news_.see(sight, from, to, {1, options.calm_windows});
    const bool adapted = news_.firing() && to - news_.first_seen() >= options.adapt_after;
    if (adapted) {
        news_.end();
        turn = Turn::kEnded;
    }
    if (turn == Turn::kNone) return;
    if (turn == Turn::kBegan) news_template_ = tally.novel_template;
    schemas::Anomaly found = anomaly("logs.new", news_);
    if (adapted) found.ended = schemas::Ended::kAdapted;
    found.severity = options.severity_new;
    found.signal = news_template_;
    found.observed = static_cast<double>(tally.novel);
    found.score = found.firing ? 1 : 0;
    found.examples = tally.novel_examples;
    if (turn == Turn::kBegan) {
        found.reason = fmt::format("{} log lines of a kind never seen before: {}", tally.novel,
                                   news_template_);
    } else {
        found.reason = fmt::format("new log lines {}: {}",
                                   adapted ? "keep coming and are taken as normal" : "stopped",
                                   news_template_);
        forget_news();
    }
    out.anomalies.push_back(std::move(found));
}

void LogService::close_burst(EventTime from, EventTime to, const LogTally& tally,
                             const LogOptions& options, Findings& out) {
    if (tally.lines == 0 && (burst_.firing() || burst_.silent())) return;
    const auto errors = static_cast<double>(tally.errors);
    const double seconds = std::chrono::duration<double>(to - from).count();
    Usual usual;
    Sight sight = Sight::kCalm;
    double limit = options.burst_lines_min;
    if (warm(from, options) && errors_.size() > 0) {
        usual = usual_of(errors_.values());
        // Lines that come by chance scatter by the root of their number (Poisson).
        const double spread = std::max(usual.spread, std::sqrt(usual.median));
        limit = std::max({limit, usual.median + options.threshold * spread, 3 * usual.median,
                          kTopFactor * usual.top});
        sight = errors >= limit                 ? Sight::kOdd
                : errors <= kCalmFactor * limit ? Sight::kCalm
                                                : Sight::kBetween;
    }
    const bool firing_before = burst_.firing();
    Turn turn = burst_.see(sight, from, to, {options.odd_windows, options.calm_windows});
    if (turn == Turn::kBegan) burst_values_.clear();
    if (burst_.firing()) {
        burst_values_.push(errors);
    } else if (!firing_before && sight != Sight::kOdd) {
        errors_.push(errors);
    }
    const bool adapted = burst_.firing() && to - burst_.first_seen() >= options.adapt_after;
    if (adapted) {
        burst_.end();
        turn = Turn::kEnded;
        errors_.clear();
        for (const double value : burst_values_.values()) errors_.push(value);
    }
    if (turn == Turn::kNone) return;
    schemas::Anomaly found = anomaly("logs.errors", burst_);
    if (adapted) found.ended = schemas::Ended::kAdapted;
    found.severity = options.severity_burst;
    found.signal = "error lines";
    found.observed = errors / seconds;
    found.expected = usual.median / seconds;
    found.lower = usual.low / seconds;
    found.upper = limit / seconds;
    found.score = std::min(errors / limit, kScoreMax);
    if (found.firing) found.score = std::max(found.score, 1.0);
    found.unit = "1/s";
    found.examples = tally.error_examples;
    const std::string usually = range_with_unit(found.lower, usual.high / seconds, found.unit);
    found.reason = fmt::format("{} error lines{}, usually {}", with_unit(found.observed, "1/s"),
                               adapted        ? " for long: taken as the new normal"
                               : found.firing ? ""
                                              : " again",
                               usually);
    out.anomalies.push_back(std::move(found));
}

void LogService::fall_silent(const LogOptions& options, Findings& out) {
    const auto end = [&](std::string_view detector, Episode& episode) -> schemas::Anomaly* {
        if (!episode.firing()) return nullptr;
        episode.fall_silent();
        schemas::Anomaly& over = out.anomalies.emplace_back(anomaly(detector, episode));
        over.ended = schemas::Ended::kSilent;
        over.reason =
            fmt::format("no log lines for {}: no longer judged", span_text(options.end_after));
        return &over;
    };
    if (schemas::Anomaly* over = end("logs.new", news_)) {
        over->severity = options.severity_new;
        over->signal = news_template_;
    }
    if (schemas::Anomaly* over = end("logs.errors", burst_)) {
        over->severity = options.severity_burst;
        over->signal = "error lines";
        over->unit = "1/s";
    }
}

bool LogService::has_news() {
    bool any = false;
    miner_.for_each([&any](const TemplateMiner::Template& each) { any = any || each.novel; });
    return any;
}

void LogService::forget_news() {
    miner_.for_each([](TemplateMiner::Template& each) { each.novel = false; });
}

schemas::Anomaly LogService::anomaly(std::string_view detector, const Episode& episode) const {
    schemas::Anomaly anomaly;
    anomaly.detector = detector;
    anomaly.key = fmt::format("{}|{}", detector, entity_.value);
    anomaly.firing = episode.firing();
    if (!anomaly.firing) anomaly.ended = schemas::Ended::kCalm;
    anomaly.symptom = schemas::Symptom::kLogPattern;
    anomaly.entity = entity_;
    anomaly.unit = "1";
    anomaly.first_seen = episode.first_seen();
    anomaly.last_seen = episode.last_seen();
    return anomaly;
}

void LogService::save(Encoder& out) const {
    out.text(entity_.value);
    out.time(first_at_);
    out.time(last_at_);
    out.u64(lines_);
    miner_.save(out);
    news_.save(out);
    out.text(news_template_);
    burst_.save(out);
    errors_.save(out);
    burst_values_.save(out);
}

void LogService::load(Decoder& in) {
    entity_.value = in.text();
    first_at_ = in.time();
    last_at_ = in.time();
    lines_ = in.u64();
    miner_.load(in);
    news_.load(in);
    news_template_ = in.text();
    burst_.load(in);
    errors_.load(in);
    burst_values_.load(in);
}

}  // namespace vigie::detectors
