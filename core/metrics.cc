#include "core/metrics.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

#include <fmt/format.h>

#include "core/result.h"

namespace vigie {

namespace {

constexpr std::size_t kSeriesMax = 10'000;
constexpr double kBounds[Histogram::kBuckets] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05,
                                                 0.1,    0.5,    1,     5,     10};

std::string escaped(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    return out;
}

std::string rendered(MetricLabels labels) {
    std::sort(labels.begin(), labels.end());
    std::string text;
    for (const auto& [name, value] : labels) {
        if (!text.empty()) text += ',';
        text += fmt::format("{}=\"{}\"", name, escaped(value));
    }
    return text;
}

std::string series_name(std::string_view name, std::string_view suffix, std::string_view labels,
                        std::string_view more = {}) {
    std::string inside(labels);
    if (!more.empty()) inside += (inside.empty() ? "" : ",") + std::string(more);
    return inside.empty() ? fmt::format("{}{}", name, suffix)
                          : fmt::format("{}{}{{{}}}", name, suffix, inside);
}

void expose_histogram(std::string& out, std::string_view name, std::string_view labels,
                      const Histogram& histogram) {
    const auto counts = histogram.counts();
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        total += counts[i];
        const std::string bound = i < Histogram::kBuckets ? fmt::format("{}", kBounds[i]) : "+Inf";
        out += fmt::format("{} {}\n",
                           series_name(name, "_bucket", labels, fmt::format("le=\"{}\"", bound)),
                           total);
    }
    out += fmt::format("{} {}\n", series_name(name, "_sum", labels), histogram.sum());
    out += fmt::format("{} {}\n", series_name(name, "_count", labels), total);
}

}  // namespace

void Histogram::observe(double seconds) {
    const auto* const bound = std::lower_bound(std::begin(kBounds), std::end(kBounds), seconds);
    counts_[std::distance(std::begin(kBounds), bound)].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + seconds, std::memory_order_relaxed)) {
    }
}

const double* Histogram::bounds() {
    return kBounds;
}

std::vector<std::uint64_t> Histogram::counts() const {
    std::vector<std::uint64_t> counts;
    for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
    return counts;
}

template <class T>
T& MetricsRegistry::find(const MetricName& name, MetricLabels labels) {
    const std::string key = rendered(std::move(labels));
    const std::scoped_lock lock(mutex_);
    Entry& entry = families_[std::string(name.name)];
    if (entry.help.empty()) entry.help = name.help;
    auto found = entry.series.find(key);
    if (found == entry.series.end()) {
        const bool full = series_count_ >= kSeriesMax;
        found = entry.series.try_emplace(full ? "overflow=\"true\"" : key).first;
        if (!full) ++series_count_;
    }
    Series& series = found->second;
    std::unique_ptr<T>* slot = nullptr;
    if constexpr (std::is_same_v<T, Counter>) slot = &series.counter;
    if constexpr (std::is_same_v<T, Gauge>) slot = &series.gauge;
    if constexpr (std::is_same_v<T, Histogram>) slot = &series.histogram;
    if (!*slot) *slot = std::make_unique<T>();
    return **slot;
}

Counter& MetricsRegistry::counter(const MetricName& name, MetricLabels labels) {
    return find<Counter>(name, std::move(labels));
}
Gauge& MetricsRegistry::gauge(const MetricName& name, MetricLabels labels) {
    return find<Gauge>(name, std::move(labels));
}
Histogram& MetricsRegistry::histogram(const MetricName& name, MetricLabels labels) {
    return find<Histogram>(name, std::move(labels));
}

std::string MetricsRegistry::expose() const {
    const std::scoped_lock lock(mutex_);
    std::string out;
    for (const auto& [name, entry] : families_) {
        const Series& any = entry.series.begin()->second;
        const std::string_view type = any.counter ? "counter" : any.gauge ? "gauge" : "histogram";
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, entry.help, name, type);
        for (const auto& [labels, series] : entry.series) {
            if (series.counter) {
                out +=
                    fmt::format("{} {}\n", series_name(name, "", labels), series.counter->value());
            } else if (series.gauge) {
                out += fmt::format("{} {}\n", series_name(name, "", labels), series.gauge->value());
            } else if (series.histogram) {
                expose_histogram(out, name, labels, *series.histogram);
            }
        }
    }
    return out;
}

}  // namespace vigie
