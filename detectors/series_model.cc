#include "detectors/series_model.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

namespace {

constexpr std::size_t kStartPoints = 32;  // The first level and spread come from so many.
constexpr double kLevelPoints = 50;       // How far back the level remembers,
constexpr double kDeviationPoints = 200;  // the spread,
constexpr double kErrorPoints = 2000;     // and the choice between trackers.
constexpr double kLevelStepMax = 3;       // In spreads: more of a residual is cut off.
constexpr double kDeviationStepMax = 6;
constexpr double kTailShare = 0.001;  // The calm times' own extremes,
constexpr double kTailFactor = 1.1;   // and how far beyond them odd begins.
constexpr double kCalmFactor = 0.6;   // Hysteresis: calm is below this part of odd.
constexpr double kChance = 1e-7;      // How likely a row of odd points may be by chance.
constexpr std::uint32_t kOddFactorMax = 4;
constexpr double kScoreMax = 1000;
constexpr double kRestraintStep = 0.1;  // Each recent anomaly asks the next to be larger,
constexpr double kEpisodesMax = 20;     // up to three times.
constexpr double kSeasonGain = 0.8;     // A season must predict so much better.
constexpr double kPlainGain = 0.95;
constexpr std::uint64_t kSeasonPointsMin = 48;
constexpr double kTailForget = 1.00005;
constexpr std::int32_t kTailBucketMin = -4 * 1100;
constexpr std::int32_t kTailBucketMax = 4 * 1100;

// The quarter of the octave in which `size` > 0 lies: exact on every platform, as a logarithm
// would not be.
std::int32_t tail_bucket(double size) {
    int exponent = 0;
    const double mantissa = std::frexp(size, &exponent);  // [0.5, 1)
    std::int32_t quarter = 0;
    if (mantissa >= 0.8408964152537145) {
        quarter = 3;
    } else if (mantissa >= 0.7071067811865476) {
        quarter = 2;
    } else if (mantissa >= 0.5946035575013605) {
        quarter = 1;
    }
    return 4 * exponent + quarter;
}

double tail_value(std::int32_t bucket) {
    constexpr double kQuarters[4] = {0.5946035575013605, 0.7071067811865476, 0.8408964152537145, 1};
    const std::int32_t exponent = bucket >= 0 ? bucket / 4 : (bucket - 3) / 4;
    return std::ldexp(kQuarters[bucket - 4 * exponent], exponent);
}

double clip(double value, double limit) {
    return std::clamp(value, -limit, limit);
}

}  // namespace

void TailHistogram::add(double size) {
    weight_ += step_;
    if (size > 0) {
        const std::int32_t bucket = tail_bucket(size);
        auto at = std::ranges::lower_bound(buckets_, bucket, {}, &std::pair<int, double>::first);
        if (at == buckets_.end() || at->first != bucket) at = buckets_.insert(at, {bucket, 0});
        at->second += step_;
    }
    step_ *= kTailForget;
    if (step_ < 1e6) return;
    for (auto& [bucket, weight] : buckets_) weight /= step_;
    weight_ /= step_;
    step_ = 1;
    // What has faded to nothing need not be kept: this is what bounds the number of buckets.
    std::erase_if(buckets_, [](const auto& each) { return each.second < 1e-3; });
}

double TailHistogram::exceeded_by(double share) const {
    const double allowed = weight_ * share;
    double above = 0;
    for (auto at = buckets_.rbegin(); at != buckets_.rend(); ++at) {
        above += at->second;
        if (above > allowed) return tail_value(at->first);
    }
    return 0;
}

void TailHistogram::save(Encoder& out) const {
    out.f64(weight_);
    out.f64(step_);
    out.u64(buckets_.size());
    for (const auto& [bucket, weight] : buckets_) {
        out.i64(bucket);
        out.f64(weight);
    }
}

