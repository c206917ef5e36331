#include "detectors/deep_series.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace vigie::detectors {

namespace {

// How much each channel counts, in the order of Channel. Chosen with everything below on the
// development half of NAB and of two KPI sets together; docs/detectors.md has the figures.
constexpr std::array<double, kChannels> kWeights{2.74, 0.64, 0.1,  0.43, 0.64, 0.89,
                                                 1.0,  0.95, 1.19, 0.45, 0.48};
constexpr double kRarityMax = 8.8;  // What one channel can say at most.
// A value that two other days held at this time of day: residuals count this much.
constexpr double kUsualShare = 0.06;
constexpr double kTrustRows = 25;  // After so many rows the sum counts for half.

constexpr double kThreshold = 10.8;         // Sum that is an alarm.
constexpr double kEpisodeMin = 0.5;         // Lower sums open no episode.
constexpr std::uint32_t kEpisodeRows = 53;  // An episode lasts so long after its last peak.
// It is over sooner when so many rows were below this share of its peak, and one is not.
constexpr std::uint32_t kCalmRows = 15;
constexpr double kCalmShare = 0.15;
constexpr double kGrowth = 1.25;     // To be told again within it.
constexpr double kToldShare = 0.02;  // What other rows of an episode count, at its peak
constexpr double kToldRise = 0.5;    // and how much more at its end.
constexpr std::uint32_t kBudgetRows = 65'000;
constexpr double kBudgetStep = 0.047;  // Each recent episode asks the next to be so much higher
constexpr double kBudgetShare = 0.67;  // if it was at least this high against it.
constexpr float kPeakMin = 5;          // Lower episodes are not remembered: they hold nothing back.
constexpr std::size_t kPeaksMax = 256;

constexpr double kScaledMax = 1e30;  // Of channels' input: far from where floats end.

bool of_one_row(Channel channel) {
    switch (channel) {
        case Channel::kRecent:
        case Channel::kHour:
        case Channel::kSeason:
        case Channel::kDifference:
        case Channel::kShape1: return true;
        default: return false;
    }
}

}  // namespace

double DeepSeries::sum_of(const Rarities& rarities) const {
    double sum = 0;
    for (std::size_t i = 0; i < kChannels; ++i) {
        double rarity = std::min(rarities.of.at(i), kRarityMax);
        if (rarities.usual_range && of_one_row(static_cast<Channel>(i))) rarity *= kUsualShare;
        sum += kWeights.at(i) * rarity;
    }
    const auto rows = static_cast<double>(rows_);
    return sum * rows / (rows + kTrustRows);
}

void DeepSeries::end_episode() {
    open_ = false;
    if (peak_.height < kPeakMin) return;
    if (past_.size() == kPeaksMax) past_.erase(past_.begin());
    past_.push_back(peak_);
}

double DeepSeries::restrain(double sum) {
    if (open_ && rows_ - peak_.row > kEpisodeRows) end_episode();
    if (open_ && sum < kCalmShare * static_cast<double>(peak_.height)) {
        ++calm_;
    } else if (std::exchange(calm_, 0) >= kCalmRows && open_) {
        end_episode();
    }
    while (!past_.empty() && past_.front().row + kBudgetRows < rows_) past_.erase(past_.begin());
    if (sum <= kEpisodeMin) return sum / kThreshold;
    const auto as_high = std::ranges::count_if(past_, [&](const Peak& peak) {
        return static_cast<double>(peak.height) >= kBudgetShare * sum;
    });
    const double allowed = sum / (1 + kBudgetStep * static_cast<double>(as_high)) / kThreshold;
    if (open_ && sum <= kGrowth * static_cast<double>(peak_.height)) {
        const auto age = static_cast<double>(rows_ - peak_.row);
        return allowed * (kToldShare + kToldRise * age / static_cast<double>(kEpisodeRows));
    }
    open_ = true;
    calm_ = 0;
    peak_ = {rows_, static_cast<float>(sum)};
    return allowed;
}

DeepVerdict DeepSeries::observe(EventTime at, double value) {
    if (rows_ == 0) origin_ = value;
    const double away = value - origin_;
    if (unit_ == 0 && away != 0) {
        int exponent = 0;
        std::frexp(away, &exponent);
        unit_ = std::ldexp(1.0, std::clamp(exponent, -1000, 1000));
    }
    const double scaled = unit_ == 0 ? 0 : std::clamp(away / unit_, -kScaledMax, kScaledMax);
    const Rarities rarities = channels_.observe(at, scaled);
    const double sum = sum_of(rarities);
    const double score = restrain(sum);
    if (rows_ < std::numeric_limits<std::uint32_t>::max()) ++rows_;
    DeepVerdict verdict;
    verdict.expected = origin_ + unit_ * rarities.expected;
    verdict.lower = origin_ + unit_ * rarities.lower;
    verdict.upper = origin_ + unit_ * rarities.upper;
    verdict.judged = rows_ > kWarmupRows;
    verdict.sum = sum / kThreshold;
    verdict.deviation = rarities.deviation;
    verdict.usual = rarities.near_range;
    if (!verdict.judged) return verdict;
    verdict.score = score;
    verdict.anomaly = score >= 1;
    verdict.probability = score / (1 + score);
    return verdict;
}

std::size_t DeepSeries::bytes() const {
    return sizeof(*this) - sizeof(channels_) + channels_.bytes() + past_.capacity() * sizeof(Peak);
}

void DeepSeries::save(Encoder& out) const {
    channels_.save(out);
    out.u64(rows_);
    out.f64(origin_);
    out.f64(unit_);
    out.flag(open_);
    out.u64(calm_);
    out.u64(peak_.row);
    out.f64(static_cast<double>(peak_.height));
    out.u64(past_.size());
    for (const Peak& peak : past_) {
        out.u64(peak.row);
        out.f64(static_cast<double>(peak.height));
    }
}

void DeepSeries::load(Decoder& in) {
    channels_.load(in);
    const std::uint64_t rows = in.u64();
    if (rows > std::numeric_limits<std::uint32_t>::max()) in.set_failed();
    rows_ = in.failed() ? 0 : static_cast<std::uint32_t>(rows);
    origin_ = in.f64();
    unit_ = in.f64();
    open_ = in.flag();
    const std::uint64_t calm = in.u64();
    if (calm > kEpisodeRows) in.set_failed();
    calm_ = in.failed() ? 0 : static_cast<std::uint32_t>(calm);
    const auto read = [&] {
        Peak peak;
        const std::uint64_t row = in.u64();
        const double height = in.f64();
        if (row > rows_ || !(height >= 0 && height < 1e6)) in.set_failed();
        if (in.failed()) return peak;
        peak = {static_cast<std::uint32_t>(row), static_cast<float>(height)};
        return peak;
    };
    peak_ = read();
    past_.clear();
    for (std::size_t left = in.count(9); left > 0 && !in.failed(); --left) past_.push_back(read());
    if (!std::isfinite(origin_) || !(unit_ >= 0 && unit_ < 1e305) || past_.size() > kPeaksMax) {
        in.set_failed();
    }
}

}  // namespace vigie::detectors
