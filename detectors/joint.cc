#include "detectors/joint.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace vigie::detectors {

namespace {

constexpr double kCut = 3;        // What a residual can teach, in usual sizes.
constexpr double kSeenCut = 6;    // What is larger is odd by itself.
constexpr double kMemory = 2000;  // Vectors.
constexpr double kShrinkage = 0.1;
constexpr double kLimitShare = 1e-3;
constexpr std::uint32_t kOddRest = 16;  // Vectors not judged after a member was odd.
constexpr std::uint32_t kCalm = 8;
constexpr std::uint32_t kMissingMax = 64;
constexpr double kCalmShare = 0.7;  // Of the limit.
constexpr double kDaySeconds = 86'400;
constexpr std::chrono::hours kIdle{24};  // Then an entity makes room.

// Solves (C + shrinkage) x = v by Cholesky's decomposition, for the first `size` members, and
// returns v' x / size: 1 on average for vectors of that covariance. `out`: each member's part.
template <std::size_t N>
double distance(const std::array<double, N * N>& covariance, const std::array<double, N>& vector,
                std::size_t size, std::array<double, N>& out) {
    std::array<double, N * N> lower{};
    for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = covariance.at(i * N + j) * (i == j ? 1 : 1 - kShrinkage);
            if (i == j) sum += 1e-3;
            for (std::size_t k = 0; k < j; ++k) sum -= lower.at(i * N + k) * lower.at(j * N + k);
            lower.at(i * N + j) =
                i == j ? std::sqrt(std::max(sum, 1e-6)) : sum / lower.at(j * N + j);
        }
    }
    std::array<double, N> half{};
    for (std::size_t i = 0; i < size; ++i) {
        double sum = vector.at(i);
        for (std::size_t k = 0; k < i; ++k) sum -= lower.at(i * N + k) * half.at(k);
        half.at(i) = sum / lower.at(i * N + i);
    }
    double square = 0;
    for (std::size_t i = 0; i < size; ++i) square += half.at(i) * half.at(i);
    for (std::size_t i = size; i-- > 0;) {
        double sum = half.at(i);
        for (std::size_t k = i + 1; k < size; ++k) sum -= lower.at(k * N + i) * out.at(k);
        out.at(i) = sum / lower.at(i * N + i);
    }
    return square / static_cast<double>(size);
}

}  // namespace

void JointTier::learn(Group& group) {
    if (group.learned < std::numeric_limits<std::uint32_t>::max()) ++group.learned;
    const double weight = 1 / std::min(static_cast<double>(group.learned), kMemory);
    const std::size_t size = group.keys.size();
    for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
            const double product =
                std::clamp(group.now.at(i), -kCut, kCut) * std::clamp(group.now.at(j), -kCut, kCut);
            double& each = group.covariance.at(i * kMembers + j);
            each += (product - each) * weight;
        }
    }
}

// What was learned before is of another group.
void JointTier::learn_anew(Group& group) {
    group.covariance.fill(0);
    group.learned = 0;
    group.tail = ScoreTail();
    group.distances.fill(0);
}

void JointTier::leave_out_missing(Group& group) {
    group.missing = 0;
    std::vector<std::string> stay;
    for (std::size_t i = 0; i < group.keys.size(); ++i) {
        const bool seen = ((group.seen >> i) & 1U) != 0;
        auto& list = seen ? stay : group.left_out;
        if (seen || list.size() < kMembers) list.push_back(std::move(group.keys[i]));
    }
    group.keys = std::move(stay);
    learn_anew(group);
}

// Judges the vector that is complete.
JointJudgement JointTier::close(Group& group, EventTime at) {
    JointJudgement out;
    out.at = group.at;
    const std::size_t size = group.keys.size();
    const auto seen = static_cast<std::size_t>(std::popcount(group.seen));
    const double seconds = std::max(std::chrono::duration<double>(at - group.at).count(), 1e-3);
    group.step_seconds = group.step_seconds == 0
                             ? seconds
                             : group.step_seconds + (seconds - group.step_seconds) / 20;
    if (seen < size) {
        if (++group.missing >= kMissingMax) leave_out_missing(group);
        return out;
    }
    group.missing = 0;
    if (size < kMembersMin) return out;
    Vector cut{};
    for (std::size_t i = 0; i < size; ++i)
        cut.at(i) = std::clamp(group.now.at(i), -kSeenCut, kSeenCut);
    Vector parts{};
    const double now = distance<kMembers>(group.covariance, cut, size, parts);
    const bool resting = group.odd_for > 0;
    if (resting) --group.odd_for;
    if (!resting && group.learned >= kWarmup / 2) {
        std::ranges::copy(group.distances.begin() + 1, group.distances.end(),
                          group.distances.begin());
        group.distances.back() = static_cast<float>(std::min(now, 1e6));
    }
    if (resting) {
        group.distances.fill(0);
        return out;
    }
    const double mean =
        static_cast<double>(std::accumulate(group.distances.begin(), group.distances.end(), 0.0F)) /
        static_cast<double>(group.distances.size());
    out.limit = group.tail.exceeded_by(kLimitShare);
    out.judged = group.learned > kWarmup && out.limit > 0;
    if (out.judged) {
        using Sight = Episode::Sight;
        out.score = mean / out.limit;
        out.rarity = group.tail.rarity(mean);
        out.rows_per_day = kDaySeconds / group.step_seconds;
        out.turn = group.episode.see(out.score >= 1            ? Sight::kOdd
                                     : out.score <= kCalmShare ? Sight::kCalm
                                                               : Sight::kBetween,
                                     group.at, group.at, {2, kCalm});
        std::vector<std::size_t> order(size);
        std::iota(order.begin(), order.end(), 0U);
        std::ranges::sort(order, std::greater<>{},
                          [&](std::size_t i) { return std::abs(parts.at(i) * cut.at(i)); });
        for (std::size_t i = 0; i < 2 && out.turn != Episode::Turn::kNone; ++i) {
            out.apart.push_back(group.keys[order[i]]);
        }
    }
    if (!group.episode.firing()) {
        if (group.learned >= kWarmup / 2) group.tail.add(mean);
        learn(group);
    }
    return out;
}