void TailHistogram::load(Decoder& in) {
    weight_ = in.f64();
    step_ = in.f64();
    if (!(weight_ >= 0 && weight_ < 1e12 && step_ >= 1 && step_ < 1e6)) in.set_failed();
    buckets_.clear();
    for (std::size_t left = in.count(9); left > 0; --left) {
        const std::int64_t bucket = in.i64();
        const double weight = in.f64();
        if (bucket < kTailBucketMin || bucket > kTailBucketMax || !(weight >= 0 && weight < 1e12) ||
            (!buckets_.empty() && buckets_.back().first >= bucket)) {
            in.set_failed();
            return;
        }
        buckets_.emplace_back(static_cast<std::int32_t>(bucket), weight);
    }
}

void Tracker::start(const std::vector<double>& values) {
    const Usual usual = usual_of(values);
    level = usual.median;
    double sum = 0;
    for (const double value : values) {
        const double size = std::abs(value - level);
        sum += usual.spread > 0 ? std::min(size, kDeviationStepMax * usual.spread) : size;
    }
    deviation = sum / static_cast<double>(values.size());
    error = deviation;
    learned = values.size();
}

double Tracker::spread(const ModelOptions& options, double floor) const {
    return std::max({kMeanDeviationScale * deviation, floor, options.spread_min,
                     options.spread_ratio_min * std::abs(level)});
}

double Tracker::threshold(const ModelOptions& options, double floor) const {
    // A spread known from few points may be too small, and their extremes even more so.
    const auto points = static_cast<double>(std::max<std::uint64_t>(learned, 5));
    return std::max(options.threshold * spread(options, floor) * (1 + 5 / points),
                    kTailFactor * tail.exceeded_by(kTailShare) * (1 + 20 / points));
}

void Tracker::learn(double residual, double spread_now) {
    ++learned;
    const auto count = static_cast<double>(learned);
    const double size = std::abs(residual);
    // Without any spread yet there is nothing to cut at.
    const double cut_size = spread_now > 0 ? std::min(size, kDeviationStepMax * spread_now) : size;
    const double cut_step = spread_now > 0 ? clip(residual, kLevelStepMax * spread_now) : residual;
    level += cut_step / std::min(count, kLevelPoints);
    deviation += (cut_size - deviation) / std::min(count, kDeviationPoints);
    error += (cut_size - error) / std::min(count, kErrorPoints);
}

double Tracker::agree(double residual, std::uint32_t points) {
    if (recent.size() >= points) recent.erase(recent.begin());
    recent.push_back(residual);
    if (recent.size() < points) return 0;
    const auto [low, high] = std::ranges::minmax(recent);
    if (low > 0) return low;
    return high < 0 ? -high : 0;
}

Judgement SeriesModel::observe(EventTime at, double value, double floor,
                               const ModelOptions& options) {
    if (points_ == 0) begin_ = at;
    ++points_;
    if (trackers_.empty() && !start(at, value, options)) return {};
    Judgement judgement = judge(at, value, floor, options);
    if (season_) learn_season(at, value);
    if (episode_.firing()) {
        odd_values_.push(value);
        if (at - episode_.first_seen() >= options.adapt_after) {
            adapt(at);
            judgement.turn = Episode::Turn::kEnded;
            judgement.adapted = true;
        }
    } else if (options.seasonal && !season_ && at - begin_ >= std::chrono::hours{24} &&
               points_ >= kSeasonPointsMin) {
        season_ = std::make_unique<Season>();
    }
    return judgement;
}

bool SeriesModel::start(EventTime at, double value, const ModelOptions& options) {
    first_.push_back(value);
    if (first_.size() < std::min<std::size_t>(kStartPoints, options.warmup_points)) return false;
    trackers_.emplace_back().start(first_);
    trackers_.front().since = at;
    first_.clear();
    first_.shrink_to_fit();
    return true;
}

