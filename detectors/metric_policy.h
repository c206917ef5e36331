#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "detectors/codec.h"
#include "detectors/light_series.h"
#include "detectors/match.h"

// How single series are judged otherwise than all: rules of the configuration, and what series
// like them are like while they are young.
namespace vigie::detectors {

// On which side of the usual a value can be odd.
enum class Direction : std::uint8_t { kBoth, kUp, kDown };

// For the series that `select` matches; the first rule that matches counts. What is not given is
// as for all series.
struct SeriesRule {
    std::vector<std::string> select;  // Patterns as in match.h.
    std::optional<Direction> direction;
    std::optional<double> threshold;
    double deviation_min = 0;        // In the unit of the series (per second for counters),
    double deviation_ratio_min = 0;  // and as a share of the expected value.
    // Beyond them a value is odd from the first row on, and never the new normal.
    double bound_low = -std::numeric_limits<double>::infinity();
    double bound_high = std::numeric_limits<double>::infinity();
    bool deep = false;  // A series that always deserves the deep detector.
};

// Spreads of series of one metric and job, each relative to its level, as a mean and mean deviation
// of their logarithm.
class SeriesPool {
public:
    void add(double spread, double level);
    // What nearly all of them are below; 0 until `kSeriesMin` are known.
    double ratio() const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    static constexpr std::uint32_t kSeriesMin = 5;

    double mean_ = 0;
    double deviation_ = 0;
    std::uint32_t count_ = 0;
};

class MetricPolicy {
public:
    static constexpr std::size_t kPoolsMax = 10'000;

    // kInvalid names the rule that is wrong.
    static Result<MetricPolicy> make(ModelOptions usual, const std::vector<SeriesRule>& rules);

    // The number of the rule for a series, to be kept with it; 0 for none.
    std::uint16_t rule_of(std::string_view metric, const schemas::Labels& labels) const;
    const ModelOptions& model(std::uint16_t rule) const { return models_.at(rule); }
    bool deep(std::uint16_t rule) const { return deep_.at(rule); }

    // nullptr when there are too many. Stays where it is, until load().
    SeriesPool* pool_of(std::string_view metric, const schemas::Labels& labels);
    // While a series is younger than its warm-up and its pool is known, it is judged by these: a
    // fifth of the rows, a twelfth of the time, at least the spread of its pool.
    ModelOptions young(std::uint16_t rule) const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    std::vector<ModelOptions> models_;
    std::vector<std::vector<SeriesPattern>> patterns_;  // One less than models.
    std::vector<bool> deep_;
    std::map<std::string, SeriesPool, std::less<>> pools_;
};

}  // namespace vigie::detectors
