#include "detectors/metric_tiers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "detectors/words.h"

namespace vigie::detectors {

using schemas::Anomaly;
using schemas::Ended;

namespace {

constexpr std::size_t kSignalBytesMax = 300;
constexpr double kNearlyOdd = 2.0 / 3;  // Of the light threshold: enough to ask for a place.
constexpr std::uint8_t kAskEvery = 64;  // Rows, for series that are not odd.

DeepTier::Rules rules_of(const MetricsOptions& options) {
    return {options.idle_after, options.adapt_after, options.calm_points};
}

}  // namespace

struct MetricTiers::Told {
    std::string_view detector;  // "seasonal" or "deep"
    double expected = 0;
    double lower = 0;
    double upper = 0;
    double score = 0;
    LightSign sign = LightSign::kLevel;
    EventTime first_seen;
    EventTime last_seen;
    std::optional<Ended> ended;  // Nothing while it fires.
};

MetricTiers::MetricTiers(const MetricsOptions& options, std::vector<SeriesPattern> named)
    : end_after_(options.end_after),
      severity_(options.severity),
      joint_on_(options.joint_entities_max > 0),
      deep_(options.deep, std::move(named), rules_of(options)),
      joint_(options.joint_entities_max),
      gate_(options.noise) {}

DeepRank MetricTiers::rank_of(std::string_view metric, const schemas::Labels& labels,
                              schemas::Symptom symptom, bool named) const {
    return named ? DeepRank::kNamed : deep_.rank_of(metric, labels, symptom);
}

Hold MetricTiers::ask(const Claim& claim, SeriesTier* tier, bool usual) {
    const Hold hold = usual ? Hold::kUsual : gate_.hold(claim);
    if (hold == Hold::kNone) {
        gate_.told(claim);
    } else if (tier == nullptr || tier->held != hold) {
        ++held_[hold];
    }
    if (tier != nullptr) tier->held = hold;
    return hold;
}

Anomaly MetricTiers::anomaly_of(const SeriesFacts& facts, const Told& told) const {
    Anomaly anomaly;
    anomaly.detector = told.detector;
    anomaly.key = fmt::format("{}|{}", told.detector, facts.key);
    anomaly.firing = !told.ended;
    anomaly.ended = told.ended;
    anomaly.symptom = facts.symptom;
    anomaly.severity = severity_;
    anomaly.entity = facts.entity;
    anomaly.signal = cut(facts.key, kSignalBytesMax);
    anomaly.observed = finite(facts.observed);
    anomaly.expected = finite(told.expected);
    anomaly.lower = finite(facts.negative ? told.lower : std::max(told.lower, 0.0));
    anomaly.upper = finite(told.upper);
    anomaly.score = finite(anomaly.firing ? std::max(told.score, 1.0) : told.score);
    anomaly.unit = facts.unit;
    anomaly.first_seen = told.first_seen;
    anomaly.last_seen = told.last_seen;
    const std::string what = fmt::format("{}{}", facts.metric, facts.counter ? " rate" : "");
    const std::string value = with_unit(anomaly.observed, anomaly.unit);
    const std::string usual = range_with_unit(anomaly.lower, anomaly.upper, anomaly.unit);
    const std::string odd_for = span_text(told.last_seen - told.first_seen);
    if (!told.ended) {
        const bool inside = anomaly.observed >= anomaly.lower && anomaly.observed <= anomaly.upper;
        switch (told.sign) {
            case LightSign::kLevel:
                anomaly.reason =
                    inside && told.detector == "deep"
                        ? fmt::format("{} moves as it never did, at {}, expected {}", what, value,
                                      with_unit(anomaly.expected, anomaly.unit))
                        : fmt::format("{} is {}, usually {}", what, value, usual);
                break;
            case LightSign::kFlat:
                anomaly.reason =
                    fmt::format("{} stands still at {}; it used to change", what, value);
                break;
            case LightSign::kSaturated:
                anomaly.reason =
                    fmt::format("{} stands at {}, the largest it ever had", what, value);
                break;
            case LightSign::kBound:
                anomaly.reason = fmt::format("{} is {}, beyond its bound", what, value);
                break;
        }
        anomaly.reason += gate_.deployment_note(facts.entity, told.first_seen);
        return anomaly;
    }
    switch (*told.ended) {
        case Ended::kCalm:
            anomaly.reason = fmt::format("{} is {} again, usually {}; it was unusual for {}", what,
                                         value, usual, odd_for);
            break;
        case Ended::kAdapted:
            anomaly.reason = fmt::format("{} stays near {} for {}: taken as the new normal", what,
                                         value, odd_for);
            break;
        case Ended::kSilent:
            anomaly.reason =
                fmt::format("{} sent nothing for {}: no longer judged, it was {}, usually {}", what,
                            span_text(end_after_), value, usual);
            break;
    }
    return anomaly;
}

bool MetricTiers::concerned(const SeriesTier& tier, const Judgement& judgement,
                            const Episode& episode) {
    return tier.deep || tier.rank != DeepRank::kNone || episode.firing() ||
           judgement.turn != Episode::Turn::kNone ||
           (judgement.judged && judgement.score >= kNearlyOdd);
}

void MetricTiers::row(const SeriesFacts& facts, SeriesTier& tier, EventTime at,
                      const Judgement& judgement, const Episode& episode, bool again,
                      Findings& out) {
    const bool odd = judgement.judged && judgement.score >= kNearlyOdd;
    if (tier.wait > 0) --tier.wait;
    if (odd || (!tier.deep && tier.rank != DeepRank::kNone && tier.wait == 0)) {
        tier.deep = deep_.promote(facts.key, facts.entity, tier.rank, odd, at);
        tier.wait = kAskEvery;
    }
    const bool usual = tier.deep && deep(facts, tier, at, episode.firing(), out);
    light(facts, tier, at, judgement, episode, again, usual, out);
}

void MetricTiers::light(const SeriesFacts& facts, SeriesTier& tier, EventTime at,
                        const Judgement& judgement, const Episode& episode, bool again, bool usual,
                        Findings& out) {
    const auto tell = [&](std::optional<Ended> ended) {
        out.anomalies.push_back(anomaly_of(
            facts,
            {"seasonal", judgement.expected, judgement.lower, judgement.upper, judgement.score,
             judgement.sign, episode.first_seen(), episode.last_seen(), ended}));
    };
    if (judgement.turn == Episode::Turn::kBegan) {
        // Who heard that it fell silent hears that it fires again.
        if (again && tier.told) return tell(std::nullopt);
        tier.told = false;
        tier.held = Hold::kNone;
    }
    if (episode.firing() && !tier.told) {
        const std::string key = fmt::format("seasonal|{}", facts.key);
        const Claim claim{key, facts.entity, at, std::max(judgement.score, 1.0), 0, 0};
        const bool on_other_days = usual && judgement.sign == LightSign::kLevel;
        tier.told = ask(claim, &tier, on_other_days) == Hold::kNone;
        if (tier.told) tell(std::nullopt);
    } else if (judgement.turn == Episode::Turn::kEnded && std::exchange(tier.told, false)) {
        tell(judgement.adapted ? Ended::kAdapted : Ended::kCalm);
    }
}

void MetricTiers::light_silent(const SeriesFacts& facts, const SeriesTier& tier,
                               const Judgement& judgement, const Episode& episode, Findings& out) {
    if (!tier.told) return;
    out.anomalies.push_back(anomaly_of(
        facts, {"seasonal", judgement.expected, judgement.lower, judgement.upper, judgement.score,
                judgement.sign, episode.first_seen(), episode.last_seen(), Ended::kSilent}));
}

bool MetricTiers::deep(const SeriesFacts& facts, SeriesTier& tier, EventTime at, bool light_fires,
                       Findings& out) {
    const DeepJudgement judgement = deep_.observe(facts.key, at, facts.observed, light_fires);
    tier.deep = judgement.deep;
    if (!judgement.deep) return false;
    const Episode* episode = deep_.episode(facts.key);
    const auto tell = [&](std::optional<Ended> ended) {
        out.anomalies.push_back(anomaly_of(
            facts, {"deep", judgement.expected, judgement.lower, judgement.upper, judgement.score,
                    LightSign::kLevel, episode->first_seen(), episode->last_seen(), ended}));
    };
    if (judgement.turn == Episode::Turn::kBegan) {
        const std::string key = fmt::format("deep|{}", facts.key);
        const Claim claim{
            key, facts.entity, at, judgement.score, judgement.rarity, judgement.rows_per_day};
        if (judgement.again || ask(claim, nullptr, false) == Hold::kNone) {
            tell(std::nullopt);
        } else {
            deep_.retract(facts.key);
        }
    } else if (judgement.turn == Episode::Turn::kEnded) {
        tell(judgement.adapted ? Ended::kAdapted : Ended::kCalm);
    }
    if (joint_on_ && judgement.judged) {
        joint(facts, at, judgement.deviation, light_fires || episode->firing(), out);
    }
    return judgement.judged && judgement.usual;
}

void MetricTiers::joint(const SeriesFacts& facts, EventTime at, double residual, bool odd,
                        Findings& out) {
    const Episode* before = joint_.episode(facts.entity);
    const bool again = before != nullptr && before->silent();
    const JointJudgement judgement = joint_.see(facts.entity, facts.key, at, residual, odd);
    if (judgement.turn == Episode::Turn::kNone) return;
    const Episode& episode = *joint_.episode(facts.entity);
    if (judgement.turn == Episode::Turn::kEnded) {
        return tell_joint(judgement, episode, Ended::kCalm, out);
    }
    const std::string key = fmt::format("joint|{}", facts.entity.value);
    const Claim claim{
        key, facts.entity, judgement.at, judgement.score, judgement.rarity, judgement.rows_per_day};
    if (again || ask(claim, nullptr, false) == Hold::kNone) {
        tell_joint(judgement, episode, std::nullopt, out);
    } else {
        joint_.retract(facts.entity);
    }
}

void MetricTiers::tell_joint(const JointJudgement& judgement, const Episode& episode,
                             std::optional<Ended> ended, Findings& out) const {
    Anomaly anomaly;
    anomaly.detector = "joint";
    anomaly.key = fmt::format("joint|{}", judgement.entity.value);
    anomaly.firing = !ended;
    anomaly.ended = ended;
    anomaly.severity = severity_;
    anomaly.entity = judgement.entity;
    anomaly.signal = cut(judgement.entity.value, kSignalBytesMax);
    anomaly.observed = finite(judgement.score * judgement.limit);
    anomaly.expected = 1;  // On average, by definition.
    anomaly.upper = finite(judgement.limit);
    anomaly.score = finite(anomaly.firing ? std::max(judgement.score, 1.0) : judgement.score);
    anomaly.unit = "1";
    anomaly.first_seen = episode.first_seen();
    anomaly.last_seen = episode.last_seen();
    for (const auto& key : judgement.apart) anomaly.examples.push_back(cut(key, kSignalBytesMax));
    if (!ended) {
        anomaly.reason =
            fmt::format("metrics of {} do not move together as usual", judgement.entity.value);
        if (judgement.apart.size() == 2) {
            anomaly.reason +=
                fmt::format(": above all {} and {}", anomaly.examples[0], anomaly.examples[1]);
        }
    } else if (*ended == Ended::kSilent) {
        anomaly.reason = fmt::format("metrics of {} sent nothing for {}: no longer judged together",
                                     judgement.entity.value, span_text(end_after_));
    } else {
        anomaly.reason =
            fmt::format("metrics of {} move together as usual again", judgement.entity.value);
    }
    out.anomalies.push_back(std::move(anomaly));
}

void MetricTiers::forget_row(std::string_view key, const SeriesTier& tier) {
    if (tier.deep) deep_.forget_row(key);
}

void MetricTiers::forget(std::string_view key, const SeriesTier& tier) {
    if (tier.deep) deep_.forget(key);
}

void MetricTiers::sweep(EventTime now, EventTime watching_since, const FactsOf& facts_of,
                        Findings& out) {
    for (const std::string& key : deep_.sweep(now, watching_since, end_after_)) {
        const Episode* episode = deep_.episode(key);
        const auto facts = facts_of(key);
        if (!facts || episode == nullptr) continue;
        out.anomalies.push_back(anomaly_of(
            *facts,
            {"deep", facts->observed, facts->observed, facts->observed, 0, LightSign::kLevel,
             episode->first_seen(), episode->last_seen(), Ended::kSilent}));
    }
    for (const EntityId& entity : joint_.sweep(now, watching_since, end_after_)) {
        JointJudgement judgement;
        judgement.entity = entity;
        tell_joint(judgement, *joint_.episode(entity), Ended::kSilent, out);
    }
}

void MetricTiers::learn(const schemas::Event& event) {
    if (const auto* change = std::get_if<schemas::Change>(&event.data)) {
        if (change->kind == schemas::ChangeKind::kDeployment) {
            gate_.deployed(change->entity, change->version, change->at);
        }
        return;
    }
    const auto* decision = std::get_if<schemas::Decision>(&event.data);
    if (decision == nullptr || decision->kind != schemas::DecisionKind::kVerdict) return;
    const auto verdict = parse_alarm_verdict(decision->value);
    if (verdict && !decision->scope.empty()) {
        gate_.learn(decision->scope, *verdict, event.meta.time);
    }
}

void MetricTiers::count(Counts& counts) const {
    for (const auto& [hold, count] : held_) {
        counts.events[fmt::format("held_{}", to_string(hold))] = count;
    }
    counts.events["promoted"] = deep_.promoted();
    counts.events["demoted"] = deep_.demoted();
    counts.events["promotion_refused"] = deep_.refused();
    counts.dropped["forgotten"] += deep_.forgotten() + gate_.forgotten();
    counts.dropped["joint_entities_max"] += joint_.refused();
    counts.sizes["deep_series"] = deep_.size();
    counts.sizes["deep_bytes"] = deep_.bytes();
    counts.sizes["joint_entities"] = joint_.size();
    counts.sizes["joint_bytes"] = joint_.bytes();
    counts.sizes["noise_bytes"] = gate_.bytes();
}

void MetricTiers::save(Encoder& out) const {
    deep_.save(out);
    joint_.save(out);
    gate_.save(out);
}

void MetricTiers::load(Decoder& in) {
    deep_.load(in);
    joint_.load(in);
    gate_.load(in);
}

}  // namespace vigie::detectors
