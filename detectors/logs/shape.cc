#include "detectors/logs/shape.h"

#include <algorithm>
#include <cmath>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kExampleBytesMax = 300;
constexpr std::size_t kNumbersMax = 8;  // Of one template.
constexpr std::size_t kTextsMax = 4;
constexpr std::size_t kItemsMax = 8;
constexpr std::size_t kTokensMax = 200;
constexpr std::uint32_t kBlockSteps = 5;  // Numbers are judged by the block.
constexpr std::uint32_t kNumberBlocksWarm = 36;
constexpr std::uint32_t kKnown = 0xffffffff;
constexpr std::uint32_t kNewsLines = 3;         // So many lines of a new template
constexpr std::chrono::seconds kNewsSpan{300};  // in so long are news.

// One false alarm in ten service-days for rates and sequences, and one for values, if all were
// independent; they are not, which only makes it fewer.
constexpr double kBudgetPerDay = 0.05;
constexpr double kTestsPerTemplate = 4;
constexpr double kBarMin = 16;
constexpr double kBarPerAlarm = 0.25;
constexpr double kScoreMax = 1000;

std::string_view item_of(std::string_view text, std::uint8_t between, std::size_t& at) {
    const std::string_view gap = between == 2 ? ", " : " ";
    const std::size_t end = between == 0 ? std::string_view::npos : text.find(gap, at);
    const std::string_view item = text.substr(at, end == std::string_view::npos ? end : end - at);
    at = end == std::string_view::npos ? text.size() : end + gap.size();
    return item;
}

template <class Each>
Each* find_place(std::vector<Each>& list, std::uint16_t place, std::size_t max) {
    for (Each& each : list) {
        if (each.place == place) return &each;
    }
    if (list.size() >= max) return nullptr;
    list.push_back({place, {}});
    return &list.back();
}

}  // namespace

void LogShape::add_values(Stats& stats, const Line& line) {
    const std::size_t end = std::min(line.tokens.size(), kTokensMax);
    for (std::size_t i = 0; i < end; ++i) {
        const LogToken& token = line.tokens[i];
        if (token.kind == TokenKind::kWord) continue;
        const auto text = line.text.substr(token.begin, token.end - token.begin);
        const auto place = static_cast<std::uint16_t>(i * kItemsMax);
        if (token.kind != TokenKind::kVariable) {
            Text* found = find_place(stats.texts, place, kTextsMax);
            if (found != nullptr) found->history.add(hash_text(text), text);
            continue;
        }
        std::size_t at = 0;
        for (std::uint16_t item = 0; item < kItemsMax && at < text.size(); ++item) {
            double value = 0;
            if (!parse_number(item_of(text, token.between, at), value)) continue;
            Number* found = find_place(stats.numbers, place + item, kNumbersMax);
            if (found != nullptr) found->history.add(value);
        }
    }
}

LogShape::Seen LogShape::add(const Line& line) {
    ++now_;
    const auto [at, fresh] = templates_.try_emplace(line.id);
    Stats& stats = at->second;
    if (fresh) {
        stats.born = line.at;
        stats.early = line.added && line.warm ? 0 : kKnown;
    }
    stats.rate.add();
    add_values(stats, line);
    stats.example = cut(line.text, kExampleBytesMax);
    if (!line.trace.empty()) sequences_.add(line.trace, line.id);
    Seen seen;
    if (stats.early != kKnown) {
        if (line.at - stats.born > kNewsSpan) {
            stats.early = kKnown;
        } else if (++stats.early == kNewsLines) {
            seen.reached_news = true;
            stats.early = kKnown;
        }
    }
    return seen;
}

LogShape::Step LogShape::close_step(std::chrono::duration<double> step, double alarms) {
    Step out;
    // Nothing at all of the service: its lines may be what stopped, and there is nothing to judge.
    if (now_ == 0) return out;
    const double steps_a_day = 86'400 / step.count();
    const double tests = steps_a_day * kTestsPerTemplate *
                         std::max<double>(1, static_cast<double>(templates_.size()));
    const double bar =
        std::max(kBarMin, std::log(tests / kBudgetPerDay)) * (1 + kBarPerAlarm * alarms);
    lines_[steps_ % TemplateRate::kRing] = now_;
    now_ = 0;
    out.judged = true;
    judge_rates(bar, out.odd);
    ++steps_;
    out.values = steps_ % kBlockSteps == 0;
    if (out.values) judge_values(bar, out.odd);
    const auto broken = sequences_.close_step();
    if (broken.nats > bar) {
        out.odd.push_back({LogOddity::Kind::kSequence,
                           0,
                           std::min(broken.nats / bar, kScoreMax),
                           static_cast<double>(broken.traces),
                           broken.expected,
                           broken.expected,
                           1,
                           {}});
    }
    sequences_.learn();
    return out;
}

void LogShape::judge_rates(double bar, std::vector<LogOddity>& out) {
    const std::size_t at = steps_ % TemplateRate::kRing;
    for (auto& [id, stats] : templates_) {
        const auto verdict = stats.rate.close_step(lines_, at);
        stats.rate_odd = verdict.nats > bar;
        if (stats.rate_odd) {
            out.push_back({LogOddity::Kind::kRate,
                           id,
                           std::min(verdict.nats / bar, kScoreMax),
                           verdict.observed,
                           verdict.expected,
                           verdict.expected,
                           verdict.steps,
                           {}});
        } else {
            stats.rate.learn(lines_, at);
        }
    }
}

