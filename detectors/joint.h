#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/deep_tail.h"
#include "detectors/robust.h"

namespace vigie::detectors {

// What the metrics of one entity show together.
struct JointJudgement {
    bool judged = false;
    EntityId entity;
    EventTime at;
    double score = 0;   // Mean squared distance of the last vectors, in thresholds.
    double limit = 0;   // The threshold: what one in a thousand exceeds.
    double rarity = 0;  // -log10 of how often that is exceeded.
    double rows_per_day = 0;
    Episode::Turn turn = Episode::Turn::kNone;
    std::vector<std::string> apart;  // The two series that are furthest from what the others say.
};

// Joint anomalies: each series of an entity is usual by itself, and together they are not, such as
// requests that rise while the CPU does not. Of each entity up to `kMembers` deep series take part,
// the first that came. The residuals of all at one time are a vector; its squared Mahalanobis
// distance (1936) is taken by a covariance of residuals that are cut at three usual ones, which
// forgets over 2,000 vectors and is shrunk towards its diagonal (compare Ledoit and Wolf 2004). The
// mean of the last eight distances is judged by its own past.
//
// A vector is complete when each member has a value and one comes again. A member that is missing
// from 64 vectors in a row is left out, and the others are learned anew.
//
// Warm-up: `kWarmup` vectors. While one of the members is odd by itself its entity is not judged
// and teaches nothing: that is told already. Bounded by `entities_max`; about 1.5 KB each.
class JointTier {
public:
    static constexpr std::size_t kMembers = 8;
    static constexpr std::size_t kMembersMin = 3;
    static constexpr std::uint32_t kWarmup = 1000;

    explicit JointTier(std::size_t entities_max) : entities_max_(entities_max) {}

    // A residual of a deep series, in usual sizes; `odd`: the series is by itself. Judged when the
    // vector before is complete, which the first residual of a later time tells.
    JointJudgement see(const EntityId& entity, std::string_view key, EventTime at, double residual,
                       bool odd);
    // The alarm that began is not told.
    void retract(const EntityId& entity);
    const Episode* episode(const EntityId& entity) const;
    // Of nothing came for `end_after` though an alarm fires.
    std::vector<EntityId> sweep(EventTime now, EventTime watching_since,
                                std::chrono::seconds end_after);

    std::size_t size() const { return groups_.size(); }
    std::size_t bytes() const;                          // About.
    std::uint64_t refused() const { return refused_; }  // Entities beyond the limit.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    using Vector = std::array<double, kMembers>;
    struct Group {
        std::vector<std::string> keys;
        std::vector<std::string> left_out;  // Came too seldom for the others, at most kMembers.
        std::uint32_t missing = 0;          // Vectors in a row that were not complete.
        EventTime at;                       // Of the vector that fills.
        Vector now{};
        std::uint32_t seen = 0;     // One bit for each member with a value now.
        std::uint32_t odd_for = 0;  // Vectors for which it is not judged.
        std::uint32_t learned = 0;
        double step_seconds = 0;
        std::array<double, kMembers * kMembers> covariance{};
        std::array<float, 8> distances{};
        ScoreTail tail;
        Episode episode;
    };

    static JointJudgement close(Group& group, EventTime at);
    static void learn(Group& group);
    static void learn_anew(Group& group);
    static void leave_out_missing(Group& group);

    std::size_t entities_max_;
    std::map<std::string, Group, std::less<>> groups_;
    std::uint64_t refused_ = 0;
};

}  // namespace vigie::detectors
