#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vigie {

// A number that only grows. Safe to call from any thread.
class Counter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// A number that goes up and down. Safe to call from any thread.
class Gauge {
public:
    void set(double value) { value_.store(value, std::memory_order_relaxed); }
    double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

// How long things took, in fixed buckets from 100 µs to 10 s. Safe to call from any thread.
class Histogram {
public:
    static constexpr std::size_t kBuckets = 11;

    void observe(double seconds);
    static const double* bounds();  // kBuckets upper bounds, in seconds, ascending
    // One count for each bucket and one for what is above the last; not cumulative.
    std::vector<std::uint64_t> counts() const;
    double sum() const { return sum_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> counts_[kBuckets + 1]{};
    std::atomic<double> sum_{0};
};

// Names and labels of one time series. `name` is a constant from the folder's metrics.h.
struct MetricName {
    std::string_view name;
    std::string_view help;  // One sentence.
};
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Every number Vigie tells about itself. Handles stay valid as long as the registry. Above
// 10,000 series a new label set gets the series labelled overflow="true" of its name, so that a
// mistake in labels cannot grow memory. Safe to call from any thread.
class MetricsRegistry {
public:
    Counter& counter(const MetricName& name, MetricLabels labels = {});
    Gauge& gauge(const MetricName& name, MetricLabels labels = {});
    Histogram& histogram(const MetricName& name, MetricLabels labels = {});

    // Prometheus text exposition format 0.0.4, sorted by name and labels.
    std::string expose() const;

private:
    template <class T>
    T& find(const MetricName& name, MetricLabels labels);

    mutable std::mutex mutex_;  // Protects everything below.
    struct Series {
        std::unique_ptr<Counter> counter;
        std::unique_ptr<Gauge> gauge;
        std::unique_ptr<Histogram> histogram;
    };
    struct Entry {
        std::string help;
        std::map<std::string, Series, std::less<>> series;  // By rendered labels.
    };
    std::map<std::string, Entry, std::less<>> families_;
    std::size_t series_count_ = 0;
};

}  // namespace vigie
