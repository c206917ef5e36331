#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/deep_season.h"
#include "detectors/deep_shape.h"
#include "detectors/deep_tail.h"
#include "detectors/deep_window.h"

namespace vigie::detectors {

// The views of the deep detector on one series. Each has a score of its own, which its own past
// turns into a rarity (ScoreTail), so that all of them are on one scale.
enum class Channel : std::uint8_t {
    kRange,       // How far beyond what this time of day held on other days.
    kRecent,      // Residual to the median of the last 15 rows,
    kHour,        // of the last 60,
    kSeason,      // and to the same time on other days, corrected by the level of the last hour.
    kDifference,  // Error of a prediction from the last differences.
    kSpread,      // The size of differences over ten rows, against its slow mean.
    kNewValue,    // Distance to the nearest value seen before,
    kShape1,      // and of the shape of 8 blocks of 1, 2, 4 and 16 rows to the nearest earlier.
    kShape2,
    kShape4,
    kShape16,
};
inline constexpr std::size_t kChannels = 11;

struct Rarities {
    std::array<double, kChannels> of{};  // -log10 p for each channel.
    bool usual_range = false;            // Two other days held such a value at this time of day.
    bool near_range = false;             // Or nearly such a value.
    // From the median of the last 15 rows, in mean sizes of that; 0 while unknown. Of one kind for
    // all series, so that those of an entity can be compared.
    double deviation = 0;
    double expected = 0;
    double lower = 0;  // What one row in a hundred thousand is below,
    double upper = 0;  // and above, judged by the residual that predicts best.
};

class ChannelSet {
public:
    ChannelSet();

    // `value` in units of the series' own scale: see DeepSeries.
    Rarities observe(EventTime at, double value);
    std::size_t bytes() const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    // Both sides of a score that has a sign, or one.
    struct Sides {
        ScoreTail up;
        ScoreTail down;
    };
    struct Residuals {
        double recent = 0;
        double season = 0;
    };
    static constexpr std::size_t kSigned = 6;  // The channels before kNewValue.

    double weekly_share() const;
    void learn_week(double off, double week);
    void learn_step(EventTime at);
    double signed_rarity(Channel channel, double score);
    double spread_score(double difference);
    void band(const Residuals& residuals, double value, Rarities& out) const;

    std::array<Sides, kSigned> sides_;
    std::array<ScoreTail, kChannels - kSigned> novelty_;
    std::array<ShapeNovelty, kChannels - kSigned> shapes_;
    DayMemory days_;
    RunningMedian recent_{15};
    RunningMedian hour_{60};
    RunningMedian offset_{60};  // Of what the season is off by.
    DifferencePredictor predictor_;
    std::array<double, 10> differences_{};  // The size of the last ten.
    std::uint64_t rows_ = 0;
    EventTime last_at_;
    std::array<std::int64_t, 15> steps_{};  // The first ones, in microseconds.
    double last_ = 0;
    double jitter_ = 0;        // Slow mean size of a difference,
    double recent_error_ = 0;  // and of the two residuals.
    double season_error_ = 0;
    // How much of what a weekday had more a week ago it has again: a regression that forgets.
    double week_product_ = 0;
    double week_square_ = 0;
};

}  // namespace vigie::detectors
