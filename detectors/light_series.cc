#include "detectors/light_series.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vigie::detectors {

namespace {

constexpr double kLevelRows = 50;
constexpr double kDeviationRows = 200;
constexpr double kErrorRows = 2000;
constexpr double kLevelStepMax = 3;  // In spreads.
constexpr double kDeviationStepMax = 6;
constexpr double kTailShare = 0.01;
constexpr double kTailFactor = 1.1;
constexpr double kRareness = 2.302585092994046;  // ln 10: from one in a hundred to a thousand.
constexpr double kCalmFactor = 0.6;
// Two rows in a row: what they agree on may be smaller, but their own tail reaches further.
constexpr double kPairShare = 0.57;
// In excesses above the 99 % quantile of pairs: where that is as for normal noise, or larger.
constexpr double kPairRareness = 6;
constexpr double kPairRarenessMax = 14;
constexpr double kNormalPair = 2.0;  // That quantile for normal noise, in spreads,
constexpr double kHeavyPair = 2.4;   // and from where on it counts as heavy.
constexpr float kPairRaise = 1.6F;   // When the row after a pair is not odd: the next needs more.
constexpr float kPairRaiseMax = 4;
constexpr double kPairRows = 60;
constexpr std::uint32_t kPairOddMax = 3;
constexpr float kPairShareMax = 1e-4F;        // Of odd rows by chance: two of them are 1e-8.
constexpr std::uint32_t kPairLearned = 1000;  // Rows until that share is known.
constexpr double kScoreMax = 1000;
constexpr double kSeasonGain = 0.8;
constexpr double kPlainGain = 0.95;
constexpr double kDaysMax = 5;  // A slot of the day remembers about so many,
constexpr double kDaysMin = 2;  // and is used from then on.
constexpr double kDaySeconds = 86'400;
constexpr std::int64_t kSlotMicros = 1'800'000'000;
constexpr std::int64_t kSlotsOfDay = 48;
constexpr double kChance = 1e-7;  // How likely a row of odd points may be by chance.
constexpr std::uint32_t kOddFactorMax = 4;
constexpr double kRestraintStep = 0.1;  // Each recent anomaly asks the next to be larger.
constexpr double kEpisodesMax = 20;
// A line is flat after ten times its longest run, if it changed often enough to
// be sure.
constexpr std::uint32_t kFlatRowsMin = 60;
constexpr std::uint32_t kFlatFactor = 10;
constexpr std::uint32_t kChangesMin = 200;
constexpr std::uint32_t kCountMax = std::numeric_limits<std::uint32_t>::max();

double seconds_of(EventClock::duration span) {
    return std::chrono::duration<double>(span).count();
}

std::int64_t slot_number(EventTime at) {
    const std::int64_t micros = micros_of(at);
    return (micros >= 0 ? micros : micros - kSlotMicros + 1) / kSlotMicros;
}

std::size_t slot_of(std::int64_t number) {
    return static_cast<std::size_t>((number % kSlotsOfDay + kSlotsOfDay) % kSlotsOfDay);
}

float narrow(double value) {
    constexpr double kMax = 3e38;
    return static_cast<float>(std::clamp(value, -kMax, kMax));
}

void count_up(std::uint32_t& count) {
    if (count < kCountMax) ++count;
}

}  // namespace

double LightSeries::Line::spread(const ModelOptions& options, double floor) const {
    return std::max({kMeanDeviationScale * deviation, floor, options.spread_min,
                     options.spread_ratio_min * std::abs(level)});
}

double LightSeries::Line::threshold(const ModelOptions& options, double floor) const {
    const double rows = std::max(static_cast<double>(learned), 5.0);
    return std::max(options.threshold * spread(options, floor) * (1 + 5 / rows),
                    kTailFactor * (tail + excess * kRareness) * (1 + 20 / rows));
}

// Rows of an anomaly count too: a day's peak that only one of the lines knows is what tells them
// apart.
void LightSeries::Line::count_error(double size, double spread_now) {
    constexpr double kErrorMax = 20;  // Spreads.
    const double cut = spread_now > 0 ? std::min(size, kErrorMax * spread_now) : size;
    error += (cut - error) / std::clamp(static_cast<double>(learned), 1.0, kErrorRows);
}

