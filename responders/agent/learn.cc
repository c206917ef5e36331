#include "responders/agent/learn.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace vigie::agent {

namespace {

std::size_t bin_of(double share) {
    if (!std::isfinite(share)) return 0;
    const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(Outcomes::kBins);
    return std::min(static_cast<std::size_t>(at), Outcomes::kBins - 1);
}

}  // namespace

std::int64_t total(const Outcomes& outcomes) {
    const auto sum = [](const auto& counts) {
        return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    };
    return sum(outcomes.right) + sum(outcomes.wrong);
}

void count_verdict(Outcomes& outcomes, double share, bool right) {
    ++(right ? outcomes.right : outcomes.wrong)[bin_of(share)];
}

schemas::Confidence confidence_of(const Outcomes& outcomes, double share,
                                  std::int64_t outcomes_min) {
    const std::size_t bin = bin_of(share);
    const std::int64_t right = outcomes.right[bin];
    const std::int64_t count = right + outcomes.wrong[bin];
    schemas::Confidence confidence;
    if (count < std::max<std::int64_t>(outcomes_min, 1)) {
        confidence.outcomes = total(outcomes);
        return confidence;
    }
    confidence.calibrated = true;
    confidence.value = static_cast<double>(right + 1) / static_cast<double>(count + 2);
    confidence.outcomes = count;
    return confidence;
}

std::string encode_outcomes(const Outcomes& outcomes) {
    std::string text;
    for (const auto count : outcomes.right) text += fmt::format("{} ", count);
    for (const auto count : outcomes.wrong) text += fmt::format("{} ", count);
    return text;
}

Result<Outcomes> decode_outcomes(std::string_view text) {
    Outcomes outcomes;
    const auto read = [&text](std::int64_t& count) {
        const char* const begin = text.data();
        const char* const end = begin + text.size();
        const auto [stop, error] = std::from_chars(begin, end, count);
        if (error != std::errc{} || stop == end || *stop != ' ' || count < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(stop - begin) + 1);
        return true;
    };
    bool read_all = true;
    for (auto& count : outcomes.right) read_all = read_all && read(count);
    for (auto& count : outcomes.wrong) read_all = read_all && read(count);
    if (!read_all || !text.empty()) {
        return fail(ErrorKind::kCorrupt, "the agent's stored outcomes are damaged");
    }
    return outcomes;
}

}  // namespace vigie::agent
