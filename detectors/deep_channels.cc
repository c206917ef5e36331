#include "detectors/deep_channels.h"

#include <algorithm>
#include <cmath>

namespace vigie::detectors {

namespace {

constexpr std::uint64_t kSlowRows = 1000;
constexpr double kBandShare = 5e-6;
constexpr double kNearRange = 4;  // Mean residuals that other days' range is widened by.
constexpr double kWeekRows = 3000;
constexpr double kWeekShareMin = 0.3;  // Less is taken for chance.
constexpr double kWeekCut = 4;         // What a wild row can teach, in mean residuals.
const double kTwoSides = std::log10(2.0);

std::size_t index_of(Channel channel) {
    return static_cast<std::size_t>(channel);
}

double memory(std::uint64_t rows, std::uint64_t most) {
    return static_cast<double>(std::clamp<std::uint64_t>(rows, 1, most));
}

}  // namespace

ChannelSet::ChannelSet()
    : shapes_{ShapeNovelty({1, 1, 128}), ShapeNovelty({1, 8, 128}), ShapeNovelty({2, 8, 128}),
              ShapeNovelty({4, 8, 64}), ShapeNovelty({16, 8, 64})} {}

// The usual distance of two rows, from the first of them: it decides the parts of the day.
void ChannelSet::learn_step(EventTime at) {
    if (rows_ > 0 && rows_ <= steps_.size()) {
        steps_.at(rows_ - 1) = std::max<std::int64_t>(micros_of(at) - micros_of(last_at_), 1);
    }
    last_at_ = at;
    if (rows_ != steps_.size()) return;
    auto sorted = steps_;
    std::ranges::sort(sorted);
    days_.start(EventClock::duration(sorted.at(sorted.size() / 2)));
}

double ChannelSet::weekly_share() const {
    if (week_square_ <= 0) return 0;
    const double share = week_product_ / week_square_;
    return share < kWeekShareMin ? 0 : std::min(share, 1.0);
}

void ChannelSet::learn_week(double off, double week) {
    const double most = kWeekCut * season_error_ + std::abs(week);
    const double taught = std::clamp(off, -most, most);
    week_product_ += taught * week - week_product_ / kWeekRows;
    week_square_ += week * week - week_square_ / kWeekRows;
}

double ChannelSet::signed_rarity(Channel channel, double score) {
    Sides& sides = sides_.at(index_of(channel));
    const double rarity = score >= 0 ? sides.up.rarity(score) : sides.down.rarity(-score);
    sides.up.add(score);
    sides.down.add(-score);
    return std::max(rarity - kTwoSides, 0.0);
}

double ChannelSet::spread_score(double difference) {
    const double size = std::abs(difference);
    differences_.at(rows_ % differences_.size()) = size;
    const double counted = rows_ < 30 ? size : std::min(size, 10 * jitter_ + 1e-12);
    jitter_ += (counted - jitter_) / memory(rows_, kSlowRows);
    if (rows_ < differences_.size() || jitter_ <= 0) return 0;
    double sum = 0;
    for (const double each : differences_) sum += each;
    const double ratio = sum / static_cast<double>(differences_.size()) / jitter_;
    return std::log2((ratio + 0.05) / 1.05);
}

void ChannelSet::band(const Residuals& residuals, double value, Rarities& out) const {
    const bool seasonal = days_.started() && season_error_ < recent_error_;
    const Sides& sides = sides_.at(index_of(seasonal ? Channel::kSeason : Channel::kRecent));
    out.expected = value - (seasonal ? residuals.season : residuals.recent);
    out.deviation = recent_error_ > 0 ? residuals.recent / recent_error_ : 0;
    out.lower = out.expected - sides.down.exceeded_by(kBandShare);
    out.upper = out.expected + sides.up.exceeded_by(kBandShare);
}

Rarities ChannelSet::observe(EventTime at, double value) {
    learn_step(at);
    Rarities out;
    const auto put = [&](Channel channel, double rarity) { out.of.at(index_of(channel)) = rarity; };
    const DayMemory::Usual usual = days_.started() ? days_.usual(at) : DayMemory::Usual{};
    const double hour = rows_ == 0 ? value : hour_.median();
    Residuals residuals;
    residuals.recent = rows_ == 0 ? 0 : value - recent_.median();
    residuals.season = value - hour;
    if (usual.known) {
        const double weekly = usual.weekly ? weekly_share() * usual.week : 0;
        if (usual.weekly) learn_week(value - usual.median, usual.week);
        const double off = value - usual.median - weekly;
        residuals.season = off - offset_.median();
        offset_.push(off);
    }
    band(residuals, value, out);
    if (usual.ranged) {
        const double beyond = value > usual.high  ? value - usual.high
                              : value < usual.low ? value - usual.low
                                                  : 0;
        out.usual_range = beyond == 0;
        out.near_range = std::abs(beyond) <= kNearRange * season_error_;
        put(Channel::kRange, signed_rarity(Channel::kRange, beyond));
    }
    put(Channel::kRecent, signed_rarity(Channel::kRecent, residuals.recent));
    put(Channel::kHour, signed_rarity(Channel::kHour, value - hour));
    put(Channel::kSeason, signed_rarity(Channel::kSeason, residuals.season));
    put(Channel::kDifference, signed_rarity(Channel::kDifference, predictor_.step(value)));
    put(Channel::kSpread,
        signed_rarity(Channel::kSpread, spread_score(rows_ == 0 ? 0 : value - last_)));
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        const double novelty = shapes_.at(i).step(value);
        out.of.at(kSigned + i) = novelty_.at(i).rarity(novelty);
        novelty_.at(i).add(novelty);
    }
    const double recent_size = std::abs(residuals.recent);
    const double season_size = std::abs(residuals.season);
    recent_error_ += (recent_size - recent_error_) / memory(rows_, kSlowRows);
    season_error_ += (season_size - season_error_) / memory(rows_, kSlowRows);
    if (days_.started()) days_.learn(at, value);
    recent_.push(value);
    hour_.push(value);
    ++rows_;
    last_ = value;
    return out;
}