// The size on which this residual and the last two agree; 0 when they do not.
double LightSeries::Line::agree(double residual) const {
    const double low =
        std::min({residual, static_cast<double>(before[0]), static_cast<double>(before[1])});
    const double high =
        std::max({residual, static_cast<double>(before[0]), static_cast<double>(before[1])});
    return low > 0 ? low : high < 0 ? -high : 0;
}

// The mean of this residual and the last, the larger counting at most twice the smaller; 0 when
// they are on two sides.
double LightSeries::Line::pair(double residual) const {
    const auto last = static_cast<double>(before[1]);
    if ((residual > 0) != (last > 0)) return 0;
    const double low = std::min(std::abs(residual), std::abs(last));
    const double high = std::max(std::abs(residual), std::abs(last));
    return 0.5 * (low + std::min(high, 2 * low));
}

double LightSeries::Line::pair_threshold(const ModelOptions& options, double floor) const {
    const double rows = std::max(static_cast<double>(learned), 5.0);
    const auto quantile = static_cast<double>(pair_tail);
    const double usual = std::max(kMeanDeviationScale * deviation, 1e-300);
    const double heavy =
        std::clamp((quantile / usual - kNormalPair) / (kHeavyPair - kNormalPair), 0.0, 1.0);
    const double excesses = kPairRareness + heavy * (kPairRarenessMax - kPairRareness);
    const double rare = quantile + excesses * static_cast<double>(pair_excess);
    return std::max(kPairShare * options.threshold * spread(options, floor), rare) *
           (1 + kPairRows / rows);
}

void LightSeries::Line::learn_pair(double residual, double spread_now) {
    const double paired = pair(residual);
    const double cut = spread_now > 0 ? std::min(paired, 20 * spread_now) : paired;
    const auto tail_now = static_cast<double>(pair_tail);
    const auto excess_now = static_cast<double>(pair_excess);
    const double step = 0.1 * deviation;
    if (cut > tail_now) {
        const double rows = std::clamp(static_cast<double>(learned) * kTailShare, 2.0, 200.0);
        pair_excess = narrow(excess_now + (cut - tail_now - excess_now) / rows);
        pair_tail = narrow(tail_now + step * (1 - kTailShare));
    } else {
        pair_tail = narrow(std::max(tail_now - step * kTailShare, 0.0));
    }
}

void LightSeries::Line::learn(double residual, double spread_now) {
    count_up(learned);
    learn_pair(residual, spread_now);
    const double agreed = agree(residual);
    before = {before[1], narrow(residual)};
    const auto count = static_cast<double>(learned);
    const double size = std::abs(residual);
    const bool known = spread_now > 0;
    const double cut_size = known ? std::min(size, kDeviationStepMax * spread_now) : size;
    const double limit = kLevelStepMax * spread_now;
    const double cut_step = known ? std::clamp(residual, -limit, limit) : residual;
    level += cut_step / std::min(count, kLevelRows);
    deviation += (cut_size - deviation) / std::min(count, kDeviationRows);
    count_error(size, spread_now);
    // A quantile followed by steps (Robbins and Monro 1951), and the mean excess
    // above it.
    const double step = 0.1 * deviation;
    const double agreed_cut = known ? std::min(agreed, 20 * spread_now) : agreed;
    if (agreed_cut > tail) {
        excess += (agreed_cut - tail - excess) / std::clamp(count * kTailShare, 2.0, 50.0);
        tail += step * (1 - kTailShare);
    } else {
        tail = std::max(tail - step * kTailShare, 0.0);
    }
}

double LightSeries::days(EventTime at) const {
    return seconds_of(at - begin_) / kDaySeconds;
}

double LightSeries::offset(EventTime at) const {
    const std::size_t slot = slot_of(slot_number(at));
    return strayed_.at(slot) == kUnseen ? 0 : static_cast<double>(slots_.at(slot)) - center_;
}

// One odd day moves a slot that is known by a few usual residuals only; what is odd in the same
// way on the next is usual.
void LightSeries::close_slot(double seen) {
    const std::size_t at = slot_of(slot_);
    float& slot = slots_.at(at);
    std::int8_t& strayed = strayed_.at(at);
    const double mean = slot_sum_ / slot_count_;
    slot_count_ = 0;
    if (strayed == kUnseen) {
        slot = narrow(mean);
        strayed = 0;
    } else {
        const double away = mean - static_cast<double>(slot);
        const double limit = kDeviationStepMax * lines_[0].deviation;
        const int side = std::abs(away) <= limit ? 0 : away > 0 ? 1 : -1;
        double step = away / std::clamp(seen, 2.0, kDaysMax);
        if (side != 0) step = side == strayed ? away : side * limit / kDaysMax;
        slot = narrow(static_cast<double>(slot) + step);
        strayed = static_cast<std::int8_t>(side);
    }
    find_center();
}

