#include "detectors/logs/service.h"

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

constexpr std::size_t kTemplateBytesMax = 300;
constexpr double kCalmFactor = 0.6;
constexpr double kTopFactor = 1.25;
constexpr double kScoreMax = 1000;
constexpr double kNumberMax = 1e15;
constexpr double kShareFactor = 2;  // A burst is more than so many times the usual share,
constexpr double kShareMax = 0.4;   // where errors are not most of what it logs.
constexpr double kShareWindows = 2000;
constexpr std::int64_t kStepWindows = 6;  // A step is so many windows.
constexpr std::chrono::hours kDiscoveryHalf{4};
constexpr double kDiscoveriesMax = 2;  // More, lately, and new templates are no news.
constexpr std::chrono::hours kAlarmHalf{12};
constexpr std::array<std::string_view, 5> kDetectors{"logs.errors", "logs.new", "logs.sequence",
                                                     "logs.values", "logs.rate"};

// What the line is part of; empty when nothing says so.
std::string_view session_of(const schemas::LogRecord& record, const LogOptions& options) {
    if (!record.trace_id.empty()) return record.trace_id;
    for (const std::string& name : options.session_attributes) {
        const auto found =
            std::ranges::find(record.attributes, name, &schemas::Labels::value_type::first);
        if (found != record.attributes.end()) return found->second;
    }
    return {};
}

}  // namespace

LogService::LogService(EntityId entity, EventTime at, const LogOptions& options)
    : entity_(std::move(entity)),
      first_at_(at),
      last_at_(at),
      miner_({options.templates_per_service_max, options.tokens_max, options.masks}),
      errors_(options.history_windows) {}

void LogService::Faded::add(EventTime now, EventTime::duration half_life) {
    value = read(now, half_life) + 1;
    at = std::max(at, now);
}

double LogService::Faded::read(EventTime now, EventTime::duration half_life) const {
    if (value == 0 || now <= at) return value;
    return value * std::exp2(-std::chrono::duration<double>(now - at) /
                             std::chrono::duration<double>(half_life));
}

bool LogService::warm(EventTime at, const LogOptions& options) const {
    return lines_ > options.warmup_lines && at - first_at_ >= options.warmup_span;
}

std::size_t LogService::take(const schemas::LogRecord& record, LogTally& tally,
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
    const auto match = miner_.learn(line);
    const auto aliases = miner_.take_aliases();
    const auto gone = miner_.take_forgotten();
    for (const auto& alias : aliases) novel_.erase(alias.from);
    for (const auto& each : gone) novel_.erase(each.id);
    shape_.follow(aliases);
    shape_.forget(gone);
    const auto seen = shape_.add({match.id, match.added, true, record.at, line,
                                  session_of(record, options), miner_.tokens()});
    const bool is_warm = warm(record.at, options);
    // What a line says of itself is a hint; what its sender says is worth an alert at once.
    if (match.added && record.severity >= options.new_severity_min && is_warm) {
        novel_.insert(match.id);
    }
    if (seen.reached_news) {
        const bool quiet = discoveries_.read(record.at, kDiscoveryHalf) <= kDiscoveriesMax;
        if (quiet && is_warm) novel_.insert(match.id);
        discoveries_.add(record.at, kDiscoveryHalf);
    }
    if (novel_.contains(match.id)) note_news(match.id, line, tally);
    return gone.size();
}

void LogService::note_news(TemplateId id, std::string_view line, LogTally& tally) {
    if (tally.novel++ == 0) tally.novel_template = cut(miner_.text(id), kTemplateBytesMax);
    add_example(tally.novel_examples, line);
}

void LogService::close(EventTime from, EventTime to, const LogTally& tally,
                       const LogOptions& options, Findings& out) {
    close_news(from, to, tally, options, out);
    close_burst(from, to, tally, options, out);
    const auto width = std::chrono::microseconds(options.window).count() * kStepWindows;
    const std::int64_t step = micros_of(from) / width;
    if (step != step_) {
        const EventTime begin = event_time_from_micros(step_ * width);
        if (step_ != 0) close_step(begin, std::max(begin, from), options, out);
        step_ = step;
    }
    tell_begun(to, out);
}

