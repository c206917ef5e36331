#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/telemetry.h"

// What decoders share: limits, and the results they build. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// Counts what one body becomes, and says with kRefused when it becomes too much.
class Budget {
public:
    explicit Budget(const DecodeLimits& limits) : limits_(limits) {}

    const DecodeLimits& limits() const { return limits_; }
    Status take_item();
    Status take_bytes(std::size_t count);
    // Both at once; false, and nothing taken, when one of them would say no.
    bool take(std::size_t bytes) {
        if (items_ >= limits_.items_max || bytes > limits_.memory_bytes_max - bytes_) return false;
        ++items_;
        bytes_ += bytes;
        return true;
    }

    // The labels in order, each name once, with `base`, itself in order, below `more`.
    Result<Labels> merge(const Labels& base, Labels more) const;
    // kInvalid when another label would be one too many: before memory is spent on it.
    Status check_count(const Labels& labels) const;

private:
    DecodeLimits limits_;
    std::size_t items_ = 0;
    std::size_t bytes_ = 0;
};

std::string clean_label(std::string_view text, const Budget& budget);

}  // namespace vigie::schemas::detail
