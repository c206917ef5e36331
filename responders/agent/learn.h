#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "schemas/incident.h"

namespace vigie::agent {

// Confirmed outcomes: how often the first cause was right, by the share it had been given. The
// curve that turns a share into a confidence.
struct Outcomes {
    static constexpr std::size_t kBins = 5;  // Equal widths over [0,1].
    std::array<std::int64_t, kBins> right{};
    std::array<std::int64_t, kBins> wrong{};

    bool operator==(const Outcomes&) const = default;
};

std::int64_t total(const Outcomes& outcomes);

// Counts a person's verdict on a cause that had `share`.
void count_verdict(Outcomes& outcomes, double share, bool right);

// Calibrated only when the bin of `share` itself rests on at least `outcomes_min` outcomes: the
// value is then the share of right ones there (Laplace: one of each added), and `outcomes` the
// bin's. Otherwise uncalibrated, with all outcomes so far.
schemas::Confidence confidence_of(const Outcomes& outcomes, double share,
                                  std::int64_t outcomes_min);

std::string encode_outcomes(const Outcomes& outcomes);
Result<Outcomes> decode_outcomes(std::string_view text);  // kCorrupt

}  // namespace vigie::agent
