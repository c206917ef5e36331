#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/result.h"
#include "core/time.h"

namespace vigie::detectors {

// Checks the options of one detector and remembers the first that is wrong.
class OptionCheck {
public:
    explicit OptionCheck(std::string_view detector) : detector_(detector) {}

    // Not-a-number is out of every range.
    template <class T>
    void range(std::string_view option, T value, T low, T high) {
        if (!status_ || (value >= low && value <= high)) return;
        status_ = fail(ErrorKind::kInvalid, fmt::format("{}: {} is {}, must be from {} to {}",
                                                        detector_, option, value, low, high));
    }

    // From `low` to ten years, so that sums with plausible times do not overflow.
    void span(std::string_view option, std::chrono::milliseconds value,
              std::chrono::milliseconds low) {
        constexpr std::chrono::hours kMax{24 * 3650};
        if (!status_ || (value >= low && value <= kMax)) return;
        status_ = fail(ErrorKind::kInvalid,
                       fmt::format("{}: {} is {}, must be from {} to 10 years", detector_, option,
                                   vigie::to_string(value), vigie::to_string(low)));
    }
    void span(std::string_view option, std::chrono::seconds value, std::chrono::seconds low) {
        constexpr std::chrono::hours kBeyond{24 * 36500};
        span(option, std::chrono::milliseconds{value < kBeyond ? value : kBeyond},
             std::chrono::milliseconds{low});
    }

    void require(bool good, std::string_view what) {
        if (!status_ || good) return;
        status_ = fail(ErrorKind::kInvalid, fmt::format("{}: {}", detector_, what));
    }

    const Status& status() const { return status_; }

private:
    std::string detector_;
    Status status_;
};

}  // namespace vigie::detectors
