#include "detectors/metric_policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "schemas/telemetry.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kRulesMax = 1000;
constexpr double kMemory = 50;         // Series
constexpr double kDeviationsUp = 2.5;  // Of the logarithm, above its mean.
constexpr double kRatioMax = 10;

Status check(const SeriesRule& rule) {
    const auto bad = [](std::string_view what) {
        return fail(ErrorKind::kInvalid, std::string(what));
    };
    if (rule.select.empty()) return bad("select is missing: the series it is for");
    if (rule.threshold && !(*rule.threshold >= 1 && *rule.threshold <= 1000)) {
        return bad("threshold must be from 1 to 1000");
    }
    if (!(rule.deviation_min >= 0 && rule.deviation_min <= 1e200)) {
        return bad("deviation_min must be from 0 to 1e200");
    }
    if (!(rule.deviation_ratio_min >= 0 && rule.deviation_ratio_min <= 1e6)) {
        return bad("deviation_ratio_min must be from 0 to 1e6");
    }
    if (std::isnan(rule.bound_low) || std::isnan(rule.bound_high) ||
        rule.bound_low >= rule.bound_high) {
        return bad("the lower bound must be below the upper");
    }
    return {};
}

}  // namespace

void SeriesPool::add(double spread, double level) {
    const double ratio = spread / std::abs(level);
    if (!(ratio > 1e-9 && ratio < 1e9)) return;
    const double size = std::log(ratio);
    if (count_ < std::numeric_limits<std::uint32_t>::max()) ++count_;
    const double weight = 1 / std::min(static_cast<double>(count_), kMemory);
    const double off = size - mean_;
    deviation_ += (std::abs(off) * (count_ == 1 ? 0 : 1) - deviation_) * weight;
    mean_ += off * weight;
}

double SeriesPool::ratio() const {
    if (count_ < kSeriesMin) return 0;
    return std::min(std::exp(mean_ + kDeviationsUp * deviation_), kRatioMax);
}

void SeriesPool::save(Encoder& out) const {
    out.f64(mean_);
    out.f64(deviation_);
    out.u64(count_);
}

void SeriesPool::load(Decoder& in) {
    mean_ = in.f64();
    deviation_ = in.f64();
    const std::uint64_t count = in.u64();
    if (!(std::abs(mean_) < 100) || !(deviation_ >= 0 && deviation_ < 100) ||
        count > std::numeric_limits<std::uint32_t>::max()) {
        in.set_failed();
    }
    count_ = static_cast<std::uint32_t>(count & 0xffffffffU);
}

Result<MetricPolicy> MetricPolicy::make(ModelOptions usual, const std::vector<SeriesRule>& rules) {
    MetricPolicy policy;
    policy.models_.push_back(usual);
    policy.deep_.push_back(false);
    if (rules.size() > kRulesMax) {
        return fail(ErrorKind::kInvalid, fmt::format("more than {} rules", kRulesMax));
    }
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const SeriesRule& rule = rules[i];
        if (const auto good = check(rule); !good) {
            return fail(good.error().kind, fmt::format("rule {}: {}", i + 1, good.error().message));
        }
        auto patterns = parse_patterns(rule.select);
        if (!patterns) return fail(std::move(patterns).error().in(fmt::format("rule {}", i + 1)));
        policy.patterns_.push_back(*std::move(patterns));
        ModelOptions& model = policy.models_.emplace_back(usual);
        if (rule.direction) {
            model.up = *rule.direction != Direction::kDown;
            model.down = *rule.direction != Direction::kUp;
        }
        model.threshold = rule.threshold.value_or(model.threshold);
        model.deviation_min = rule.deviation_min;
        model.deviation_ratio_min = rule.deviation_ratio_min;
        model.bound_low = rule.bound_low;
        model.bound_high = rule.bound_high;
        policy.deep_.push_back(rule.deep);
    }
    return policy;
}

std::uint16_t MetricPolicy::rule_of(std::string_view metric, const schemas::Labels& labels) const {
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
        if (matches_any(patterns_[i], metric, labels)) return static_cast<std::uint16_t>(i + 1);
    }
    return 0;
}

SeriesPool* MetricPolicy::pool_of(std::string_view metric, const schemas::Labels& labels) {
    std::string key(metric);
    key += '\n';
    const auto job = schemas::label(labels, "job");
    key += job.empty() ? schemas::label(labels, "service.name") : job;
    const auto known = pools_.find(key);
    if (known != pools_.end()) return &known->second;
    if (pools_.size() >= kPoolsMax) return nullptr;
    return &pools_[std::move(key)];
}

ModelOptions MetricPolicy::young(std::uint16_t rule) const {
    ModelOptions options = models_.at(rule);
    options.warmup_points = std::max(options.warmup_points / 5, 5U);
    options.warmup_span /= 12;
    return options;
}

void MetricPolicy::save(Encoder& out) const {
    out.u64(pools_.size());
    for (const auto& [key, pool] : pools_) {
        out.text(key);
        pool.save(out);
    }
}

void MetricPolicy::load(Decoder& in) {
    pools_.clear();
    std::size_t left = in.count(18);
    if (left > kPoolsMax) in.set_failed();
    for (; left > 0 && !in.failed(); --left) pools_[in.text()].load(in);
}

}  // namespace vigie::detectors