void LogService::close_news(EventTime from, EventTime to, const LogTally& tally,
                            const LogOptions& options, Findings& out) {
    if (tally.lines == 0) return;
    auto& [news, told, signal] = cases_[kNews];
    // What was taken as known since is no news, though this window still counted it.
    const Sight sight = tally.novel > 0 && !novel_.empty() ? Sight::kOdd : Sight::kCalm;
    Turn turn = news.see(sight, from, to, {1, options.calm_windows});
    const bool adapted = news.firing() && to - news.first_seen() >= options.adapt_after;
    if (adapted) {
        news.end();
        turn = Turn::kEnded;
    }
    if (turn == Turn::kNone) return;
    if (turn == Turn::kBegan) signal = tally.novel_template;
    schemas::Anomaly found = anomaly(kNews);
    if (adapted) found.ended = schemas::Ended::kAdapted;
    found.severity = options.severity_new;
    found.observed = static_cast<double>(tally.novel);
    found.score = found.firing ? 1 : 0;
    found.examples = tally.novel_examples;
    if (turn == Turn::kBegan) {
        found.reason =
            fmt::format("{} log lines of a kind never seen before: {}", tally.novel, signal);
    } else {
        found.reason =
            fmt::format("new log lines {}: {}",
                        adapted ? "keep coming and are taken as normal" : "stopped", signal);
        novel_.clear();
    }
    tell(kNews, std::move(found), out);
}

void LogService::close_burst(EventTime from, EventTime to, const LogTally& tally,
                             const LogOptions& options, Findings& out) {
    auto& [burst, told, signal] = cases_[kErrors];
    if (tally.lines == 0 && (burst.firing() || burst.silent())) return;
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
        const double share = all_lines_ > 0 ? error_lines_ / all_lines_ : 0;
        if (share < kShareMax) {
            limit = std::max(limit, kShareFactor * share * static_cast<double>(tally.lines));
        }
        sight = errors >= limit                 ? Sight::kOdd
                : errors <= kCalmFactor * limit ? Sight::kCalm
                                                : Sight::kBetween;
    }
    const bool firing_before = burst.firing();
    Turn turn = burst.see(sight, from, to, {options.odd_windows, options.calm_windows});
    if (turn == Turn::kBegan) burst_values_.clear();
    if (burst.firing()) {
        burst_values_.push(errors);
    } else if (!firing_before && sight != Sight::kOdd) {
        errors_.push(errors);
        error_lines_ += errors - error_lines_ / kShareWindows;
        all_lines_ += static_cast<double>(tally.lines) - all_lines_ / kShareWindows;
    }
    const bool adapted = burst.firing() && to - burst.first_seen() >= options.adapt_after;
    if (adapted) {
        burst.end();
        turn = Turn::kEnded;
        errors_.clear();
        for (const double value : burst_values_.values()) errors_.push(value);
        shape_.adapt(LogOddity::Kind::kRate);  // Of the same lines.
        error_lines_ = errors;
        all_lines_ = static_cast<double>(tally.lines);
    }
    if (turn == Turn::kNone) return;
    signal = "error lines";
    schemas::Anomaly found = anomaly(kErrors);
    if (adapted) found.ended = schemas::Ended::kAdapted;
    found.severity = options.severity_burst;
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
    tell(kErrors, std::move(found), out);
}

