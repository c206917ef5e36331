#include "detectors/rules/rule_state.h"

#include <cmath>
#include <utility>

namespace vigie::detectors {

void save_state(const GroupState& state, Encoder& out) {
    out.text(state.entity.value);
    for (const auto& time : {state.since, state.false_since}) {
        out.flag(time.has_value());
        out.time(time.value_or(EventTime{}));
    }
    save_phase(state.phase, out);
    out.time(state.last_true);
    out.time(state.judged_at);
    out.time(state.data_at);
    out.f64(state.value);
}

GroupState load_state(Decoder& in) {
    GroupState state;
    state.entity.value = in.text();
    for (auto* time : {&state.since, &state.false_since}) {
        const bool has = in.flag();
        const EventTime at = in.time();
        if (has) *time = at;
    }
    state.phase = load_phase(in);
    state.last_true = in.time();
    state.judged_at = in.time();
    state.data_at = in.time();
    state.value = in.f64();
    if (!std::isfinite(state.value)) in.set_failed();
    return state;
}

void save_series(const RuleSeries& series, Encoder& out) {
    out.text(series.key);
    out.text(series.metric);
    out.u64(series.labels.size());
    for (const auto& [name, value] : series.labels) {
        out.text(name);
        out.text(value);
    }
    out.text(series.entity.value);
    out.time(series.last_at);
    out.time(series.value_at);
    out.flag(series.ended);
    out.u64(series.points.size());
    for (const RulePoint& point : series.points) {
        out.time(point.at);
        out.f64(point.value);
    }
}

RuleSeries load_series(Decoder& in) {
    RuleSeries series;
    series.key = in.text();
    series.metric = in.text();
    for (std::size_t left = in.count(2); left > 0; --left) {
        std::string name = in.text();
        series.labels.emplace_back(std::move(name), in.text());
    }
    series.entity.value = in.text();
    series.last_at = in.time();
    series.value_at = in.time();
    series.ended = in.flag();
    for (std::size_t left = in.count(9); left > 0; --left) {
        const EventTime at = in.time();
        const double value = in.f64();
        if (!std::isfinite(value) || (!series.points.empty() && series.points.back().at >= at)) {
            in.set_failed();
        }
        series.points.push_back({at, value});
    }
    // New points are compared with `last_at`, not with the points.
    if (!series.points.empty() && series.points.back().at > series.last_at) in.set_failed();
    return series;
}

}  // namespace vigie::detectors