void LogShape::judge_values(double bar, std::vector<LogOddity>& out) {
    for (auto& [id, stats] : templates_) {
        judge_numbers(id, stats, bar, out);
        judge_texts(id, stats, bar, out);
    }
}

void LogShape::judge_numbers(TemplateId id, Stats& stats, double bar, std::vector<LogOddity>& out) {
    bool odd = false;
    for (Number& number : stats.numbers) {
        NumberHistory& history = number.history;
        const auto verdict = history.judge();
        if (verdict.nats <= bar || !verdict.shifted) {
            history.keep();
            continue;
        }
        const bool warm = history.blocks() >= kNumberBlocksWarm;
        if (!warm || (!history.steady() && !stats.value_odd)) {
            history.count_surprise();
            history.keep();
            continue;
        }
        odd = true;
        history.drop();
        out.push_back({LogOddity::Kind::kValue,
                       id,
                       std::min(verdict.nats / bar, kScoreMax),
                       verdict.median,
                       verdict.usual,
                       verdict.usual,
                       kBlockSteps,
                       {}});
    }
    stats.value_odd = odd;
}

void LogShape::judge_texts(TemplateId id, Stats& stats, double /*bar*/,
                           std::vector<LogOddity>& out) {
    for (Text& text : stats.texts) {
        const std::string_view news = text.history.news();
        if (!news.empty()) {
            out.push_back(
                {LogOddity::Kind::kValue, id, 1, 1, 0, 0, kBlockSteps, std::string(news)});
        }
        text.history.end_block();
    }
}

void LogShape::adapt(LogOddity::Kind kind) {
    for (auto& [id, stats] : templates_) {
        if (kind == LogOddity::Kind::kRate && stats.rate_odd) stats.rate.adapt(lines_);
        if (kind != LogOddity::Kind::kValue || !stats.value_odd) continue;
        stats.value_odd = false;
        for (Number& number : stats.numbers) number.history = {};
    }
}

void LogShape::follow(std::span<const TemplateAlias> aliases) {
    for (const TemplateAlias& alias : aliases) {
        sequences_.rename(alias.from, alias.into);
        const auto from = templates_.extract(alias.from);
        if (from.empty()) continue;
        const auto [at, fresh] = templates_.try_emplace(alias.into);
        Stats& into = at->second;
        const Stats& stats = from.mapped();
        if (fresh) {
            into = stats;
            continue;
        }
        into.early = std::max(into.early, stats.early);
        into.rate.merge(stats.rate);
        for (const Number& number : stats.numbers) {
            Number* found = find_place(into.numbers, number.place, kNumbersMax);
            if (found != nullptr) found->history.merge(number.history);
        }
        for (const Text& text : stats.texts) {
            Text* found = find_place(into.texts, text.place, kTextsMax);
            if (found != nullptr) found->history.merge(text.history);
        }
    }
}

void LogShape::forget(std::span<const ForgottenTemplate> gone) {
    for (const ForgottenTemplate& each : gone) {
        templates_.erase(each.id);
        sequences_.forget(each.id);
    }
}

std::string_view LogShape::example(TemplateId id) const {
    const auto at = templates_.find(id);
    return at == templates_.end() ? std::string_view() : std::string_view(at->second.example);
}

void LogShape::save_stats(const Stats& stats, Encoder& out) {
    out.time(stats.born);
    out.u64(stats.early);
    out.flag(stats.rate_odd);
    out.flag(stats.value_odd);
    stats.rate.save(out);
    out.u64(stats.numbers.size());
    for (const Number& number : stats.numbers) {
        out.u64(number.place);
        number.history.save(out);
    }
    out.u64(stats.texts.size());
    for (const Text& text : stats.texts) {
        out.u64(text.place);
        text.history.save(out);
    }
    out.text(stats.example);
}

LogShape::Stats LogShape::load_stats(Decoder& in) {
    Stats stats;
    stats.born = in.time();
    stats.early = static_cast<std::uint32_t>(in.u64());
    stats.rate_odd = in.flag();
    stats.value_odd = in.flag();
    stats.rate.load(in);
    for (std::size_t left = in.count(12); left > 0 && !in.failed(); --left) {
        Number& number = stats.numbers.emplace_back();
        number.place = static_cast<std::uint16_t>(in.u64());
        number.history.load(in);
    }
    for (std::size_t left = in.count(8); left > 0 && !in.failed(); --left) {
        Text& text = stats.texts.emplace_back();
        text.place = static_cast<std::uint16_t>(in.u64());
        text.history.load(in);
    }
    stats.example = in.text();
    return stats;
}

void LogShape::save(Encoder& out) const {
    for (const std::uint32_t lines : lines_) out.u64(lines);
    out.u64(now_);
    out.u64(steps_);
    out.u64(templates_.size());
    for (const auto& [id, stats] : templates_) {
        out.u64(id);
        save_stats(stats, out);
    }
    sequences_.save(out);
}

void LogShape::load(Decoder& in) {
    *this = {};
    for (std::uint32_t& lines : lines_) lines = static_cast<std::uint32_t>(in.u64());
    now_ = static_cast<std::uint32_t>(in.u64());
    steps_ = static_cast<std::uint32_t>(in.u64());
    for (std::size_t left = in.count(100); left > 0 && !in.failed(); --left) {
        const auto id = static_cast<TemplateId>(in.u64());
        if (!templates_.emplace(id, load_stats(in)).second) in.set_failed();
    }
    sequences_.load(in);
}

}  // namespace vigie::detectors
