#include "detectors/noise.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "detectors/match.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr double kDaySeconds = 86'400;
constexpr std::chrono::minutes kTogether{10};  // Alarms so close together count as one.
constexpr std::chrono::hours kKnownFor{24 * 30};
constexpr double kAlarmDecades = 0.5;  // What an alarm beyond the budget asks of the next,
constexpr double kAlarmScore = 0.1;    // without calibration.
constexpr double kVerdictDecades = 1;
constexpr double kVerdictScore = 1.25;
constexpr double kRaisedMax = 6;
constexpr double kKnownScore = 1.5;
constexpr double kDeploymentScore = 1.5;
constexpr double kAlarmsMax = 50;

double seconds_of(EventClock::duration span) {
    return std::chrono::duration<double>(span).count();
}

// Erases the entry whose `time` is oldest; the first of several.
template <class Map, class Time>
void erase_oldest(Map& map, Time time) {
    map.erase(
        std::ranges::min_element(map, {}, [&](const auto& entry) { return time(entry.second); }));
}

}  // namespace

double NoiseGate::recent(const OfEntity& entity, EventTime at) const {
    if (entity.alarms == 0) return 0;
    const double age = std::max(seconds_of(at - entity.alarm_at), 0.0) / kDaySeconds;
    return entity.alarms * std::exp2(-age);
}

bool NoiseGate::in_calendar(const EntityId& entity, EventTime at) const {
    return std::ranges::any_of(options_.calendar, [&](const KnownEvent& event) {
        if (at < event.begin || !glob_matches(event.entities, entity.value)) return false;
        auto since = at - event.begin;
        if (event.every > std::chrono::seconds{0}) since %= event.every;
        return since < event.lasts;
    });
}

Hold NoiseGate::hold(const Claim& claim) const {
    if (in_calendar(claim.entity, claim.at)) return Hold::kCalendar;
    const bool calibrated = claim.rows_per_day > 0 && claim.rarity > 0;
    double decades = 0;
    double score = 1;
    if (const auto key = keys_.find(claim.key); key != keys_.end()) {
        decades = kVerdictDecades * key->second.raised;
        score = std::pow(kVerdictScore, key->second.raised);
        if (claim.at < key->second.known_until) {
            score = std::max(score, kKnownScore * key->second.known);
        }
    }
    const double budget = std::max(options_.false_alarms_per_day, 1e-6);
    const double base = calibrated ? std::max(std::log10(claim.rows_per_day / budget), 0.0) : 0;
    if (calibrated && claim.rarity < base) return Hold::kBudget;
    if (claim.score < score || (calibrated && claim.rarity < base + decades)) {
        return Hold::kVerdict;
    }
    const auto entity = entities_.find(claim.entity.value);
    if (entity == entities_.end()) return Hold::kNone;
    const OfEntity& of = entity->second;
    const auto since_release = claim.at - of.deployed_at;
    if (!of.version.empty() && since_release >= EventClock::duration{0} &&
        since_release < options_.deployment_grace && claim.score < kDeploymentScore * score) {
        return Hold::kDeployment;
    }
    // What comes together with an alarm that was told belongs to it.
    if (of.alarms > 0 && claim.at - of.alarm_at < kTogether) return Hold::kNone;
    const double beyond = std::max(recent(of, claim.at) - budget, 0.0);
    const bool dear = calibrated ? claim.rarity < base + decades + kAlarmDecades * beyond
                                 : claim.score < score * (1 + kAlarmScore * beyond);
    return dear ? Hold::kBudget : Hold::kNone;
}

void NoiseGate::told(const Claim& claim) {
    OfEntity& entity = entity_of(claim.entity, claim.at);
    if (entity.alarms == 0 || claim.at - entity.alarm_at >= kTogether) {
        entity.alarms = std::min(recent(entity, claim.at) + 1, kAlarmsMax);
        entity.alarm_at = claim.at;
    }
    OfKey& key = key_of(claim.key, claim.at);
    key.told = std::clamp(claim.score, 1.0, 1e6);
}

void NoiseGate::learn(std::string_view name, AlarmVerdict verdict, EventTime at) {
    OfKey& key = key_of(name, at);
    switch (verdict) {
        case AlarmVerdict::kFalse: key.raised = std::min(key.raised + 1, kRaisedMax); break;
        case AlarmVerdict::kTrue: key.raised /= 2; break;
        case AlarmVerdict::kKnown:
            key.known = std::max(key.told, 1.0);
            key.known_until = at + kKnownFor;
            break;
    }
}