void LightSeries::find_center() {
    double sum = 0;
    int count = 0;
    for (std::size_t i = 0; i < kSlots; ++i) {
        if (strayed_.at(i) == kUnseen) continue;
        sum += static_cast<double>(slots_.at(i));
        ++count;
    }
    center_ = sum / std::max(count, 1);
}

void LightSeries::learn_slot(EventTime at, double value) {
    const std::int64_t number = slot_number(at);
    if (slot_count_ > 0 && number != slot_) close_slot(std::ceil(days(at)));
    if (slot_count_ == 0) {
        slot_ = number;
        slot_sum_ = 0;
    }
    slot_sum_ += value;
    count_up(slot_count_);
}

void LightSeries::count_run(double value) {
    if (points_ <= 1 || value != last_) {
        if (points_ > 1) count_up(changes_);
        run_most_ = std::max(run_most_, run_);
        run_ = 0;
    }
    count_up(run_);
    largest_ = points_ <= 1 ? value : std::max(largest_, value);
    last_ = value;
}

bool LightSeries::flat(const ModelOptions& options) const {
    return changes_ >= kChangesMin && points_ > options.warmup_points &&
           run_ > std::max(kFlatRowsMin, kFlatFactor * std::min(run_most_, kCountMax / 16));
}

void LightSeries::learn(EventTime at, double value, double floor, const ModelOptions& options) {
    const double season = offset(at);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        Line& line = lines_.at(i);
        const double target = i == 0 ? value : value - season;
        if (line.learned == 0) line.level = target;
        line.learn(target - line.level, line.learned > 5 ? line.spread(options, floor) : 0);
    }
    if (!options.seasonal || days(at) < kDaysMin) return;
    const double gain = active_ == 0 ? kSeasonGain : kPlainGain;
    const auto other = static_cast<std::uint8_t>(1 - active_);
    if (lines_.at(other).error < gain * lines_.at(active_).error) active_ = other;
}

double LightSeries::restraint(EventTime at) const {
    if (episodes_ == 0) return 1;
    const double age = seconds_of(at - episodes_at_) / kDaySeconds;
    return 1 + kRestraintStep * episodes_ * std::exp2(-std::max(age, 0.0));
}

// The more often single rows are odd by chance, the more of them in a row are
// needed to be sure that it is not chance.
std::uint32_t LightSeries::odd_needed(const ModelOptions& options) const {
    const double share = std::min(static_cast<double>(odd_share_), 0.5);
    if (share <= 0) return options.odd_points;
    const double needed = std::ceil(std::log(kChance) / std::log(share));
    return std::clamp(static_cast<std::uint32_t>(needed), options.odd_points,
                      kOddFactorMax * options.odd_points);
}

void LightSeries::adapt(EventTime at) {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        Line& line = lines_.at(i);
        line.level = odd_level_ - (i == 0 ? 0 : offset(at));
        line.deviation = std::max(odd_deviation_, line.deviation / 2);
        line.before = {};
    }
    episode_.end();
}

void LightSeries::forget_row() {
    episode_.forget_row();
    for (Line& line : lines_) line.before = {};
}

void LightSeries::follow_odd(EventTime at, double value, const ModelOptions& options,
                             Judgement& judgement) {
    count_up(odd_rows_);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        Line& line = lines_.at(i);
        const double residual = value - line.level - (i == 0 ? 0 : offset(at));
        line.count_error(std::abs(residual), line.spread(options, 0));
    }
    const double rows = std::min(static_cast<double>(odd_rows_), kLevelRows);
    if (odd_rows_ == 1) {
        odd_level_ = value;
        odd_deviation_ = 0;
    }
    odd_level_ += (value - odd_level_) / rows;
    odd_deviation_ += (std::abs(value - odd_level_) - odd_deviation_) / rows;
    if (flat_told_ || bound_told_ || at - episode_.first_seen() < options.adapt_after) return;
    adapt(at);
    judgement.turn = Episode::Turn::kEnded;
    judgement.adapted = true;
}

