#include "detectors/deep_tier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace vigie::detectors {

namespace {

constexpr double kDaySeconds = 86'400;
constexpr std::chrono::hours kStayMin{1};
constexpr std::size_t kOddPart = 10;   // One place in so many is kept for series that are odd.
constexpr std::uint8_t kRestRows = 3;  // Not judged after a gap or a restart,
constexpr double kGapSteps = 3;        // which is so long.
constexpr std::uint32_t kOddRows = 2;  // In a row, at least one of them an alarm of the series.
constexpr double kCalmScore = 0.5;     // A row below it, inside the band, is calm.
constexpr double kDecadesBeyond = 2;   // How far beyond what it has seen a series can claim.
constexpr double kNodeBytes = 200;     // Of the maps, with names.

double seconds_of(EventClock::duration span) {
    return std::chrono::duration<double>(span).count();
}

}  // namespace

DeepRank DeepTier::rank_of(std::string_view metric, const schemas::Labels& labels,
                           schemas::Symptom symptom) const {
    using schemas::Symptom;
    if (matches_any(named_, metric, labels)) return DeepRank::kNamed;
    if (!options_.golden) return DeepRank::kNone;
    const bool golden =
        symptom == Symptom::kLatency || symptom == Symptom::kErrors || symptom == Symptom::kTraffic;
    return golden && schemas::entity_of(labels, metric).value.starts_with("service:")
               ? DeepRank::kGolden
               : DeepRank::kNone;
}

DeepTier::Place DeepTier::place_of(const std::string& key, const Entry& entry) {
    return {entry.rank, entry.interest, key};
}

void DeepTier::count_bytes(Entry& entry) {
    const std::size_t now = entry.series.bytes() + sizeof(Entry) - sizeof(DeepSeries) +
                            static_cast<std::size_t>(kNodeBytes);
    bytes_ += now - entry.bytes;
    entry.bytes = now;
}

void DeepTier::drop(Entries::iterator entry) {
    places_.erase(place_of(entry->first, entry->second));
    if (entry->second.rank == DeepRank::kOdd) --odd_;
    bytes_ -= entry->second.bytes;
    if (entry->second.episode.firing() || entry->second.episode.silent()) ++forgotten_;
    const auto count = of_entity_.find(entry->second.entity.value);
    if (count != of_entity_.end() && --count->second == 0) of_entity_.erase(count);
    entries_.erase(entry);
    ++demoted_;
}

bool DeepTier::make_room(DeepRank rank, EventTime at) {
    // A part of the places is for those that are odd, whoever else deserves one.
    const std::size_t others_max = options_.series_max - options_.series_max / kOddPart;
    const bool spared = rank > DeepRank::kOdd && entries_.size() - odd_ >= others_max;
    if (entries_.size() < options_.series_max && !spared) return true;
    if (entries_.empty()) return false;
    const auto may_go = [spared](const Entry& entry) {
        return !entry.episode.firing() && !(spared && entry.rank == DeepRank::kOdd);
    };
    if (at >= none_idle_until_) {
        auto oldest = entries_.begin();
        for (auto each = entries_.begin(); each != entries_.end(); ++each) {
            if (!may_go(each->second)) continue;
            if (each->second.last_at < oldest->second.last_at || !may_go(oldest->second)) {
                oldest = each;
            }
        }
        if (at - oldest->second.last_at > rules_.idle_after && may_go(oldest->second)) {
            drop(oldest);
            return true;
        }
        none_idle_until_ = std::max(oldest->second.last_at + rules_.idle_after, at + kStayMin / 60);
    }
    constexpr int kLooked = 16;  // At those that deserve it least.
    int looked = 0;
    const auto first =
        spared ? places_.lower_bound({DeepRank::kGolden, EventTime::min(), ""}) : places_.begin();
    for (auto at_place = first; at_place != places_.end(); ++at_place) {
        const Place& place = *at_place;
        if (std::get<0>(place) > rank || ++looked > kLooked) break;
        const auto entry = entries_.find(std::get<2>(place));
        const bool lower = entry->second.rank < rank;
        const bool stale = rank == DeepRank::kOdd && at - entry->second.since >= kStayMin;
        if (!may_go(entry->second) || entry->second.episode.silent() || !(lower || stale)) continue;
        drop(entry);
        return true;
    }
    return false;
}

void DeepTier::renew(Entries::iterator entry, DeepRank rank, EventTime at) {
    places_.erase(place_of(entry->first, entry->second));
    if (entry->second.rank == DeepRank::kOdd && rank > DeepRank::kOdd) --odd_;
    entry->second.rank = std::max(entry->second.rank, rank);
    entry->second.interest = std::max(entry->second.interest, at);
    places_.insert(place_of(entry->first, entry->second));
}

