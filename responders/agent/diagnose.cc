#include "responders/agent/diagnose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/text.h"

namespace vigie::agent {

using schemas::Cause;
using schemas::Diagnosis;
using schemas::Mechanism;

namespace {

// What each channel may add at most to a candidate's sum. Few, fixed, and of the same size, so
// that no single channel decides alone; calibration (learn.h) says what a share is worth.
constexpr double kDeviationWeight = 2.0;
constexpr double kOnsetWeight = 1.0;
constexpr double kSupportWeight = 2.5;  // Of the mechanism, by its own kind of symptom
constexpr double kChangeWeight = 2.0;   // A prior: too little to win without symptoms
constexpr double kPatternWeight = 1.0;
constexpr double kUnknownScore = 3.0;  // What "none of these" must be beaten by
// A detector's score of 15 times its threshold is as sure as it gets.
constexpr double kDeviationBits = 4.0;

double deviation_of(double score) {
    return std::min(std::log2(1.0 + bounded_score(score)) / kDeviationBits, 1.0);
}

// What the observations say of one entity.
struct Profile {
    double deviation = 0;
    EventTime onset;
    std::map<Channel, double> channels;  // Deviation for each
    std::vector<std::pair<EventTime, EventId>> evidence;
    EntityId explained_by;
    double explained_ratio = 0;
};
using Profiles = std::map<EntityId, Profile>;

struct Candidate {
    Cause cause;
    double score = 0;
};

Profiles profiles_of(const std::vector<Observation>& observations) {
    Profiles profiles;
    for (const auto& seen : observations) {
        if (seen.entity.empty()) continue;
        auto& profile = profiles[seen.entity];
        const double deviation = deviation_of(seen.score);
        const bool first = profile.evidence.empty();
        profile.onset = first ? seen.onset : std::min(profile.onset, seen.onset);
        profile.deviation = std::max(profile.deviation, deviation);
        auto& channel = profile.channels[seen.channel];
        channel = std::max(channel, deviation);
        profile.evidence.emplace_back(seen.onset, seen.event);
    }
    for (auto& [entity, profile] : profiles) {
        std::sort(profile.evidence.begin(), profile.evidence.end());
    }
    return profiles;
}

bool chain_reaches(const Profiles& profiles, EntityId from, const EntityId& wanted) {
    for (std::size_t hops = 0; hops <= profiles.size(); ++hops) {
        if (from == wanted) return true;
        const auto found = profiles.find(from);
        if (found == profiles.end() || found->second.explained_by.empty()) return false;
        from = found->second.explained_by;
    }
    return true;
}

// A caller's symptoms are explained by the callee whose own are large enough and not later.
// Entities that began last are explained first, so that in a circle of calls the one that
// began first stays unexplained.
void explain(Profiles& profiles, const Graph& depends_on) {
    std::vector<std::pair<EventTime, EntityId>> order;
    for (const auto& [entity, profile] : profiles) order.emplace_back(profile.onset, entity);
    std::sort(order.rbegin(), order.rend());
    for (const auto& [onset, entity] : order) {
        const auto callees = depends_on.find(entity);
        if (callees == depends_on.end()) continue;
        auto& profile = profiles[entity];
        for (const auto& callee : callees->second) {
            const auto found = profiles.find(callee);
            if (found == profiles.end() || callee == entity) continue;
            if (found->second.onset > onset + kOnsetTolerance) continue;
            if (chain_reaches(profiles, callee, entity)) continue;
            const double ratio = profile.deviation <= 0
                                     ? 1.0
                                     : std::min(found->second.deviation / profile.deviation, 1.0);
            if (ratio <= profile.explained_ratio) continue;
            profile.explained_ratio = ratio;
            profile.explained_by = callee;
        }
    }
}

bool has(const Profile& profile, Channel channel) {
    return profile.channels.contains(channel);
}

std::string channel_names(const Profile& profile) {
    std::string out;
    for (const auto& [channel, deviation] : profile.channels) {
        out += fmt::format("{}{}", out.empty() ? "" : ", ", to_string(channel));
    }
    return out;
}

// The channels that do not depend on the mechanism: deviation and onset, both only as far as
// nothing below explains them.
Candidate base_of(const EntityId& entity, const Profile& profile, EventTime first_onset) {
    Candidate candidate;
    candidate.cause.entity = entity;
    candidate.cause.onset = profile.onset;
    for (const auto& [at, event] : profile.evidence) {
        if (candidate.cause.evidence.size() < kEvidenceMax) {
            candidate.cause.evidence.push_back(event);
        }
    }
    auto& reasons = candidate.cause.reasons;
    const double unexplained = 1.0 - profile.explained_ratio;
    candidate.score += kDeviationWeight * profile.deviation * unexplained;
    reasons.push_back(fmt::format("It deviates in {} (strength {} of 1).", channel_names(profile),
                                  number(profile.deviation)));
    const auto gap = profile.onset - first_onset;
    const double early =
        1.0 - std::min(static_cast<double>(gap.count()) /
                           static_cast<double>(EventClock::duration(kOnsetTolerance).count()),
                       1.0);
    candidate.score += kOnsetWeight * early * unexplained;
    reasons.push_back(gap.count() == 0
                          ? std::string("None of the symptoms began before its own.")
                          : fmt::format("Its symptoms began {} after the first.", age_text(gap)));
    if (!profile.explained_by.empty()) {
        reasons.push_back(fmt::format("{} of its symptoms is explained by {}, which it depends on.",
                                      number(profile.explained_ratio),
                                      clean(profile.explained_by.value, kNameBytesMax)));
    }
    return candidate;
}

// Halves every sixth of the window; nothing when it came after the onset or before the window.
double recency_of(const RecentChange& change, EventTime onset, std::chrono::seconds window) {
    if (change.first_at > onset + kChangeTolerance) return 0;
    const auto age = std::max(onset - std::min(change.latest_at, onset), EventClock::duration{0});
    if (age > window || window.count() <= 0) return 0;
    const double sixths = 6.0 * static_cast<double>(age.count()) /
                          static_cast<double>(EventClock::duration(window).count());
    return std::exp2(-sixths);
}

// Only what reached the running system can break it; one that did not succeed may have in part.
double reach_of(const RecentChange& change) {
    const auto& status = change.status;
    if (status.empty() || status == "success" || status == "in_progress") return 1.0;
    return 0.5;
}

// Two clocks and a scrape's width lie between a change and its first symptom, so it may seem to
// come after it.
std::string when(const RecentChange& change, EventTime onset) {
    if (change.latest_at <= onset)
        return age_text(onset - change.latest_at) + " before its symptoms";
    if (change.first_at <= onset) return "while its symptoms began";
    return age_text(change.first_at - onset) +
           " after its first symptom, which is as close as times can be compared";
}

// A deployment that another one replaced before the symptoms began no longer ran.
bool is_replaced(const SuspectChange& suspect, const DiagnosisInput& input, EventTime onset) {
    const auto& change = suspect.change;
    if (change.kind != schemas::ChangeKind::kDeployment) return false;
    return std::any_of(input.changes.begin(), input.changes.end(), [&](const auto& other) {
        return other.entity == suspect.entity && other.change.kind == change.kind &&
               reach_of(other.change) == 1.0 && other.change.first_at > change.latest_at &&
               other.change.latest_at <= onset;
    });
}

std::optional<Candidate> blame_change(const SuspectChange& suspect, const Profiles& profiles,
                                      EventTime first_onset, std::chrono::seconds window) {
    const auto found = profiles.find(suspect.entity);
    const bool deviates = found != profiles.end();
    const EventTime onset = deviates ? found->second.onset : first_onset;
    const double recency = recency_of(suspect.change, onset, window) * reach_of(suspect.change);
    if (recency <= 0) return std::nullopt;
    Candidate candidate;
    if (deviates) candidate = base_of(suspect.entity, found->second, first_onset);
    auto& cause = candidate.cause;
    cause.entity = suspect.entity;
    cause.mechanism = Mechanism::kBadChange;
    cause.change_key = suspect.change.key;
    cause.onset = onset;
    cause.evidence.push_back(suspect.change.event);
    candidate.score += kChangeWeight * recency;
    cause.reasons.push_back(fmt::format(
        "A {}{}{} came {}: a prior, not a proof.", schemas::to_string(suspect.change.kind),
        suspect.change.version.empty() ? "" : " of " + clean(suspect.change.version, kNameBytesMax),
        suspect.change.actor.empty() ? "" : " by " + clean(suspect.change.actor, kNameBytesMax),
        when(suspect.change, onset)));
    if (deviates &&
        (has(found->second, Channel::kLogPattern) || has(found->second, Channel::kErrors))) {
        candidate.score += kPatternWeight * (1.0 - found->second.explained_ratio);
        cause.reasons.emplace_back("It has errors or log lines that were not there before.");
    }
    return candidate;
}

struct Support {
    Mechanism mechanism;
    Channel channel;
    std::string_view reason;
};
constexpr std::array kSupports{
    Support{Mechanism::kResourceExhaustion, Channel::kSaturation, "A resource of it is used up."},
    Support{Mechanism::kCrash, Channel::kAbsence, "It stopped sending."},
    Support{Mechanism::kOverload, Channel::kTrafficUp, "It gets more traffic than expected."},
};

std::vector<Candidate> candidates_of(const DiagnosisInput& input, const Profiles& profiles,
                                     EventTime first_onset) {
    std::vector<Candidate> candidates;
    Candidate unknown;
    unknown.cause.mechanism = Mechanism::kUnknown;
    unknown.score = kUnknownScore;
    unknown.cause.onset = first_onset;
    double strongest = -1;
    for (const auto& [entity, profile] : profiles) {
        const auto base = base_of(entity, profile, first_onset);
        if (base.score > strongest) {
            strongest = base.score;
            unknown.cause = base.cause;
        }
        for (const auto& support : kSupports) {
            const auto channel = profile.channels.find(support.channel);
            if (channel == profile.channels.end()) continue;
            auto candidate = base;
            candidate.cause.mechanism = support.mechanism;
            candidate.cause.reasons.emplace_back(support.reason);
            candidate.score +=
                kSupportWeight * (0.5 + 0.5 * channel->second) * (1.0 - profile.explained_ratio);
            candidates.push_back(std::move(candidate));
        }
    }
    for (const auto& suspect : input.changes) {
        const auto found = profiles.find(suspect.entity);
        const EventTime onset = found == profiles.end() ? first_onset : found->second.onset;
        if (is_replaced(suspect, input, onset)) continue;
        auto candidate = blame_change(suspect, profiles, first_onset, input.change_window);
        if (candidate) candidates.push_back(*std::move(candidate));
    }
    unknown.cause.mechanism = Mechanism::kUnknown;
    unknown.cause.reasons = {"The cause may be one that is not among these."};
    candidates.push_back(std::move(unknown));
    return candidates;
}

void keep_best(std::vector<Candidate>& candidates) {
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        if (a.score != b.score) return a.score > b.score;
        if (a.cause.entity != b.cause.entity) return a.cause.entity < b.cause.entity;
        if (a.cause.mechanism != b.cause.mechanism) return a.cause.mechanism < b.cause.mechanism;
        return a.cause.change_key < b.cause.change_key;
    });
    if (candidates.size() <= kCausesMax) return;
    const auto unknown =
        std::find_if(candidates.begin(), candidates.end(), [](const Candidate& candidate) {
            return candidate.cause.mechanism == Mechanism::kUnknown;
        });
    if (unknown - candidates.begin() >= static_cast<std::ptrdiff_t>(kCausesMax)) {
        candidates[kCausesMax - 1] = *unknown;
    }
    candidates.resize(kCausesMax);
}

}  // namespace

