#include "detectors/traces/trace_subject.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using Sight = Episode::Sight;
using Turn = Episode::Turn;

constexpr std::size_t kExamplesMax = 5;
constexpr std::size_t kTraceIdBytesMax = 64;
constexpr double kCalmFactor = 0.6;  // Hysteresis: calm is below this part of the way to odd.
constexpr double kTopFactor = 1.25;  // How far beyond its own usual extremes odd begins.
constexpr double kWilsonZ = 3;
constexpr double kScoreMax = 1000;

double seconds_of(EventClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

// The least error ratio that `errors` of `requests` are good evidence for (Wilson, 1927).
double wilson_lower(double errors, double requests) {
    const double ratio = errors / requests;
    const double z2 = kWilsonZ * kWilsonZ;
    const double middle = ratio + z2 / (2 * requests);
    const double half =
        kWilsonZ * std::sqrt(ratio * (1 - ratio) / requests + z2 / (4 * requests * requests));
    return std::max(0.0, (middle - half) / (1 + z2 / requests));
}

Sight sight_of(double deviation, double limit) {
    if (deviation > limit) return Sight::kOdd;
    return deviation <= kCalmFactor * limit ? Sight::kCalm : Sight::kBetween;
}

double score_of(double deviation, double limit) {
    if (deviation <= 0) return 0;
    return limit > 0 ? std::min(deviation / limit, kScoreMax) : kScoreMax;
}

}  // namespace

void RequestTally::add(double seconds, bool error, std::string_view trace) {
    ++requests;
    latency.add(seconds);
    if (error) {
        ++errors;
        keep_failed(cut(trace, kTraceIdBytesMax));
    }
    keep_slow(seconds, trace);
}

void RequestTally::add_self(double seconds, bool has_waited) {
    self.add(seconds);
    if (has_waited) ++waited;
}

void RequestTally::keep_failed(std::string_view trace) {
    const auto at = std::ranges::lower_bound(failed, trace);
    failed.emplace(at, trace);
    if (failed.size() > kExamplesMax) failed.pop_back();
}

void RequestTally::keep_slow(double seconds, std::string_view trace) {
    std::string id = cut(trace, kTraceIdBytesMax);
    const auto at = std::ranges::find_if(slowest, [&](const auto& each) {
        return each.first < seconds || (each.first == seconds && each.second > id);
    });
    if (at == slowest.end() && slowest.size() == kExamplesMax) return;
    slowest.emplace(at, seconds, std::move(id));
    if (slowest.size() > kExamplesMax) slowest.pop_back();
}

void RequestTally::merge(const RequestTally& other) {
    requests += other.requests;
    errors += other.errors;
    latency.merge(other.latency);
    self.merge(other.self);
    waited += other.waited;
    delay.merge(other.delay);
    for (const auto& trace : other.failed) keep_failed(trace);
    for (const auto& [seconds, trace] : other.slowest) keep_slow(seconds, trace);
}

void RequestTally::save(Encoder& out) const {
    out.u64(requests);
    out.u64(errors);
    latency.save(out);
    self.save(out);
    out.u64(waited);
    delay.save(out);
    out.u64(failed.size());
    for (const auto& trace : failed) out.text(trace);
    out.u64(slowest.size());
    for (const auto& [seconds, trace] : slowest) {
        out.f64(seconds);
        out.text(trace);
    }
}

void RequestTally::load(Decoder& in, TraceFormat format) {
    requests = in.u64();
    errors = in.u64();
    if (requests > (std::uint64_t{1} << 48U) || errors > requests) in.set_failed();
    if (format == TraceFormat::kBefore) {
        latency.load_octaves(in);
    } else {
        latency.load(in);
        self.load(in);
        waited = in.u64();
        delay.load(in);
    }
    for (std::size_t left = in.count(1); left > 0; --left) failed.push_back(in.text());
    for (std::size_t left = in.count(9); left > 0; --left) {
        const double seconds = in.f64();
        if (!std::isfinite(seconds)) in.set_failed();
        slowest.emplace_back(seconds, in.text());
    }
    if (failed.size() > kExamplesMax || slowest.size() > kExamplesMax) in.set_failed();
}

void Measure::save(Encoder& out) const {
    history.save(out);
    episode.save(out);
    odd_values.save(out);
    out.flag(above);
}

void Measure::load(Decoder& in) {
    history.load(in);
    episode.load(in);
    odd_values.load(in);
    above = in.flag();
}

TraceSubject::TraceSubject(EntityId caller, EntityId entity, std::string operation, EventTime at,
                           const TraceOptions& options)
    : caller_(std::move(caller)),
      entity_(std::move(entity)),
      operation_(std::move(operation)),
      last_at_(at) {
    for (Measure* each : {&latency_, &errors_, &traffic_, &self_, &delay_}) {
        each->history = History(options.history_windows);
    }
}

