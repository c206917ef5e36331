#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// Makes a gauge of each histogram, so that it can be judged like any other: NAME{quantile="0.95"}
// of what NAME_bucket{le=} counted between two points in time, interpolated within a bucket as
// Prometheus' histogram_quantile does. An interval counts when a later one begins, so a gauge is
// one interval late; one with fewer than `kCountMin` observations gives nothing, nor does one in
// which a bucket went down (a restart).
class HistogramQuantiles {
public:
    static constexpr double kQuantile = 0.95;
    static constexpr double kCountMin = 10;
    static constexpr std::size_t kBucketsMax = 256;  // Of one histogram; further ones are left out.

    explicit HistogramQuantiles(std::size_t histograms_max) : histograms_max_(histograms_max) {}

    // Series that are not buckets are passed over.
    std::vector<schemas::TimeSeries> take(std::span<const schemas::TimeSeries> batch);

    std::size_t size() const { return histograms_.size(); }
    std::uint64_t refused() const { return refused_; }  // Points of histograms beyond the limit.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Bucket {
        double before = 0;   // Cumulative count at the end of the last interval,
        double now = 0;      // and the newest.
        bool known = false;  // `before` is.
    };
    struct Histogram {
        std::string metric;                // NAME
        schemas::Labels labels;            // Without le, with quantile.
        EventTime at;                      // Of the newest points.
        std::map<double, Bucket> buckets;  // By le.
    };

    Histogram* find_or_add(std::string_view metric, const schemas::Labels& labels, EventTime at);
    static void close(Histogram& histogram, std::vector<schemas::TimeSeries>& out);

    std::size_t histograms_max_;
    std::map<std::string, Histogram, std::less<>> histograms_;
    std::uint64_t refused_ = 0;
    EventTime full_until_;
};

}  // namespace vigie::detectors