std::string_view to_string(Channel channel) {
    constexpr std::array<std::string_view, 8> kNames{"latency",      "errors",     "traffic_up",
                                                     "traffic_down", "saturation", "absence",
                                                     "log_pattern",  "other"};
    return kNames[static_cast<std::size_t>(channel)];
}

Channel parse_channel(std::string_view text) {
    for (auto i = 0; i < static_cast<int>(Channel::kOther); ++i) {
        if (to_string(static_cast<Channel>(i)) == text) return static_cast<Channel>(i);
    }
    return Channel::kOther;
}

Channel channel_of(const schemas::Anomaly& anomaly) {
    switch (anomaly.symptom) {
        case schemas::Symptom::kLatency: return Channel::kLatency;
        case schemas::Symptom::kErrors: return Channel::kErrors;
        case schemas::Symptom::kTraffic:
            return anomaly.observed > anomaly.expected ? Channel::kTrafficUp
                                                       : Channel::kTrafficDown;
        case schemas::Symptom::kSaturation: return Channel::kSaturation;
        case schemas::Symptom::kAbsence: return Channel::kAbsence;
        case schemas::Symptom::kLogPattern: return Channel::kLogPattern;
        case schemas::Symptom::kOther: return Channel::kOther;
    }
    return Channel::kOther;
}

