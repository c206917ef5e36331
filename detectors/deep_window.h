#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "detectors/codec.h"

// What the deep detector predicts a value from, when it looks at the last few only.
namespace vigie::detectors {

// Median of the last `capacity` values.
class RunningMedian {
public:
    explicit RunningMedian(std::size_t capacity) : capacity_(capacity) {}

    void push(double value);
    double median() const;            // 0 when empty
    double quantile(double q) const;  // The value below which a share q lies; 0 when empty
    bool empty() const { return sorted_.empty(); }
    std::size_t size() const { return sorted_.size(); }
    std::size_t bytes() const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    std::size_t capacity_;
    std::size_t oldest_ = 0;
    std::vector<double> ring_;
    std::vector<double> sorted_;
};

// Normalised least mean squares (Widrow and Hoff 1960) on the differences of the series: how far
// the next value is from what the last sixteen differences let expect. What a wild value can
// teach it is cut at three usual differences.
class DifferencePredictor {
public:
    double step(double value);  // Returns the error of the prediction; 0 for the first value.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    static constexpr std::size_t kTaps = 16;

    std::array<double, kTaps> weights_{};
    std::array<double, kTaps> differences_{};  // Newest first.
    double last_ = 0;
    double scale_ = 0;  // Mean size of a difference.
    std::uint64_t seen_ = 0;
};

}  // namespace vigie::detectors
