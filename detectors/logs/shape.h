#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/logs/lexer.h"
#include "detectors/logs/miner.h"
#include "detectors/logs/rates.h"
#include "detectors/logs/sequences.h"
#include "detectors/logs/values.h"

namespace vigie::detectors {

// What is odd about a template, or about the order of several, in the step that just ended.
struct LogOddity {
    enum class Kind : std::uint8_t { kRate, kValue, kSequence };
    Kind kind = Kind::kRate;
    TemplateId id = 0;  // 0 for kSequence.
    double score = 0;   // Above 1; 1 is where the budget of false alarms is kept.
    double observed = 0;
    double expected = 0;
    double limit = 0;
    std::size_t steps = 1;  // Over so many.
    std::string text;       // kValue of a text: the new one.
};

// How the lines of one service usually are: the rate of each template, the numbers and texts that
// they carry, and their order within a trace. Judged in steps of equal length. Every judgement is
// a tail probability, held against the share that it has of a budget: so many false alarms a day,
// over all templates and steps, if lines came by chance.
class LogShape {
public:
    struct Seen {
        bool reached_news = false;  // A new template has come often enough, soon enough, to tell.
    };
    // `severe` and `added` as of the line; `warm` when a new template is news at all.
    struct Line {
        TemplateId id = 0;
        bool added = false;
        bool warm = false;
        EventTime at;
        std::string_view text;
        std::string_view trace;
        std::span<const LogToken> tokens;
    };
    Seen add(const Line& line);

    struct Step {
        std::vector<LogOddity> odd;
        bool judged = false;  // Rates and sequences; false when the service logged nothing.
        bool values = false;  // Values too: every few steps.
    };
    // A step is over. `alarms` is how often the service alarmed lately: it raises the bar.
    Step close_step(std::chrono::duration<double> step, double alarms);
    // What was odd is usual from now on.
    void adapt(LogOddity::Kind kind);

    void follow(std::span<const TemplateAlias> aliases);
    void forget(std::span<const ForgottenTemplate> gone);

    std::string_view example(TemplateId id) const;  // The line of it that was seen last, cut.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Number {
        std::uint16_t place = 0;  // Token and item.
        NumberHistory history;
    };
    struct Text {
        std::uint16_t place = 0;
        TextHistory history;
    };
    struct Stats {
        EventTime born;
        std::uint32_t early = 0;  // Lines, while it is new; kKnown when it is no more.
        bool rate_odd = false;    // In the step before: not learned from.
        bool value_odd = false;
        TemplateRate rate;
        std::vector<Number> numbers;
        std::vector<Text> texts;
        std::string example;
    };

    static void add_values(Stats& stats, const Line& line);
    void judge_rates(double bar, std::vector<LogOddity>& out);
    void judge_values(double bar, std::vector<LogOddity>& out);
    static void judge_numbers(TemplateId id, Stats& stats, double bar, std::vector<LogOddity>& out);
    static void judge_texts(TemplateId id, Stats& stats, double bar, std::vector<LogOddity>& out);
    static void save_stats(const Stats& stats, Encoder& out);
    static Stats load_stats(Decoder& in);

    std::map<TemplateId, Stats> templates_;
    std::array<std::uint32_t, TemplateRate::kRing> lines_{};
    std::uint32_t now_ = 0;
    std::uint32_t steps_ = 0;  // Steps with lines.
    LogSequences sequences_;
};

}  // namespace vigie::detectors
