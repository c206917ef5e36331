#include "detectors/traces/service_map.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

// An edge is gone when so many calls were to be expected and none came, and that is so many times
// what it ever went without: batches are silent for long.
constexpr double kExpectedMin = 30;
constexpr double kLongestFactor = 3;
constexpr double kScoreMax = 1000;

}  // namespace

void ServiceMap::saw_service(const std::string& service, EventTime at) {
    const auto found = services_.find(service);
    if (found == services_.end()) {
        if (services_.size() < edges_max_) services_.emplace(service, at);
    } else {
        found->second = std::min(found->second, at);
    }
}

void ServiceMap::learn(const EntityId& caller, const EntityId& callee, EventTime at,
                       Findings& out) {
    if (caller.empty() || callee.empty() || caller == callee) return;
    Edge edge{caller.value, callee.value};
    if (const auto known = edges_.find(edge); known != edges_.end()) {
        EdgeStats& stats = known->second.stats;
        if (stats.first_at != EventTime{}) stats.first_at = std::min(stats.first_at, at);
        stats.last_at = std::max(stats.last_at, at);
        return;
    }
    if (edges_.size() >= edges_max_) {
        ++refused_;
        return;
    }
    edges_[std::move(edge)].stats = {at, at, 0, 0};
    schemas::Change change;
    change.kind = schemas::ChangeKind::kTopology;
    change.key = fmt::format("topology:{}->{}", caller.value, callee.value);
    change.entity = caller;
    change.peer = callee;
    change.summary = fmt::format("{} calls {}", caller.value, callee.value);
    change.at = at;
    out.topology.push_back(std::move(change));
}

void ServiceMap::close(EventTime /*from*/, EventTime to, const MapWindow& window,
                       const TraceOptions& options, Findings& out) {
    for (auto& [edge, life] : edges_) {
        const auto calls = window.calls.find(edge);
        const auto spans = window.spans.find(edge.first);
        const CallCount count = calls == window.calls.end() ? CallCount{} : calls->second;
        life.stats.calls += count.calls;
        life.stats.errors += count.errors;
        judge_new(edge, life, count.calls, to, options, out);
        judge_gone(edge, life, count.calls, spans == window.spans.end() ? 0 : spans->second, to,
                   options, out);
    }
}

void ServiceMap::judge_new(const Edge& edge, Life& life, std::uint64_t calls, EventTime to,
                           const TraceOptions& options, Findings& out) {
    const auto tell = [&](std::optional<schemas::Ended> ended, std::string reason) {
        out.anomalies.push_back(anomaly("trace.edge_new", edge, life, to, options));
        out.anomalies.back().firing = !ended.has_value();
        out.anomalies.back().ended = ended;
        out.anomalies.back().reason = std::move(reason);
        life.fresh = ended ? Phase::kQuiet : Phase::kFiring;
    };
    if (!life.announced && life.stats.first_at < to) {
        life.announced = true;
        const auto caller = services_.find(edge.first);
        const bool known = caller != services_.end() && life.stats.first_at != EventTime{} &&
                           life.stats.first_at - caller->second >= options.warmup_span;
        if (!known) return;
        tell({}, fmt::format("{} calls {}, which it never did in {}", edge.first, edge.second,
                             span_text(life.stats.first_at - caller->second)));
    } else if (life.fresh == Phase::kFiring && to - life.stats.first_at >= options.adapt_after) {
        tell(schemas::Ended::kAdapted,
             fmt::format("{} has called {} for {}, which is usual now", edge.first, edge.second,
                         span_text(options.adapt_after)));
    } else if (life.fresh == Phase::kSilent && calls > 0) {
        tell(schemas::Ended::kCalm,
             fmt::format("{} calls {} again, which is known by now", edge.first, edge.second));
    }
}

void ServiceMap::fall_silent(EventTime now, const std::function<bool(EventTime)>& silent_since,
                             const TraceOptions& options, Findings& out) {
    for (auto& [edge, life] : edges_) {
        const auto end = [&](Phase& phase, const char* detector) {
            phase = Phase::kSilent;
            out.anomalies.push_back(anomaly(detector, edge, life, now, options));
            out.anomalies.back().firing = false;
            out.anomalies.back().ended = schemas::Ended::kSilent;
            out.anomalies.back().reason =
                fmt::format("{} has told nothing of calls to {} for {}: no longer judged",
                            edge.first, edge.second, span_text(options.end_after));
        };
        if (life.fresh == Phase::kFiring && silent_since(life.stats.last_at)) {
            end(life.fresh, "trace.edge_new");
        }
        if (life.gone == Phase::kFiring && silent_since(life.judged_at)) {
            end(life.gone, "trace.edge_gone");
        }
    }
}

