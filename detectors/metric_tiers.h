#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "detectors/deep_tier.h"
#include "detectors/detector.h"
#include "detectors/joint.h"
#include "detectors/light_series.h"
#include "detectors/metrics.h"
#include "detectors/noise.h"

namespace vigie::detectors {

// What a series is, for those who judge it or tell of it. Refers to what the caller holds.
struct SeriesFacts {
    std::string_view key;
    std::string_view metric;
    const EntityId& entity;
    schemas::Symptom symptom = schemas::Symptom::kOther;
    std::string unit;
    bool counter = false;
    bool negative = false;  // Values below zero were seen.
    double observed = 0;    // The newest value.
};

// Where one series stands; the detector keeps it with the series.
struct SeriesTier {
    DeepRank rank = DeepRank::kNone;  // By what it is. Not saved: known again with the next row.
    bool deep = false;                // It has a place, as far as is known.
    bool told = false;                // What fires or fell silent in the light detector was told.
    Hold held = Hold::kNone;          // Why it was not. Not saved: for counting.
    std::uint8_t wait = 0;            // Rows until a place is asked for again.
};

// What stands above the light detector, for all series of one metrics detector: who is judged
// deep, what metrics of an entity show together, and what of all of it is told.
class MetricTiers {
public:
    MetricTiers(const MetricsOptions& options, std::vector<SeriesPattern> named);

    DeepRank rank_of(std::string_view metric, const schemas::Labels& labels,
                     schemas::Symptom symptom, bool named) const;

    // Whether row() has anything to do: for most rows of most series it has not.
    static bool concerned(const SeriesTier& tier, const Judgement& judgement,
                          const Episode& episode);
    // After a row that the light detector judged; `again`: its episode was silent before.
    void row(const SeriesFacts& facts, SeriesTier& tier, EventTime at, const Judgement& judgement,
             const Episode& episode, bool again, Findings& out);
    // The light detector's alarm has no more data.
    void light_silent(const SeriesFacts& facts, const SeriesTier& tier, const Judgement& judgement,
                      const Episode& episode, Findings& out);
    void forget_row(std::string_view key, const SeriesTier& tier);
    void forget(std::string_view key,
                const SeriesTier& tier);  // The series is gone, or is another.

    // `facts_of` is asked for a series by its key; nullopt when it is gone.
    using FactsOf = std::function<std::optional<SeriesFacts>(std::string_view)>;
    void sweep(EventTime now, EventTime watching_since, const FactsOf& facts_of, Findings& out);
    void learn(const schemas::Event& event);
    void count(Counts& counts) const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Told;  // What is written of an alarm.

    Hold ask(const Claim& claim, SeriesTier* tier, bool usual);
    void light(const SeriesFacts& facts, SeriesTier& tier, EventTime at, const Judgement& judgement,
               const Episode& episode, bool again, bool usual, Findings& out);
    // Whether it knows such a value from other days.
    bool deep(const SeriesFacts& facts, SeriesTier& tier, EventTime at, bool light_fires,
              Findings& out);
    void joint(const SeriesFacts& facts, EventTime at, double residual, bool odd, Findings& out);
    schemas::Anomaly anomaly_of(const SeriesFacts& facts, const Told& told) const;
    void tell_joint(const JointJudgement& judgement, const Episode& episode,
                    std::optional<schemas::Ended> ended, Findings& out) const;

    const std::chrono::seconds end_after_;
    const schemas::Severity severity_;
    const bool joint_on_;
    DeepTier deep_;
    JointTier joint_;
    NoiseGate gate_;
    std::map<Hold, std::uint64_t> held_;
};

}  // namespace vigie::detectors