Judgement SeriesModel::judge(EventTime at, double value, double floor,
                             const ModelOptions& options) {
    using Sight = Episode::Sight;
    const Tracker& tracker = trackers_[active_];
    Judgement judgement;
    judgement.expected = tracker.level + offset(active_, at);
    const double threshold = tracker.threshold(options, floor) * restraint(at);
    judgement.lower = judgement.expected - threshold;
    judgement.upper = judgement.expected + threshold;
    judgement.judged = points_ > options.warmup_points && at - begin_ >= options.warmup_span;
    const double residual = value - judgement.expected;
    const double size = std::abs(residual);
    if (!judgement.judged) {
        learn(at, value, floor, options);
        return judgement;
    }
    if (!episode_.firing() && episode_.suspect() && above_ != (residual > 0)) forget_row();
    above_ = residual > 0;
    const bool odd = size > 0 && size >= threshold;
    const Sight sight = odd                               ? Sight::kOdd
                        : size <= kCalmFactor * threshold ? Sight::kCalm
                                                          : Sight::kBetween;
    judgement.turn = episode_.see(sight, at, at, {odd_needed(options), options.calm_points});
    if (!episode_.firing()) odd_share_ += ((odd ? 1 : 0) - odd_share_) / kErrorPoints;
    if (judgement.turn == Episode::Turn::kBegan) {
        episodes_ = std::min(kEpisodesMax, (restraint(at) - 1) / kRestraintStep + 1);
        episodes_at_ = at;
        odd_values_.clear();
    }
    if (!episode_.firing()) learn(at, value, floor, options);
    // The score of the row: its weakest member decides, as for the alarm itself.
    double agreed = size;
    if (!episode_.firing()) {
        const auto& recent = trackers_[active_].recent;
        for (const double each : recent) {
            agreed = (each > 0) == (residual > 0) ? std::min(agreed, std::abs(each)) : 0;
        }
    }
    judgement.score = agreed <= 0 ? 0 : std::min(agreed / threshold, kScoreMax);
    return judgement;
}

// The more often single points are odd by chance, the more of them in a row are needed to be
// sure that it is not chance.
std::uint32_t SeriesModel::odd_needed(const ModelOptions& options) const {
    if (odd_share_ <= 0) return options.odd_points;
    const double needed = std::ceil(std::log(kChance) / std::log(std::min(odd_share_, 0.5)));
    return std::clamp(static_cast<std::uint32_t>(needed), options.odd_points,
                      kOddFactorMax * options.odd_points);
}

void SeriesModel::learn(EventTime at, double value, double floor, const ModelOptions& options) {
    for (std::size_t i = 0; i < trackers_.size(); ++i) {
        Tracker& tracker = trackers_[i];
        const double residual = value - tracker.level - offset(i, at);
        tracker.tail.add(tracker.agree(residual, options.odd_points));
        tracker.learn(residual, tracker.spread(options, floor));
    }
    choose(at);
}

void SeriesModel::learn_season(EventTime at, double value) {
    season_->day.learn(at, value);
    season_->week.learn(at, value);
    const bool wanted = trackers_.size() == 1   ? season_->day.ready()
                        : trackers_.size() == 2 ? season_->week.ready()
                                                : false;
    if (!wanted) return;
    const Tracker& plain = trackers_.front();
    Tracker tracker;
    tracker.deviation = plain.deviation;
    tracker.since = at;
    trackers_.push_back(std::move(tracker));
    trackers_.back().level = trackers_.front().level - offset(trackers_.size() - 1, at);
}

void SeriesModel::choose(EventTime at) {
    for (std::size_t i = 0; i < trackers_.size(); ++i) {
        const Tracker& other = trackers_[i];
        if (i == active_ || other.learned < kSeasonPointsMin) continue;
        if (i > 0 && at - other.since < std::chrono::hours{24}) continue;
        const double gain = i < active_ ? kPlainGain : kSeasonGain;
        if (other.error < gain * trackers_[active_].error) active_ = i;
    }
}