void ServiceMap::judge_gone(const Edge& edge, Life& life, std::uint64_t calls, std::uint64_t spans,
                            EventTime to, const TraceOptions& options, Findings& out) {
    const auto tell = [&](std::optional<schemas::Ended> ended, std::string reason) {
        out.anomalies.push_back(anomaly("trace.edge_gone", edge, life, to, options));
        out.anomalies.back().firing = !ended.has_value();
        out.anomalies.back().ended = ended;
        out.anomalies.back().reason = std::move(reason);
    };
    if (calls == 0 && spans == 0) return;  // Its caller says nothing: there is nothing to judge by.
    life.judged_at = to;
    const double fade = 1 - 1.0 / options.history_windows;
    if (calls > 0) {
        if (life.gone != Phase::kQuiet) {
            tell(schemas::Ended::kCalm, fmt::format("{} calls {} again", edge.first, edge.second));
            life.gone = Phase::kQuiet;
        }
        life.longest_idle = std::max(life.longest_idle * fade, life.expected_idle);
        life.expected_idle = 0;
    } else if (life.spans_usual > 0) {
        life.expected_idle += static_cast<double>(spans) * life.calls_usual / life.spans_usual;
    }
    if (life.gone == Phase::kQuiet && life.expected_idle < kExpectedMin) {
        life.calls_usual = life.calls_usual * fade + static_cast<double>(calls);
        life.spans_usual = life.spans_usual * fade + static_cast<double>(spans);
        ++life.windows;
    }
    if (life.gone == Phase::kFiring && to - life.gone_at >= options.adapt_after) {
        tell(schemas::Ended::kAdapted,
             fmt::format("{} has not called {} for {}, which is usual now", edge.first, edge.second,
                         span_text(options.adapt_after)));
        life.gone = Phase::kQuiet;
        life.calls_usual = life.spans_usual = life.expected_idle = 0;
        life.windows = 0;
        return;
    }
    if (life.gone == Phase::kSilent) {
        life.gone = Phase::kFiring;
        life.gone_at = to;
        tell({}, fmt::format("{} is back, and still does not call {}", edge.first, edge.second));
        return;
    }
    const bool warm = life.windows >= options.warmup_windows;
    const double enough = std::max(kExpectedMin, kLongestFactor * life.longest_idle);
    if (life.gone != Phase::kQuiet || !warm || life.expected_idle < enough ||
        to - life.stats.last_at < options.edge_gone_after) {
        return;
    }
    life.gone = Phase::kFiring;
    life.gone_at = to;
    tell({}, fmt::format(
                 "{} has not called {} for {}, where about {:.0f} calls were to be expected",
                 edge.first, edge.second, span_text(to - life.stats.last_at), life.expected_idle));
}

schemas::Anomaly ServiceMap::anomaly(const char* detector, const Edge& edge, const Life& life,
                                     EventTime now, const TraceOptions& options) {
    const bool gone = std::string_view(detector) == "trace.edge_gone";
    schemas::Anomaly anomaly;
    anomaly.detector = detector;
    anomaly.key = fmt::format("{}|{}->{}", detector, edge.first, edge.second);
    anomaly.firing = true;
    anomaly.symptom = gone ? schemas::Symptom::kTraffic : schemas::Symptom::kOther;
    anomaly.severity = options.severity_map;
    anomaly.entity = EntityId{edge.first};
    anomaly.signal = fmt::format("calls to {}", edge.second);
    anomaly.observed = gone ? 0 : 1;
    anomaly.expected = anomaly.lower = anomaly.upper = gone ? finite(life.expected_idle) : 0;
    anomaly.score = gone ? std::clamp(life.expected_idle / kExpectedMin, 1.0, kScoreMax) : 1;
    anomaly.unit = "1";
    anomaly.first_seen = gone ? life.stats.last_at : life.stats.first_at;
    anomaly.last_seen = std::max(now, anomaly.first_seen);
    return anomaly;
}

std::map<Edge, EdgeStats> ServiceMap::stats() const {
    std::map<Edge, EdgeStats> out;
    for (const auto& [edge, life] : edges_) out.emplace(edge, life.stats);
    return out;
}

void ServiceMap::save(Encoder& out) const {
    out.u64(services_.size());
    for (const auto& [service, at] : services_) {
        out.text(service);
        out.time(at);
    }
    out.u64(edges_.size());
    for (const auto& [edge, life] : edges_) {
        out.text(edge.first);
        out.text(edge.second);
        out.time(life.stats.first_at);
        out.time(life.stats.last_at);
        out.u64(life.stats.calls);
        out.u64(life.stats.errors);
        out.flag(life.announced);
        save_phase(life.fresh, out);
        save_phase(life.gone, out);
        out.time(life.gone_at);
        out.time(life.judged_at);
        for (const double value :
             {life.calls_usual, life.spans_usual, life.expected_idle, life.longest_idle}) {
            out.f64(value);
        }
        out.u64(life.windows);
    }
}

void ServiceMap::load(Decoder& in) {
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        std::string service = in.text();
        services_.insert_or_assign(std::move(service), in.time());
    }
    for (std::size_t left = in.count(40); left > 0 && !in.failed(); --left) {
        std::string caller = in.text();
        Life& life = edges_[{std::move(caller), in.text()}];
        life.stats.first_at = in.time();
        life.stats.last_at = in.time();
        life.stats.calls = in.u64();
        life.stats.errors = in.u64();
        life.announced = in.flag();
        life.fresh = load_phase(in);
        life.gone = load_phase(in);
        life.gone_at = in.time();
        life.judged_at = in.time();
        for (double* value :
             {&life.calls_usual, &life.spans_usual, &life.expected_idle, &life.longest_idle}) {
            *value = in.f64();
            if (!std::isfinite(*value) || *value < 0) in.set_failed();
        }
        life.windows = in.u64();
    }
}

void ServiceMap::load_names(Decoder& in) {
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        std::string caller = in.text();
        edges_[{std::move(caller), in.text()}].announced = true;
    }
}

}  // namespace vigie::detectors
