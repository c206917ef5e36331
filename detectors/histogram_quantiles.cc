#include "detectors/histogram_quantiles.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace vigie::detectors {

namespace {

constexpr std::string_view kSuffix = "_bucket";
constexpr std::chrono::hours kIdle{1};
constexpr std::chrono::seconds kLookAgain{60};

std::optional<double> bound_of(std::string_view le) {
    if (le == "+Inf" || le == "Inf") return std::numeric_limits<double>::infinity();
    double value = 0;
    const auto [end, error] = std::from_chars(le.data(), le.data() + le.size(), value);
    if (error != std::errc{} || end != le.data() + le.size() || std::isnan(value)) {
        return std::nullopt;
    }
    return value;
}

// The value below which a share q of a cumulative histogram lies; the last must be infinite.
double interpolate(std::span<const std::pair<double, double>> cumulative, double q) {
    const double rank = q * cumulative.back().second;
    std::size_t at = 0;
    while (at + 1 < cumulative.size() && cumulative[at].second < rank) ++at;
    const double low = at == 0 ? std::min(0.0, cumulative[0].first) : cumulative[at - 1].first;
    const double high = cumulative[at].first;
    if (std::isinf(high)) return low;  // The largest bound there is.
    const double below = at == 0 ? 0 : cumulative[at - 1].second;
    const double within = cumulative[at].second - below;
    return within <= 0 ? high : low + (high - low) * std::clamp((rank - below) / within, 0.0, 1.0);
}

}  // namespace

HistogramQuantiles::Histogram* HistogramQuantiles::find_or_add(std::string_view metric,
                                                               const schemas::Labels& labels,
                                                               EventTime at) {
    schemas::Labels own;
    own.reserve(labels.size());
    for (const auto& [name, value] : labels) {
        if (name != "le" && name != "quantile") own.emplace_back(name, value);
    }
    own.emplace_back("quantile", "0.95");
    std::ranges::sort(own);
    std::string key = schemas::to_string(metric, own);
    if (const auto known = histograms_.find(key); known != histograms_.end()) {
        return &known->second;
    }
    if (histograms_.size() >= histograms_max_) {
        if (at < full_until_) return nullptr;
        full_until_ = at + kLookAgain;
        std::erase_if(histograms_, [at](const auto& each) { return at - each.second.at > kIdle; });
        if (histograms_.size() >= histograms_max_) return nullptr;
    }
    Histogram& histogram = histograms_[std::move(key)];
    histogram.metric = metric;
    histogram.labels = std::move(own);
    histogram.at = at;
    return &histogram;
}

void HistogramQuantiles::close(Histogram& histogram, std::vector<schemas::TimeSeries>& out) {
    std::vector<std::pair<double, double>> cumulative;
    cumulative.reserve(histogram.buckets.size());
    bool whole = true;
    double most = 0;
    for (auto& [bound, bucket] : histogram.buckets) {
        const double grown = bucket.now - bucket.before;
        whole = whole && bucket.known && grown >= 0;
        most = std::max(most, grown);  // Points of one scrape may be torn: never down.
        cumulative.emplace_back(bound, most);
        bucket.before = bucket.now;
        bucket.known = true;
    }
    if (!whole || cumulative.empty() || !std::isinf(cumulative.back().first) ||
        cumulative.size() < 2 || most < kCountMin) {
        return;
    }
    out.push_back({histogram.metric,
                   histogram.labels,
                   schemas::MetricKind::kGauge,
                   {{histogram.at, interpolate(cumulative, kQuantile)}}});
}

std::vector<schemas::TimeSeries> HistogramQuantiles::take(
    std::span<const schemas::TimeSeries> batch) {
    std::vector<schemas::TimeSeries> out;
    for (const schemas::TimeSeries& series : batch) {
        if (!series.metric.ends_with(kSuffix)) continue;
        const auto bound = bound_of(schemas::label(series.labels, "le"));
        if (!bound) continue;
        const std::string_view metric =
            std::string_view(series.metric).substr(0, series.metric.size() - kSuffix.size());
        for (const schemas::Point& point : series.points) {
            if (point.stale || !plausible(point.at) || !(point.value >= 0 && point.value < 1e200)) {
                continue;
            }
            Histogram* histogram = find_or_add(metric, series.labels, point.at);
            if (histogram == nullptr) {
                ++refused_;
                continue;
            }
            if (point.at > histogram->at) {
                close(*histogram, out);
                histogram->at = point.at;
            } else if (point.at < histogram->at) {
                continue;
            }
            if (histogram->buckets.size() >= kBucketsMax && !histogram->buckets.contains(*bound)) {
                ++refused_;
                continue;
            }
            histogram->buckets[*bound].now = point.value;
        }
    }
    return out;
}

void HistogramQuantiles::save(Encoder& out) const {
    out.time(full_until_);
    out.u64(histograms_.size());
    for (const auto& [key, histogram] : histograms_) {
        out.text(key);
        out.text(histogram.metric);
        out.u64(histogram.labels.size());
        for (const auto& [name, value] : histogram.labels) {
            out.text(name);
            out.text(value);
        }
        out.time(histogram.at);
        out.u64(histogram.buckets.size());
        for (const auto& [bound, bucket] : histogram.buckets) {
            for (const double value : {bound, bucket.before, bucket.now}) out.f64(value);
            out.flag(bucket.known);
        }
    }
}

void HistogramQuantiles::load(Decoder& in) {
    histograms_.clear();
    full_until_ = in.time();
    for (std::size_t left = in.count(6); left > 0 && !in.failed(); --left) {
        Histogram& histogram = histograms_[in.text()];
        histogram.metric = in.text();
        for (std::size_t labels = in.count(2); labels > 0 && !in.failed(); --labels) {
            std::string name = in.text();
            histogram.labels.emplace_back(std::move(name), in.text());
        }
        histogram.at = in.time();
        std::size_t buckets = in.count(25);
        if (buckets > kBucketsMax) in.set_failed();
        for (; buckets > 0 && !in.failed(); --buckets) {
            const double bound = in.f64();
            Bucket bucket;
            bucket.before = in.f64();
            bucket.now = in.f64();
            bucket.known = in.flag();
            if (std::isnan(bound) || !std::isfinite(bucket.before) || !std::isfinite(bucket.now)) {
                in.set_failed();
            }
            histogram.buckets[bound] = bucket;
        }
    }
}

}  // namespace vigie::detectors
