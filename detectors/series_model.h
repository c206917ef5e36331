#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/profile.h"
#include "detectors/robust.h"

namespace vigie::detectors {

struct ModelOptions {
    std::uint32_t warmup_points = 60;
    EventClock::duration warmup_span{std::chrono::hours{1}};
    double threshold = 6;
    double spread_ratio_min = 0.02;
    double spread_min = 0;
    std::uint32_t odd_points = 3;
    std::uint32_t calm_points = 5;
    bool seasonal = true;
    EventClock::duration adapt_after{std::chrono::minutes{30}};
};

// How large values of one kind have been: a histogram over powers of 2^(1/4) that forgets with
// a half-life of about 14,000 values.
class TailHistogram {
public:
    void add(double size);                   // `size` >= 0; 0 counts, and is below everything.
    double exceeded_by(double share) const;  // What about `share` of the values exceed.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    std::vector<std::pair<std::int32_t, double>> buckets_;  // Ascending; bucket and its weight.
    double weight_ = 0;
    double step_ = 1;  // Weight of the next value; grows instead of all others shrinking.
};

// One way to predict a series: a level that follows it, with or without a season taken off,
// and how far off that usually is.
struct Tracker {
    void start(const std::vector<double>& values);
    double spread(const ModelOptions& options, double floor) const;
    double threshold(const ModelOptions& options, double floor) const;
    void learn(double residual, double spread_now);
    // Takes in `residual`; the size on which the last `points` residuals agree, 0 when they do
    // not.
    double agree(double residual, std::uint32_t points);

    void save(Encoder& out) const;
    void load(Decoder& in);

    double level = 0;
    double deviation = 0;  // Mean absolute residual, each cut at six times the spread.
    double error = 0;      // The same over a longer time; chooses between trackers.
    std::uint64_t learned = 0;
    EventTime since;
    std::vector<double> recent;  // Residuals of the last points, oldest first.
    TailHistogram tail;          // Of what agree() returned while all was well.
};

struct Judgement {
    bool judged = false;  // False in warm-up: the numbers below mean nothing then.
    double expected = 0;
    double lower = 0;
    double upper = 0;
    double score = 0;  // Deviation in multiples of the threshold, at most 1000.
    Episode::Turn turn = Episode::Turn::kNone;
    bool adapted = false;  // The anomaly ended because its level is the new normal.
};

// Judges one series point by point, causally. Level and scale learn by cut steps, so a few wild
// points hardly move them; the threshold is the larger of `threshold` spreads and of what the
// series itself does in calm times, so that noise which is not normal does not alarm.
class SeriesModel {
public:
    // `at` is later than in the call before; `value` is finite and below 1e200 in size. `floor`
    // is the least spread that makes sense for this point. The same options in every call.
    Judgement observe(EventTime at, double value, double floor, const ModelOptions& options);

    void forget_row();  // After a gap: what was odd before it does not add to what is after it.
    void fall_silent() { episode_.fall_silent(); }
    const Episode& episode() const { return episode_; }

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Season {
        Profile day{std::chrono::hours{24}, 48};
        Profile week{std::chrono::hours{24 * 7}, 168};
    };
    bool start(EventTime at, double value, const ModelOptions& options);
    Judgement judge(EventTime at, double value, double floor, const ModelOptions& options);
    void learn(EventTime at, double value, double floor, const ModelOptions& options);
    void learn_season(EventTime at, double value);
    void choose(EventTime at);
    void adapt(EventTime at);
    double offset(std::size_t tracker, EventTime at) const;
    double restraint(EventTime at) const;
    std::uint32_t odd_needed(const ModelOptions& options) const;

    std::vector<double> first_;      // Until there are enough to start.
    std::vector<Tracker> trackers_;  // Plain, by day, by week, as far as there are.
    std::size_t active_ = 0;
    std::unique_ptr<Season> season_;  // After the first day.
    EventTime begin_;
    std::uint64_t points_ = 0;
    Episode episode_;
    bool above_ = false;      // On which side the running row is.
    double odd_share_ = 0;    // Of points outside anomalies, for about the last 2000.
    History odd_values_{64};  // While firing: the level to adapt to.
    double episodes_ = 0;     // Past anomalies, forgotten with a half-life of a day.
    EventTime episodes_at_;
};

}  // namespace vigie::detectors