void TraceSubject::close(const Window& window, const RequestTally& tally,
                         const TraceOptions& options, schemas::Severity severity, Findings& out) {
    const auto held = [](const Measure& of) { return of.episode.suspect() || of.episode.silent(); };
    if (!held(errors_) && !held(latency_)) severity_ = severity;
    severity_traffic_ = options.severity_traffic;
    severity_parts_ = options.severity_parts;
    if (!started_) {
        if (tally.requests == 0) return;
        started_ = true;
        first_at_ = window.from;
        judged_at_ = window.from;
    }
    if (tally.requests > 0) last_at_ = window.to;
    if (caller_.empty()) judge_traffic(window, tally, options, out);
    if (pending_windows_ == 0 && tally.requests == 0) return;
    if (pending_windows_ == 0) pending_from_ = window.from;
    ++pending_windows_;
    pending_.merge(tally);
    if (pending_.requests >= options.requests_min) {
        const Window judged{pending_from_, window.to};
        judge_time(Kind::kLatency, pending_.latency, judged, options, out);
        judge_errors(judged, options, out);
        // Of traces that are sampled or incomplete, there are fewer. Who calls nobody has no self
        // time but the latency.
        const std::uint64_t enough = (options.requests_min + 1) / 2;
        if (pending_.waited >= enough) {
            judge_time(Kind::kSelf, pending_.self, judged, options, out);
        }
        if (pending_.delay.count() >= enough) {
            judge_time(Kind::kDelay, pending_.delay, judged, options, out);
        }
        judged_at_ = window.to;
    } else if (pending_windows_ < options.merge_windows_max) {
        return;
    }
    pending_ = {};
    pending_windows_ = 0;
}

bool TraceSubject::warm(const Measure& measure, const Window& window,
                        const TraceOptions& options) const {
    return measure.history.size() >= options.warmup_windows &&
           window.from - first_at_ >= options.warmup_span;
}

void TraceSubject::judge_traffic(const Window& window, const RequestTally& tally,
                                 const TraceOptions& options, Findings& out) {
    const double width = seconds_of(window.to - window.from);
    Verdict verdict;
    verdict.observed = static_cast<double>(tally.requests) / width;
    if (warm(traffic_, window, options)) {
        verdict.usual = usual_of(traffic_.history.values());
        const Usual& usual = verdict.usual;
        // Requests that come by chance scatter by the root of their number (Poisson).
        const double chance = std::sqrt(std::max(usual.median * width, 1.0)) / width;
        const double spread = std::max(usual.spread, chance);
        const bool above = verdict.observed > usual.median;
        const double by_factor = above ? usual.median * (options.traffic_factor_min - 1)
                                       : usual.median * (1 - 1 / options.traffic_factor_min);
        const double by_extreme =
            above ? kTopFactor * usual.top - usual.median : usual.median - usual.low / kTopFactor;
        const double limit = std::max({options.threshold * spread, by_factor, by_extreme});
        const double most = std::max(usual.median, verdict.observed) * width;
        const double deviation = std::abs(verdict.observed - usual.median);
        verdict.limit = above ? usual.median + limit : std::max(usual.median - limit, 0.0);
        if (most >= options.requests_min) verdict.sight = sight_of(deviation, limit);
        // No request at all may as well be no data, unless that is usual.
        const bool empty = tally.requests == 0 && usual.low > 0;
        if (empty && verdict.sight == Sight::kCalm) verdict.sight = Sight::kBetween;
        verdict.score = score_of(deviation, limit);
        if (!traffic_.episode.firing() && traffic_.above != above) traffic_.episode.forget_row();
        traffic_.above = above;
    }
    settle(Kind::kTraffic, verdict, window, options, tally, out);
}

void TraceSubject::judge_time(Kind kind, const LatencySketch& sketch, const Window& window,
                              const TraceOptions& options, Findings& out) {
    const Measure& of = measure(kind);
    Verdict verdict;
    verdict.observed = sketch.quantile(0.95);
    if (warm(of, window, options)) {
        verdict.usual = usual_of(of.history.values());
        const Usual& usual = verdict.usual;
        const double limit = std::max(
            {options.threshold * usual.spread, usual.median * (options.latency_factor_min - 1),
             options.latency_seconds_min, kTopFactor * usual.top - usual.median});
        verdict.limit = usual.median + limit;
        verdict.sight = sight_of(verdict.observed - usual.median, limit);
        verdict.score = score_of(verdict.observed - usual.median, limit);
    }
    settle(kind, verdict, window, options, pending_, out);
}