LightSeries::Look LightSeries::look(double value, double floor, double strictness,
                                    const Judgement& judgement, const ModelOptions& options) const {
    using Sight = Episode::Sight;
    Look look;
    look.outside = value < options.bound_low || value > options.bound_high;
    look.residual = value - judgement.expected;
    look.threshold = judgement.upper - judgement.expected;
    if (!judgement.judged) {
        look.odd = look.outside;
        look.sight = look.odd ? Sight::kOdd : Sight::kCalm;
        return look;
    }
    const double size = std::abs(look.residual);
    const bool watched = look.residual > 0 ? options.up : options.down;
    look.flat = flat(options);
    look.odd = look.flat || look.outside || (watched && size > 0 && size >= look.threshold);
    look.sight = look.odd                                           ? Sight::kOdd
                 : !watched || size <= kCalmFactor * look.threshold ? Sight::kCalm
                                                                    : Sight::kBetween;
    // The row before, if it is odd, is one of the two.
    const float others =
        odd_share_ - (episode_.suspect() ? 1.0F / static_cast<float>(kErrorRows) : 0);
    if (episode_.firing() || !watched || options.odd_points > kPairOddMax ||
        others > kPairShareMax) {
        return look;
    }
    const Line& line = lines_.at(active_);
    if (line.learned < kPairLearned) return look;
    const double least = std::max(
        {line.pair_threshold(options, floor) * strictness * static_cast<double>(pair_raise_),
         options.deviation_min, options.deviation_ratio_min * std::abs(judgement.expected)});
    const double paired = line.pair(look.residual);
    look.paired = paired > 0 && paired >= least;
    if (look.paired) look.sight = Sight::kOdd;
    return look;
}

// The row after a pair tells whether the pair was chance.
void LightSeries::confirm_pair(bool borne_out, Episode::Turn turn) {
    if (!pair_open_ || turn == Episode::Turn::kBegan) return;
    pair_open_ = false;
    pair_raise_ = borne_out ? std::max(pair_raise_ / 1.1F, 1.0F)
                            : std::min(pair_raise_ * kPairRaise, kPairRaiseMax);
}

Judgement LightSeries::observe(EventTime at, double value, double floor,
                               const ModelOptions& options) {
    if (points_ == 0) begin_ = at;
    const EventTime before = points_ == 0 ? at : last_at_;
    last_at_ = at;
    count_up(points_);
    count_run(value);
    learn_slot(at, value);
    Judgement judgement;
    const Line& line = lines_.at(active_);
    const double strictness = restraint(at);
    judgement.expected = line.level + (active_ == 0 ? 0 : offset(at));
    const double threshold =
        std::max({line.threshold(options, floor) * strictness, options.deviation_min,
                  options.deviation_ratio_min * std::abs(judgement.expected)});
    judgement.lower = judgement.expected - threshold;
    judgement.upper = judgement.expected + threshold;
    judgement.judged = warm(at, options);
    const Look seen = look(value, floor, strictness, judgement, options);
    if (!judgement.judged && !seen.outside && !episode_.suspect()) {
        learn(at, value, floor, options);
        return judgement;
    }
    judgement.judged = true;
    const bool above = seen.residual > 0;
    if (!episode_.firing() && episode_.suspect() && above_ != above && !seen.outside) forget_row();
    above_ = above;
    const std::uint32_t needed = seen.paired ? 1 : odd_needed(options);
    judgement.turn =
        episode_.see(seen.sight, seen.paired ? before : at, at, {needed, options.calm_points});
    if (judgement.turn == Episode::Turn::kBegan) {
        odd_rows_ = 0;
        flat_told_ = seen.flat;
        bound_told_ = seen.outside;
        pair_open_ = seen.paired;
        episodes_ = std::min(kEpisodesMax, (strictness - 1) / kRestraintStep + 1);
        episodes_at_ = at;
    }
    confirm_pair(seen.sight != Episode::Sight::kCalm, judgement.turn);
    if (flat_told_) judgement.sign = value >= largest_ ? LightSign::kSaturated : LightSign::kFlat;
    if (bound_told_) judgement.sign = LightSign::kBound;
    if (episode_.firing()) {
        follow_odd(at, value, options, judgement);
    } else {
        flat_told_ = bound_told_ = false;
        odd_share_ += ((seen.odd ? 1.0F : 0.0F) - odd_share_) / static_cast<float>(kErrorRows);
        if (!seen.outside) learn(at, value, floor, options);
    }
    const double size = std::abs(seen.residual);
    judgement.score = seen.flat ? 1.0 : std::min(size / std::max(threshold, 1e-300), kScoreMax);
    if (seen.outside || seen.paired) judgement.score = std::max(judgement.score, 1.0);
    return judgement;
}