void NoiseGate::deployed(const EntityId& name, std::string_view version, EventTime at) {
    if (name.value.empty()) return;
    OfEntity& entity = entity_of(name, at);
    if (at < entity.deployed_at) return;
    entity.deployed_at = at;
    entity.version = cut(version.empty() ? "a version" : version, 60);
}

std::string NoiseGate::deployment_note(const EntityId& name, EventTime at) const {
    constexpr std::chrono::hours kNoted{1};
    const auto entity = entities_.find(name.value);
    if (entity == entities_.end() || entity->second.version.empty()) return {};
    const auto since = at - entity->second.deployed_at;
    if (since < EventClock::duration{0} || since > kNoted) return {};
    return fmt::format("; {} was deployed {} before", entity->second.version, span_text(since));
}

NoiseGate::OfEntity& NoiseGate::entity_of(const EntityId& name, EventTime at) {
    if (const auto found = entities_.find(name.value); found != entities_.end()) {
        return found->second;
    }
    if (entities_.size() >= options_.entities_max) {
        erase_oldest(entities_, [](const OfEntity& each) {
            return std::max(each.alarm_at, each.deployed_at);
        });
        ++forgotten_;
    }
    OfEntity& entity = entities_[name.value];
    entity.alarm_at = at;
    entity.deployed_at = EventTime{};
    return entity;
}

NoiseGate::OfKey& NoiseGate::key_of(std::string_view name, EventTime at) {
    auto found = keys_.find(name);
    if (found == keys_.end()) {
        if (keys_.size() >= options_.verdicts_max) {
            // What nobody judged is forgotten first.
            erase_oldest(keys_, [](const OfKey& each) {
                return std::pair(each.raised > 0 || each.known > 0, each.used_at);
            });
            ++forgotten_;
        }
        found = keys_.try_emplace(std::string(name)).first;
    }
    found->second.used_at = at;
    return found->second;
}

std::size_t NoiseGate::bytes() const {
    constexpr std::size_t kNode = 64;  // Of a map, and its text.
    return entities_.size() * (sizeof(OfEntity) + kNode) +
           keys_.size() * (sizeof(OfKey) + 2 * kNode);
}

void NoiseGate::save(Encoder& out) const {
    out.u64(entities_.size());
    for (const auto& [name, entity] : entities_) {
        out.text(name);
        out.f64(entity.alarms);
        out.time(entity.alarm_at);
        out.time(entity.deployed_at);
        out.text(entity.version);
    }
    out.u64(keys_.size());
    for (const auto& [name, key] : keys_) {
        out.text(name);
        for (const double value : {key.raised, key.told, key.known}) out.f64(value);
        out.time(key.known_until);
        out.time(key.used_at);
    }
}

void NoiseGate::load(Decoder& in) {
    entities_.clear();
    keys_.clear();
    const auto number = [&in](double most) {
        const double value = in.f64();
        if (!(value >= 0 && value <= most)) in.set_failed();
        return value;
    };
    for (std::size_t left = in.count(12); left > 0 && !in.failed(); --left) {
        OfEntity& entity = entities_[in.text()];
        entity.alarms = number(kAlarmsMax);
        entity.alarm_at = in.time();
        entity.deployed_at = in.time();
        entity.version = in.text();
    }
    for (std::size_t left = in.count(27); left > 0 && !in.failed(); --left) {
        OfKey& key = keys_[in.text()];
        key.raised = number(kRaisedMax);
        key.told = number(1e6);
        key.known = number(1e6);
        key.known_until = in.time();
        key.used_at = in.time();
    }
}

std::optional<AlarmVerdict> parse_alarm_verdict(std::string_view text) {
    if (text == "true" || text == "right") return AlarmVerdict::kTrue;
    if (text == "false") return AlarmVerdict::kFalse;
    if (text == "known") return AlarmVerdict::kKnown;
    return std::nullopt;
}

std::string_view to_string(Hold hold) {
    constexpr std::array<std::string_view, kHolds> kNames{"none",     "budget",     "verdict",
                                                          "calendar", "deployment", "usual"};
    return kNames.at(static_cast<std::size_t>(hold));
}

}  // namespace vigie::detectors