std::size_t ChannelSet::bytes() const {
    std::size_t bytes = sizeof(*this) + days_.bytes();
    for (const auto& shape : shapes_) bytes += shape.bytes();
    for (const auto* median : {&recent_, &hour_, &offset_}) bytes += median->bytes();
    return bytes;
}

void ChannelSet::save(Encoder& out) const {
    for (const Sides& sides : sides_) {
        sides.up.save(out);
        sides.down.save(out);
    }
    for (const ScoreTail& tail : novelty_) tail.save(out);
    for (const ShapeNovelty& shape : shapes_) shape.save(out);
    days_.save(out);
    for (const auto* median : {&recent_, &hour_, &offset_}) median->save(out);
    predictor_.save(out);
    out.u64(rows_);
    out.time(last_at_);
    for (const std::int64_t step : steps_) out.i64(step);
    for (const double value : differences_) out.f64(value);
    for (const double value :
         {last_, jitter_, recent_error_, season_error_, week_product_, week_square_}) {
        out.f64(value);
    }
}

void ChannelSet::load(Decoder& in) {
    for (Sides& sides : sides_) {
        sides.up.load(in);
        sides.down.load(in);
    }
    for (ScoreTail& tail : novelty_) tail.load(in);
    for (ShapeNovelty& shape : shapes_) shape.load(in);
    days_.load(in);
    for (auto* median : {&recent_, &hour_, &offset_}) median->load(in);
    predictor_.load(in);
    rows_ = in.u64();
    last_at_ = in.time();
    for (std::int64_t& step : steps_) step = in.i64();
    bool finite = true;
    const auto read = [&](double& value) {
        value = in.f64();
        finite = finite && std::isfinite(value);
    };
    for (double& value : differences_) read(value);
    for (double* value :
         {&last_, &jitter_, &recent_error_, &season_error_, &week_product_, &week_square_}) {
        read(*value);
    }
    if (!finite || days_.started() != (rows_ > steps_.size())) in.set_failed();
}

}  // namespace vigie::detectors