void LightSeries::save(Encoder& out) const {
    for (const Line& line : lines_) {
        for (const double value :
             {line.level, line.deviation, line.error, line.tail, line.excess,
              static_cast<double>(line.before[0]), static_cast<double>(line.before[1]),
              static_cast<double>(line.pair_tail), static_cast<double>(line.pair_excess)}) {
            out.f64(value);
        }
        out.u64(line.learned);
    }
    for (const float slot : slots_) out.f64(static_cast<double>(slot));
    for (const std::int8_t side : strayed_) out.i64(side);
    episode_.save(out);
    out.time(begin_);
    for (const double value : {last_, largest_, center_, slot_sum_, odd_level_, odd_deviation_}) {
        out.f64(value);
    }
    for (const double value : {episodes_, static_cast<double>(odd_share_)}) out.f64(value);
    out.time(episodes_at_);
    out.i64(slot_);
    for (const std::uint32_t count : {slot_count_, points_, run_, run_most_, changes_, odd_rows_}) {
        out.u64(count);
    }
    out.u64(active_);
    out.flag(above_);
    out.flag(flat_told_);
    out.flag(bound_told_);
    out.flag(pair_open_);
    out.f64(static_cast<double>(pair_raise_));
    out.time(last_at_);
}

void LightSeries::load(Decoder& in) {
    load_as(in, true);
}

void LightSeries::load_without_pairs(Decoder& in) {
    load_as(in, false);
    last_at_ = episode_.last_seen();
}

void LightSeries::load_as(Decoder& in, bool pairs) {
    bool sane = true;
    const auto number = [&] {
        const double value = in.f64();
        sane = sane && std::isfinite(value);
        return value;
    };
    const auto count = [&](std::uint64_t most) {
        const std::uint64_t value = in.u64();
        sane = sane && value <= most;
        return value;
    };
    for (Line& line : lines_) {
        for (double* value :
             {&line.level, &line.deviation, &line.error, &line.tail, &line.excess}) {
            *value = number();
        }
        for (float& value : line.before) value = narrow(number());
        if (pairs) {
            line.pair_tail = narrow(number());
            line.pair_excess = narrow(number());
            sane = sane && line.pair_tail >= 0;
        }
        line.learned = static_cast<std::uint32_t>(count(kCountMax));
        sane = sane && line.deviation >= 0 && line.error >= 0 && line.tail >= 0;
    }
    for (float& slot : slots_) slot = static_cast<float>(number());
    for (std::int8_t& side : strayed_) {
        const std::int64_t value = in.i64();
        sane = sane && value >= -1 && value <= kUnseen;
        side = sane ? static_cast<std::int8_t>(value) : std::int8_t{0};
    }
    episode_.load(in);
    begin_ = in.time();
    for (double* value : {&last_, &largest_, &center_, &slot_sum_, &odd_level_, &odd_deviation_}) {
        *value = number();
    }
    episodes_ = number();
    odd_share_ = static_cast<float>(number());
    sane =
        sane && episodes_ >= 0 && episodes_ <= kEpisodesMax && odd_share_ >= 0 && odd_share_ <= 1;
    episodes_at_ = in.time();
    slot_ = in.i64();
    for (std::uint32_t* each : {&slot_count_, &points_, &run_, &run_most_, &changes_, &odd_rows_}) {
        *each = static_cast<std::uint32_t>(count(kCountMax));
    }
    active_ = static_cast<std::uint8_t>(count(1));
    above_ = in.flag();
    flat_told_ = in.flag();
    if (pairs) {
        bound_told_ = in.flag();
        pair_open_ = in.flag();
        pair_raise_ = narrow(number());
        sane = sane && pair_raise_ >= 1 && pair_raise_ <= kPairRaiseMax;
        last_at_ = in.time();
    }
    if (!sane) in.set_failed();
}

}  // namespace vigie::detectors