// Rates, values and sequences, which need more than a window to be judged.
void LogService::close_step(EventTime from, EventTime to, const LogOptions& options,
                            Findings& out) {
    const std::chrono::duration<double> length = options.window * kStepWindows;
    auto step = shape_.close_step(length, alarms_.read(to, kAlarmHalf));
    if (!step.judged) return;
    std::array<std::vector<LogOddity>, kKinds> odd;
    for (LogOddity& each : step.odd) {
        if (each.kind == LogOddity::Kind::kValue)
            odd[kValue].push_back(std::move(each));
        else if (each.kind == LogOddity::Kind::kSequence)
            odd[kSequence].push_back(std::move(each));
        // That new lines and bursts of errors are many is known.
        else if (!novel_.contains(each.id) &&
                 !(cases_[kErrors].episode.firing() && each.observed > each.expected)) {
            odd[kRate].push_back(std::move(each));
        }
    }
    judge(kRate, odd[kRate], from, to, options, out);
    judge(kSequence, odd[kSequence], from, to, options, out);
    if (step.values) judge(kValue, odd[kValue], from, to, options, out);
}

void LogService::judge(Kind kind, const std::vector<LogOddity>& odd, EventTime from, EventTime to,
                       const LogOptions& options, Findings& out) {
    auto& [episode, told, signal] = cases_[kind];
    const std::uint32_t calm = kind == kValue ? 1 : options.calm_windows;
    Turn turn = episode.see(odd.empty() ? Sight::kCalm : Sight::kOdd, from, to, {1, calm});
    const bool adapted = episode.firing() && to - episode.first_seen() >= options.adapt_after;
    if (adapted) {
        episode.end();
        turn = Turn::kEnded;
        shape_.adapt(kind == kValue ? LogOddity::Kind::kValue : LogOddity::Kind::kRate);
    }
    if (turn == Turn::kNone) return;
    if (turn == Turn::kBegan) {
        const auto most = std::ranges::max_element(odd, {}, &LogOddity::score);
        signal = most->id == 0 ? "order of lines" : cut(miner_.text(most->id), kTemplateBytesMax);
        schemas::Anomaly found = anomaly(kind);
        found.severity = options.severity_shape;
        describe(*most, options, found);
        if (odd.size() > 1) found.reason += fmt::format("; and {} more", odd.size() - 1);
        for (const LogOddity& each : odd) {
            if (each.id != 0) add_example(found.examples, shape_.example(each.id));
        }
        return tell(kind, std::move(found), out);
    }
    schemas::Anomaly found = anomaly(kind);
    if (adapted) found.ended = schemas::Ended::kAdapted;
    found.severity = options.severity_shape;
    found.reason = fmt::format(
        "{}: {}", adapted ? "odd for long, taken as the new normal" : "usual again", signal);
    tell(kind, std::move(found), out);
}

void LogService::describe(const LogOddity& odd, const LogOptions& options,
                          schemas::Anomaly& found) const {
    const std::chrono::duration<double> step = options.window * kStepWindows;
    const double seconds = step.count() * static_cast<double>(odd.steps);
    const auto span = span_text(
        std::chrono::duration_cast<EventClock::duration>(std::chrono::duration<double>(seconds)));
    const auto& signal = found.signal;
    found.score = odd.score;
    found.observed = odd.observed;
    found.expected = odd.expected;
    found.upper = odd.limit;
    if (odd.kind == LogOddity::Kind::kSequence) {
        found.reason =
            fmt::format("{} traces or sessions went an order of lines hardly ever seen, in {}",
                        odd.observed, span);
    } else if (odd.kind == LogOddity::Kind::kRate) {
        found.unit = "1/s";
        found.observed = odd.observed / seconds;
        found.expected = odd.expected / seconds;
        found.upper = found.expected;
        found.lower = found.expected;
        found.reason = odd.observed == 0
                           ? fmt::format("no lines of a kind in {}, usually {:.3g}: {}", span,
                                         odd.expected, signal)
                           : fmt::format("{:.3g} lines of a kind in {}, usually {:.3g}: {}",
                                         odd.observed, span, odd.expected, signal);
    } else if (odd.text.empty()) {
        found.reason = fmt::format("a number in log lines is about {:.3g}, usually {:.3g}: {}",
                                   odd.observed, odd.expected, signal);
    } else {
        found.reason = fmt::format("'{}' was never seen before in: {}", odd.text, signal);
    }
}