JointJudgement JointTier::see(const EntityId& entity, std::string_view key, EventTime at,
                              double residual, bool odd) {
    auto found = groups_.find(entity.value);
    if (found == groups_.end()) {
        if (groups_.size() >= entities_max_) {
            ++refused_;
            return {};
        }
        found = groups_.try_emplace(entity.value).first;
        found->second.at = at;
    }
    Group& group = found->second;
    JointJudgement out;
    const auto member = std::ranges::find(group.keys, key);
    auto index = static_cast<std::size_t>(member - group.keys.begin());
    if (member == group.keys.end()) {
        if (index >= kMembers || std::ranges::find(group.left_out, key) != group.left_out.end())
            return out;
        group.keys.emplace_back(key);
        learn_anew(group);
    } else if (((group.seen >> index) & 1U) != 0 && at > group.at) {
        out = close(group, at);
        out.entity = entity;
        group.at = at;
        group.seen = 0;
        group.now.fill(0);
        // Closing may have left members out.
        index = static_cast<std::size_t>(std::ranges::find(group.keys, key) - group.keys.begin());
        if (index == group.keys.size()) return out;
    }
    group.now.at(index) = std::isfinite(residual) ? std::clamp(residual, -1e6, 1e6) : 0;
    group.seen |= 1U << index;
    if (odd || std::abs(group.now.at(index)) > kSeenCut) group.odd_for = kOddRest;
    return out;
}

void JointTier::retract(const EntityId& entity) {
    if (const auto found = groups_.find(entity.value); found != groups_.end()) {
        found->second.episode.end();
    }
}

const Episode* JointTier::episode(const EntityId& entity) const {
    const auto found = groups_.find(entity.value);
    return found == groups_.end() ? nullptr : &found->second.episode;
}

std::vector<EntityId> JointTier::sweep(EventTime now, EventTime watching_since,
                                       std::chrono::seconds end_after) {
    std::vector<EntityId> silent;
    std::erase_if(groups_, [now](const auto& each) {
        return now - each.second.at > kIdle && !each.second.episode.firing() &&
               !each.second.episode.silent();
    });
    for (auto& [name, group] : groups_) {
        if (!group.episode.firing()) continue;
        if (now - std::max(group.at, watching_since) < end_after) continue;
        group.episode.fall_silent();
        silent.push_back({name});
    }
    return silent;
}

std::size_t JointTier::bytes() const {
    constexpr std::size_t kNames = 1000;
    return groups_.size() * (sizeof(Group) + kNames);
}

void JointTier::save(Encoder& out) const {
    out.u64(groups_.size());
    for (const auto& [name, group] : groups_) {
        out.text(name);
        out.u64(group.keys.size());
        for (const auto& key : group.keys) out.text(key);
        out.u64(group.left_out.size());
        for (const auto& key : group.left_out) out.text(key);
        out.u64(group.missing);
        out.time(group.at);
        for (const double value : group.now) out.f64(value);
        for (const std::uint32_t count : {group.seen, group.odd_for, group.learned}) out.u64(count);
        out.f64(group.step_seconds);
        for (const double value : group.covariance) out.f64(value);
        for (const float value : group.distances) out.f32(value);
        group.tail.save(out);
        group.episode.save(out);
    }
}

void JointTier::load(Decoder& in) {
    groups_.clear();
    bool sane = true;
    const auto number = [&] {
        const double value = in.f64();
        sane = sane && std::isfinite(value);
        return value;
    };
    for (std::size_t left = in.count(600); left > 0 && !in.failed(); --left) {
        Group& group = groups_[in.text()];
        std::size_t keys = in.count(1);
        if (keys > kMembers) in.set_failed();
        for (; keys > 0 && !in.failed(); --keys) group.keys.push_back(in.text());
        std::size_t left_out = in.count(1);
        if (left_out > kMembers) in.set_failed();
        for (; left_out > 0 && !in.failed(); --left_out) group.left_out.push_back(in.text());
        const std::uint64_t missing = in.u64();
        sane = sane && missing < kMissingMax;
        group.missing = static_cast<std::uint32_t>(missing & 0xffU);
        group.at = in.time();
        for (double& value : group.now) value = number();
        for (std::uint32_t* count : {&group.seen, &group.odd_for, &group.learned}) {
            const std::uint64_t value = in.u64();
            sane = sane && value <= std::numeric_limits<std::uint32_t>::max();
            *count = static_cast<std::uint32_t>(value & 0xffffffffU);
        }
        group.step_seconds = number();
        for (double& value : group.covariance) value = number();
        for (float& value : group.distances) {
            value = in.f32();
            sane = sane && std::isfinite(value);
        }
        sane = sane && (group.seen >> kMembers) == 0 && group.step_seconds >= 0;
        group.tail.load(in);
        group.episode.load(in);
        if (!sane) in.set_failed();
    }
}

}  // namespace vigie::detectors
