#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "detectors/codec.h"

namespace vigie::detectors {

// How new the latest shape of a series is: the series is cut into blocks of a few rows, a shape
// is the means of the last blocks, and its novelty the mean distance to the nearest shape seen
// earlier (discords: Keogh et al., ICDM 2005, here one-sided). Remembers a number of
// shapes, those that were unlike the others; then the oldest makes room.
class ShapeNovelty {
public:
    struct Kind {
        std::uint32_t rows;    // In a block.
        std::uint32_t blocks;  // In a shape.
        std::uint32_t shapes;  // Remembered.
    };
    explicit ShapeNovelty(Kind kind) : kind_(kind) {}

    // The novelty of the newest complete shape: between two blocks it stays.
    double step(double value);
    std::size_t bytes() const;

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    float nearest(const std::vector<float>& shape) const;

    Kind kind_;
    std::vector<float> recent_;  // Means of the last blocks, oldest first.
    std::vector<float> shapes_;  // One after another, `blocks` numbers each.
    std::size_t oldest_ = 0;
    double sum_ = 0;
    std::uint32_t rows_ = 0;  // In `sum_`.
    double novelty_ = 0;
    double usual_ = 0;  // Mean novelty of the last two hundred shapes.
    std::uint64_t seen_ = 0;
};

}  // namespace vigie::detectors