bool DeepTier::promote(std::string_view key, const EntityId& entity, DeepRank rank, bool odd,
                       EventTime at) {
    if (options_.series_max == 0) return false;
    if (odd) rank = std::max(rank, DeepRank::kOdd);
    if (rank == DeepRank::kNone) return false;
    if (const auto known = entries_.find(key); known != entries_.end()) {
        if (odd) renew(known, rank, at);
        return true;
    }
    now_ = std::max(now_, at);
    if (!make_room(rank, at)) {
        ++refused_;
        return false;
    }
    const auto [made, _] = entries_.try_emplace(std::string(key));
    Entry& fresh = made->second;
    fresh.entity = entity;
    fresh.rank = rank;
    fresh.since = fresh.interest = fresh.last_at = at;
    places_.insert(place_of(made->first, fresh));
    if (rank == DeepRank::kOdd) ++odd_;
    ++of_entity_[entity.value];
    ++promoted_;
    count_bytes(fresh);
    return true;
}

DeepJudgement DeepTier::observe(std::string_view key, EventTime at, double value,
                                bool light_fires) {
    DeepJudgement out;
    const auto found = entries_.find(key);
    if (found == entries_.end()) return out;
    Entry& entry = found->second;
    out.deep = true;
    now_ = std::max(now_, at);
    if (entry.rows > 0) {
        const double seconds = std::max(seconds_of(at - entry.last_at), 1e-3);
        if (entry.rows > 1 && seconds > kGapSteps * entry.step_seconds) entry.rest = kRestRows;
        entry.step_seconds += (seconds - entry.step_seconds) / std::min(entry.rows, 50U);
    }
    entry.last_at = std::max(entry.last_at, at);
    if (entry.rows < std::numeric_limits<std::uint32_t>::max()) ++entry.rows;
    const DeepVerdict verdict = entry.series.observe(at, value);
    count_bytes(entry);
    out.expected = verdict.expected;
    out.lower = verdict.lower;
    out.upper = verdict.upper;
    out.score = verdict.sum;
    out.deviation = verdict.deviation;
    out.rarity = std::min(entry.sums.rarity(verdict.sum),
                          std::log10(static_cast<double>(entry.sums.seen()) + 1) + kDecadesBeyond);
    out.alarm = verdict.anomaly;
    out.usual = verdict.usual;
    out.judged = entry.rows > kWarmupRows && at - entry.since >= kWarmupSpan;
    const auto count = of_entity_.find(entry.entity.value);
    const double series = count == of_entity_.end() ? 1 : static_cast<double>(count->second);
    if (entry.step_seconds > 0) out.rows_per_day = series * kDaySeconds / entry.step_seconds;
    if (out.judged) follow(entry, at, value, light_fires, out);
    // What an alarm holds is not what the series usually has.
    if (!entry.episode.firing() && !light_fires) entry.sums.add(verdict.sum);
    return out;
}

void DeepTier::follow(Entry& entry, EventTime at, double value, bool light_fires,
                      DeepJudgement& out) {
    using Sight = Episode::Sight;
    const bool resting = entry.rest > 0;
    if (resting) --entry.rest;
    if (!entry.episode.firing()) {
        // Back after silence: over when it is calm, told anew when it is odd.
        out.again = entry.episode.silent();
        // A single wild value makes the way back odd, too: that is no second row.
        const bool returned =
            entry.peak > 0 && entry.outside && value >= entry.lower && value <= entry.upper;
        const bool odd = !light_fires && !resting && !returned &&
                         (out.score >= 1 || (out.alarm && entry.peak == 0));
        if (!odd) {
            entry.peak = 0;
        } else if (entry.peak == 0) {
            if (!out.again) {
                entry.lower = out.lower;
                entry.upper = out.upper;
            }
            entry.peak = std::max(out.rarity, 1e-9);
            entry.alarmed = out.alarm;
            entry.outside = value < entry.lower || value > entry.upper;
        } else {
            entry.peak = std::max(entry.peak, out.rarity);
            entry.alarmed = entry.alarmed || out.alarm;
        }
        out.rarity = std::max(out.rarity, entry.peak);
        const bool back = out.again && value >= entry.lower && value <= entry.upper;
        const Sight sight = odd && !back && (entry.alarmed || out.again) ? Sight::kOdd
                            : back || out.score <= kCalmScore            ? Sight::kCalm
                                                                         : Sight::kBetween;
        out.turn = entry.episode.see(sight, at, at, {kOddRows, rules_.calm_points});
        return;
    }
    entry.peak = 0;
    const bool inside = value >= entry.lower && value <= entry.upper;
    const Sight sight = !inside || out.score >= 1 ? Sight::kOdd
                        : out.score <= kCalmScore ? Sight::kCalm
                                                  : Sight::kBetween;
    out.turn = entry.episode.see(sight, at, at, {1, rules_.calm_points});
    if (out.turn == Episode::Turn::kNone && !inside &&
        at - entry.episode.first_seen() >= rules_.adapt_after) {
        entry.episode.end();
        out.turn = Episode::Turn::kEnded;
        out.adapted = true;
    }
}