void TraceSubject::judge_errors(const Window& window, const TraceOptions& options, Findings& out) {
    Verdict verdict;
    const auto errors = static_cast<double>(pending_.errors);
    const auto requests = static_cast<double>(pending_.requests);
    verdict.observed = errors / requests;
    if (warm(errors_, window, options)) {
        verdict.usual = usual_of(errors_.history.values());
        const Usual& usual = verdict.usual;
        verdict.limit = std::max({options.error_ratio_min, kTopFactor * usual.top,
                                  usual.median + options.threshold * usual.spread});
        verdict.sight = sight_of(verdict.observed, verdict.limit);
        verdict.score = score_of(verdict.observed, verdict.limit);
        // A handful of errors among few requests may be chance.
        if (verdict.sight == Sight::kOdd && wilson_lower(errors, requests) < verdict.limit / 2) {
            verdict.sight = Sight::kBetween;
        }
    }
    settle(Kind::kErrors, verdict, window, options, pending_, out);
}

void TraceSubject::settle(Kind kind, const Verdict& verdict, const Window& window,
                          const TraceOptions& options, const RequestTally& tally, Findings& out) {
    Measure& of = measure(kind);
    const bool firing_before = of.episode.firing();
    const Turn turn = of.episode.see(verdict.sight, window.from, window.to,
                                     {options.odd_windows, options.calm_windows});
    if (turn == Turn::kBegan) of.odd_values.clear();
    if (turn != Turn::kNone) out.anomalies.push_back(anomaly(kind, verdict, tally));
    if (!of.episode.firing()) {
        if (!firing_before && verdict.sight != Sight::kOdd) of.history.push(verdict.observed);
        return;
    }
    of.odd_values.push(verdict.observed);
    if (window.to - of.episode.first_seen() < options.adapt_after) return;
    of.episode.end();
    of.history.clear();
    // The new normal is known from few windows: it is as if they had come again and again.
    const auto& values = of.odd_values.values();
    for (std::size_t i = 0; i < options.warmup_windows; ++i) {
        of.history.push(values[i % values.size()]);
    }
    schemas::Anomaly over = anomaly(kind, verdict, tally);
    over.ended = schemas::Ended::kAdapted;
    over.reason = fmt::format("{}: it has been so for {} and is taken as the new normal",
                              over.reason, span_text(options.adapt_after));
    out.anomalies.push_back(std::move(over));
}

void TraceSubject::fall_silent(bool nobody, const TraceOptions& options, Findings& out) {
    const auto end = [&](Kind kind) {
        Measure& of = measure(kind);
        if (!of.episode.firing()) return false;
        of.episode.fall_silent();
        Verdict verdict;
        verdict.usual = usual_of(of.history.values());
        verdict.limit = verdict.usual.top;
        schemas::Anomaly over = anomaly(kind, verdict, {});
        over.ended = schemas::Ended::kSilent;
        over.reason =
            fmt::format("too few requests for {}: no longer judged", span_text(options.end_after));
        out.anomalies.push_back(std::move(over));
        return true;
    };
    if (nobody) end(Kind::kTraffic);
    bool ended = false;
    for (const Kind kind : {Kind::kLatency, Kind::kErrors, Kind::kSelf, Kind::kDelay}) {
        ended = end(kind) || ended;
    }
    if (!ended) return;
    pending_ = {};
    pending_windows_ = 0;
}

bool TraceSubject::firing() const {
    return std::ranges::any_of(measures(), [](const Measure* of) { return of->episode.firing(); });
}

bool TraceSubject::silent() const {
    return std::ranges::any_of(measures(), [](const Measure* of) { return of->episode.silent(); });
}

const Measure& TraceSubject::measure(Kind kind) const {
    return *measures().at(static_cast<std::size_t>(kind));
}

Measure& TraceSubject::measure(Kind kind) {
    return const_cast<Measure&>(std::as_const(*this).measure(kind));
}