Diagnosis diagnose(const DiagnosisInput& input) {
    Diagnosis diagnosis;
    auto profiles = profiles_of(input.observations);
    explain(profiles, input.depends_on);
    std::optional<EventTime> first_onset;
    for (const auto& [entity, profile] : profiles) {
        if (!first_onset || profile.onset < *first_onset) first_onset = profile.onset;
        if (profile.explained_by.empty()) continue;
        diagnosis.edges.push_back({profile.explained_by, entity, profile.explained_ratio});
    }
    auto candidates = candidates_of(input, profiles, first_onset.value_or(EventTime{}));
    keep_best(candidates);
    double sum = 0;
    for (const auto& candidate : candidates) {
        sum += std::exp(candidate.score - candidates.front().score);
    }
    for (auto& candidate : candidates) {
        candidate.cause.share = std::exp(candidate.score - candidates.front().score) / sum;
        diagnosis.causes.push_back(std::move(candidate.cause));
    }
    return diagnosis;
}

std::string causal_path(const Graph& depends_on, const EntityId& symptom, const EntityId& cause) {
    std::map<EntityId, std::pair<EntityId, std::size_t>> came_from{{symptom, {{}, 0}}};
    std::deque<EntityId> queue{symptom};
    while (!queue.empty() && !came_from.contains(cause)) {
        const EntityId at = queue.front();
        queue.pop_front();
        const auto hops = came_from[at].second;
        const auto next = depends_on.find(at);
        if (next == depends_on.end() || hops == kPathMax) continue;
        for (const auto& callee : next->second) {
            if (came_from.try_emplace(callee, at, hops + 1).second) queue.push_back(callee);
        }
    }
    const auto reached = came_from.find(cause);
    if (reached == came_from.end()) return {};
    std::string path = cause.value;
    for (EntityId at = reached->second.first; !at.empty(); at = came_from[at].first) {
        path = fmt::format("{} -> {}", at.value, path);
    }
    return path;
}

}  // namespace vigie::agent