void DeepTier::retract(std::string_view key) {
    if (const auto found = entries_.find(key); found != entries_.end()) {
        found->second.episode.end();
    }
}

const Episode* DeepTier::episode(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second.episode;
}

void DeepTier::forget_row(std::string_view key) {
    if (const auto found = entries_.find(key); found != entries_.end()) {
        found->second.episode.forget_row();
        found->second.rest = kRestRows;
    }
}

void DeepTier::forget(std::string_view key) {
    if (const auto found = entries_.find(key); found != entries_.end()) drop(found);
}

std::vector<std::string> DeepTier::sweep(EventTime now, EventTime watching_since,
                                         std::chrono::seconds end_after) {
    std::vector<std::string> silent;
    std::vector<std::string> leave;
    now_ = std::max(now_, now);
    for (auto& [key, entry] : entries_) {
        if (entry.episode.firing()) {
            if (now - std::max(entry.last_at, watching_since) < end_after) continue;
            entry.episode.fall_silent();
            silent.push_back(key);
        } else if (entry.rank == DeepRank::kOdd && !entry.episode.silent() &&
                   now - entry.interest > options_.odd_stay) {
            leave.push_back(key);
        }
    }
    for (const std::string& key : leave) forget(key);
    return silent;
}

void DeepTier::save(Encoder& out) const {
    out.time(now_);
    out.time(none_idle_until_);
    out.u64(entries_.size());
    for (const auto& [key, entry] : entries_) {
        out.text(key);
        out.text(entry.entity.value);
        out.u64(static_cast<std::uint64_t>(entry.rank));
        entry.episode.save(out);
        for (const EventTime time : {entry.since, entry.interest, entry.last_at}) out.time(time);
        for (const double value : {entry.step_seconds, entry.lower, entry.upper, entry.peak}) {
            out.f64(value);
        }
        out.flag(entry.alarmed);
        out.flag(entry.outside);
        out.u64(entry.rest);
        out.u64(entry.rows);
        entry.sums.save(out);
        entry.series.save(out);
    }
}

void DeepTier::load(Decoder& in) {
    entries_.clear();
    places_.clear();
    of_entity_.clear();
    bytes_ = 0;
    odd_ = 0;
    now_ = in.time();
    none_idle_until_ = in.time();
    for (std::size_t left = in.count(200); left > 0 && !in.failed(); --left) {
        const std::string key = in.text();
        Entry& entry = entries_[key];
        entry.entity.value = in.text();
        const std::uint64_t rank = in.u64();
        if (rank < 1 || rank > static_cast<std::uint64_t>(DeepRank::kNamed)) in.set_failed();
        entry.rank = in.failed() ? DeepRank::kOdd : static_cast<DeepRank>(rank);
        entry.episode.load(in);
        for (EventTime* time : {&entry.since, &entry.interest, &entry.last_at}) *time = in.time();
        for (double* value : {&entry.step_seconds, &entry.lower, &entry.upper, &entry.peak}) {
            *value = in.f64();
        }
        entry.alarmed = in.flag();
        entry.outside = in.flag();
        const std::uint64_t rest = in.u64();
        if (rest > kRestRows) in.set_failed();
        entry.rest = static_cast<std::uint8_t>(rest & 0xffU);
        const std::uint64_t rows = in.u64();
        if (!(entry.step_seconds >= 0) || rows > std::numeric_limits<std::uint32_t>::max()) {
            in.set_failed();
        }
        entry.rows = static_cast<std::uint32_t>(rows & 0xffffffffU);
        entry.sums.load(in);
        entry.series.load(in);
        if (in.failed() || !places_.insert(place_of(key, entry)).second) break;
        if (entry.rank == DeepRank::kOdd) ++odd_;
        ++of_entity_[entry.entity.value];
        count_bytes(entry);
        // The budget may be smaller than the one it was saved with.
        if (entries_.size() > options_.series_max) {
            drop(entries_.find(std::get<2>(*places_.begin())));
        }
    }
}

}  // namespace vigie::detectors