schemas::Anomaly TraceSubject::anomaly(Kind kind, const Verdict& verdict,
                                       const RequestTally& tally) const {
    struct Words {
        const char* detector;
        const char* signal;
        const char* unit;
        schemas::Symptom symptom;
    };
    static constexpr std::array<Words, 5> kWords{
        {{"trace.latency", "p95 latency", "s", schemas::Symptom::kLatency},
         {"trace.errors", "error ratio", "ratio", schemas::Symptom::kErrors},
         {"trace.traffic", "request rate", "1/s", schemas::Symptom::kTraffic},
         {"trace.self_time", "p95 self time", "s", schemas::Symptom::kLatency},
         {"trace.edge_delay", "p95 delay", "s", schemas::Symptom::kLatency}}};
    const Words& words = kWords.at(static_cast<std::size_t>(kind));
    const Measure& of = measure(kind);
    schemas::Anomaly anomaly;
    anomaly.detector = words.detector;
    anomaly.key = fmt::format("{}|{}", words.detector, entity_.value);
    anomaly.signal = words.signal;
    if (!caller_.empty()) {
        anomaly.key = fmt::format("{}|{}->{}", words.detector, caller_.value, entity_.value);
        anomaly.signal = fmt::format("{} of calls from {}", words.signal, caller_.value);
    }
    if (!operation_.empty()) {
        anomaly.key = fmt::format("{}|{}|{}", words.detector, entity_.value, operation_);
        anomaly.signal = fmt::format("{} of {}", words.signal, operation_);
    }
    anomaly.firing = of.episode.firing();
    if (!anomaly.firing) anomaly.ended = schemas::Ended::kCalm;
    anomaly.symptom = words.symptom;
    anomaly.severity = severity_;
    if (kind == Kind::kTraffic) anomaly.severity = severity_traffic_;
    if (kind == Kind::kSelf || kind == Kind::kDelay) anomaly.severity = severity_parts_;
    anomaly.entity = entity_;
    anomaly.observed = finite(verdict.observed);
    anomaly.expected = finite(verdict.usual.median);
    anomaly.lower = finite(std::min(verdict.limit, verdict.usual.low));
    anomaly.upper = finite(std::max(verdict.limit, verdict.usual.high));
    anomaly.score = anomaly.firing ? std::max(verdict.score, 1.0) : verdict.score;
    anomaly.unit = words.unit;
    anomaly.first_seen = of.episode.first_seen();
    anomaly.last_seen = of.episode.last_seen();
    anomaly.reason = reason(kind, anomaly, verdict.usual, tally);
    if (kind == Kind::kErrors) anomaly.examples = tally.failed;
    if (kind == Kind::kLatency) {
        for (const auto& [seconds, trace] : tally.slowest) anomaly.examples.push_back(trace);
    }
    std::erase(anomaly.examples, std::string());
    return anomaly;
}

std::string TraceSubject::reason(Kind kind, const schemas::Anomaly& anomaly, const Usual& usual,
                                 const RequestTally& tally) const {
    const std::string now = with_unit(anomaly.observed, anomaly.unit);
    const std::string usually = range_with_unit(usual.low, usual.high, anomaly.unit);
    const std::string again = anomaly.firing ? "" : " again";
    std::string of;
    if (!operation_.empty()) of = fmt::format(" of {}", operation_);
    if (!caller_.empty()) of = fmt::format(" called by {}", entity_name(caller_));
    const auto time = [&](std::string_view what) {
        return fmt::format("{} {}{}, usually {} ({} requests{})", what, now, again, usually,
                           tally.requests, of);
    };
    switch (kind) {
        case Kind::kLatency: return time("p95 latency");
        case Kind::kSelf: return time("p95 of the time without that of what it called");
        case Kind::kDelay: return time("p95 delay of a call until it was begun to serve");
        case Kind::kErrors:
            return fmt::format("{} of {} requests failed{}, usually {}{}", now, tally.requests,
                               again, usually, of);
        case Kind::kTraffic: break;
    }
    return fmt::format("request rate {}{}, usually {}{}", now, again, usually, of);
}

void TraceSubject::save(Encoder& out) const {
    out.text(caller_.value);
    out.text(entity_.value);
    out.text(operation_);
    out.u64(static_cast<std::uint64_t>(severity_));
    out.flag(started_);
    out.time(first_at_);
    out.time(last_at_);
    out.time(judged_at_);
    pending_.save(out);
    out.time(pending_from_);
    out.u64(pending_windows_);
    latency_.save(out);
    errors_.save(out);
    traffic_.save(out);
    self_.save(out);
    delay_.save(out);
}

void TraceSubject::load(Decoder& in, TraceFormat format) {
    caller_.value = in.text();
    entity_.value = in.text();
    if (format == TraceFormat::kNow) operation_ = in.text();
    const std::uint64_t severity = in.u64();
    if (severity > static_cast<std::uint64_t>(schemas::Severity::kCritical)) in.set_failed();
    severity_ = static_cast<schemas::Severity>(severity & 0xffU);
    started_ = in.flag();
    first_at_ = in.time();
    last_at_ = in.time();
    judged_at_ = in.time();
    pending_.load(in, format);
    pending_from_ = in.time();
    pending_windows_ = in.u64();
    latency_.load(in);
    errors_.load(in);
    traffic_.load(in);
    if (format == TraceFormat::kBefore) return;
    self_.load(in);
    delay_.load(in);
}

}  // namespace vigie::detectors