void SeriesModel::adapt(EventTime at) {
    const auto& values = odd_values_.values();
    const double level = median(values);
    double sum = 0;
    for (const double value : values) sum += std::abs(value - level);
    const double deviation = sum / static_cast<double>(values.size());
    for (std::size_t i = 0; i < trackers_.size(); ++i) {
        Tracker& tracker = trackers_[i];
        tracker.level = level - offset(i, at);
        tracker.deviation = std::max(deviation, tracker.deviation / 2);
        tracker.recent.clear();
    }
    episode_.end();
}

void SeriesModel::forget_row() {
    episode_.forget_row();
    for (Tracker& tracker : trackers_) tracker.recent.clear();
}

double SeriesModel::offset(std::size_t tracker, EventTime at) const {
    if (tracker == 0 || !season_) return 0;
    return tracker == 1 ? season_->day.offset(at) : season_->week.offset(at);
}

double SeriesModel::restraint(EventTime at) const {
    if (episodes_ == 0) return 1;
    const double days =
        std::chrono::duration<double, std::ratio<86'400>>(at - episodes_at_).count();
    return 1 + kRestraintStep * episodes_ * std::exp2(-std::max(days, 0.0));
}

void Tracker::save(Encoder& out) const {
    out.f64(level);
    out.f64(deviation);
    out.f64(error);
    out.u64(learned);
    out.time(since);
    out.u64(recent.size());
    for (const double value : recent) out.f64(value);
    tail.save(out);
}

void Tracker::load(Decoder& in) {
    level = in.f64();
    deviation = in.f64();
    error = in.f64();
    learned = in.u64();
    since = in.time();
    if (!std::isfinite(level) || !(deviation >= 0) || !(error >= 0)) in.set_failed();
    recent.clear();
    for (std::size_t left = in.count(8); left > 0; --left) {
        recent.push_back(in.f64());
        if (!std::isfinite(recent.back())) in.set_failed();
    }
    tail.load(in);
}

void SeriesModel::save(Encoder& out) const {
    out.time(begin_);
    out.u64(points_);
    out.u64(first_.size());
    for (const double value : first_) out.f64(value);
    out.u64(trackers_.size());
    for (const Tracker& tracker : trackers_) tracker.save(out);
    out.u64(active_);
    out.flag(season_ != nullptr);
    if (season_) {
        season_->day.save(out);
        season_->week.save(out);
    }
    episode_.save(out);
    out.flag(above_);
    out.f64(odd_share_);
    odd_values_.save(out);
    out.f64(episodes_);
    out.time(episodes_at_);
}

void SeriesModel::load(Decoder& in) {
    begin_ = in.time();
    points_ = in.u64();
    first_.clear();
    for (std::size_t left = in.count(8); left > 0; --left) {
        first_.push_back(in.f64());
        if (!std::isfinite(first_.back())) in.set_failed();
    }
    trackers_.clear();
    const std::uint64_t trackers = in.u64();
    if (trackers > 3 || first_.size() > kStartPoints) in.set_failed();
    for (std::uint64_t i = 0; i < trackers && !in.failed(); ++i) trackers_.emplace_back().load(in);
    active_ = in.u64();
    season_ = in.flag() ? std::make_unique<Season>() : nullptr;
    if (season_) {
        season_->day.load(in);
        season_->week.load(in);
    }
    if (active_ >= std::max<std::size_t>(trackers_.size(), 1) ||
        (trackers_.size() > 1 && !season_)) {
        in.set_failed();
    }
    episode_.load(in);
    if ((episode_.firing() || episode_.silent()) && trackers_.empty()) in.set_failed();
    above_ = in.flag();
    odd_share_ = in.f64();
    if (!(odd_share_ >= 0 && odd_share_ <= 1)) in.set_failed();
    odd_values_.load(in);
    episodes_ = in.f64();
    episodes_at_ = in.time();
    if (!(episodes_ >= 0 && episodes_ <= kEpisodesMax)) in.set_failed();
}

}  // namespace vigie::detectors