void LogService::tell(Kind kind, schemas::Anomaly found, Findings& out) {
    if (found.firing) {
        begun_.emplace_back(kind, std::move(found));
    } else if (std::exchange(cases_[kind].told, false)) {
        out.anomalies.push_back(std::move(found));
    }
}

void LogService::tell_begun(EventTime now, Findings& out) {
    if (begun_.empty()) return;
    const auto kind_of = [](const auto& each) { return each.first; };
    const auto first = std::ranges::min_element(begun_, {}, kind_of);
    schemas::Anomaly told = std::move(first->second);
    cases_[first->first].told = true;
    for (const auto& [kind, found] : begun_) {
        if (kind != first->first) told.reason += "; " + found.reason;
    }
    out.anomalies.push_back(std::move(told));
    alarms_.add(now, kAlarmHalf);
    begun_.clear();
}

void LogService::fall_silent(const LogOptions& options, Findings& out) {
    for (std::uint8_t kind = 0; kind < kKinds; ++kind) {
        auto& [episode, told, signal] = cases_[kind];
        if (!episode.firing()) continue;
        episode.fall_silent();
        if (!told) continue;
        schemas::Anomaly& over = out.anomalies.emplace_back(anomaly(static_cast<Kind>(kind)));
        over.ended = schemas::Ended::kSilent;
        over.reason =
            fmt::format("no log lines for {}: no longer judged", span_text(options.end_after));
        over.severity = kind == kErrors ? options.severity_burst
                        : kind == kNews ? options.severity_new
                                        : options.severity_shape;
        if (kind == kErrors) over.unit = "1/s";
    }
}

bool LogService::firing() const {
    return std::ranges::any_of(cases_, [](const Case& each) { return each.episode.firing(); });
}

bool LogService::silent() const {
    return std::ranges::any_of(cases_, [](const Case& each) { return each.episode.silent(); });
}

schemas::Anomaly LogService::anomaly(Kind kind) const {
    const auto& [episode, told, signal] = cases_[kind];
    schemas::Anomaly anomaly;
    anomaly.detector = kDetectors.at(kind);
    anomaly.key = fmt::format("{}|{}", anomaly.detector, entity_.value);
    anomaly.firing = episode.firing();
    if (!anomaly.firing) anomaly.ended = schemas::Ended::kCalm;
    anomaly.symptom = schemas::Symptom::kLogPattern;
    anomaly.entity = entity_;
    anomaly.signal = signal;
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
    shape_.save(out);
    out.i64(step_);
    for (const Case& each : cases_) {
        each.episode.save(out);
        out.flag(each.told);
        out.text(each.signal);
    }
    out.u64(novel_.size());
    for (const TemplateId id : novel_) out.u64(id);
    for (const Faded* faded : {&discoveries_, &alarms_}) {
        out.f64(faded->value);
        out.time(faded->at);
    }
    errors_.save(out);
    burst_values_.save(out);
    out.f64(error_lines_);
    out.f64(all_lines_);
}

void LogService::load(Decoder& in) {
    entity_.value = in.text();
    first_at_ = in.time();
    last_at_ = in.time();
    lines_ = in.u64();
    miner_.load(in);
    shape_.load(in);
    step_ = in.i64();
    if (!plausible(event_time_from_micros(step_))) in.set_failed();
    for (Case& each : cases_) {
        each.episode.load(in);
        each.told = in.flag();
        each.signal = in.text();
    }
    for (std::size_t left = in.count(1); left > 0 && !in.failed(); --left) {
        novel_.insert(static_cast<TemplateId>(in.u64()));
    }
    for (Faded* faded : {&discoveries_, &alarms_}) {
        faded->value = in.f64();
        faded->at = in.time();
        if (!(faded->value >= 0 && faded->value < kNumberMax)) in.set_failed();
    }
    errors_.load(in);
    burst_values_.load(in);
    error_lines_ = in.f64();
    all_lines_ = in.f64();
    if (!(error_lines_ >= 0 && all_lines_ >= 0 && all_lines_ < kNumberMax)) in.set_failed();
}

}  // namespace vigie::detectors
