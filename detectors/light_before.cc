// What LightSeries takes over from the model that judged series before it, in format '2' of the
// metrics detector: level and spread, the anomaly that runs, and the half hours of the day.
#include <algorithm>
#include <cmath>
#include <limits>

#include "detectors/light_series.h"

namespace vigie::detectors {

namespace {

double finite_number(Decoder& in) {
    const double value = in.f64();
    if (!std::isfinite(value)) in.set_failed();
    return value;
}

std::vector<double> numbers(Decoder& in, std::size_t most) {
    std::vector<double> values;
    for (std::size_t left = in.count(8); left > 0 && !in.failed(); --left) {
        values.push_back(finite_number(in));
        if (values.size() > most) in.set_failed();
    }
    return values;
}

std::uint32_t narrow_count(std::uint64_t count) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

// The medians of the days of each part of a period; empty where none was seen.
std::vector<std::vector<double>> periods(Decoder& in, std::size_t parts) {
    std::vector<std::vector<double>> all;
    for (std::size_t i = 0; i < parts && !in.failed(); ++i) all.push_back(numbers(in, 5));
    in.i64();  // The part that was being summed up.
    finite_number(in);
    in.u64();
    return all;
}

}  // namespace

void LightSeries::load_before(Decoder& in) {
    constexpr std::size_t kValuesMax = 64;
    constexpr std::size_t kWeekParts = 168;
    *this = LightSeries();
    begin_ = in.time();
    points_ = narrow_count(in.u64());
    const std::vector<double> first = numbers(in, kValuesMax);
    const std::uint64_t trackers = in.u64();
    if (trackers > 3) in.set_failed();
    for (std::uint64_t i = 0; i < trackers && !in.failed(); ++i) {
        Line line;
        line.level = finite_number(in);
        line.deviation = std::max(finite_number(in), 0.0);
        line.error = std::max(finite_number(in), 0.0);
        line.learned = narrow_count(in.u64());
        in.time();
        numbers(in, 1000);
        finite_number(in);  // The histogram of its tail.
        finite_number(in);
        for (std::size_t left = in.count(9); left > 0 && !in.failed(); --left) {
            in.i64();
            finite_number(in);
        }
        if (i == 0) lines_.fill(line);
    }
    // Not enough rows for a level yet: those there were are it.
    if (trackers == 0 && !first.empty()) lines_[0].level = lines_[1].level = median(first);
    in.u64();
    if (in.flag()) {
        const auto days = periods(in, kSlots);
        periods(in, kWeekParts);
        for (std::size_t i = 0; i < days.size() && !in.failed(); ++i) {
            if (days[i].empty()) continue;
            slots_.at(i) = static_cast<float>(std::clamp(median(days[i]), -3e38, 3e38));
            strayed_.at(i) = 0;
        }
        find_center();
    }
    episode_.load(in);
    above_ = in.flag();
    odd_share_ = static_cast<float>(std::clamp(finite_number(in), 0.0, 1.0));
    const std::vector<double> odd = numbers(in, 1000);
    odd_rows_ = narrow_count(odd.size());
    if (!odd.empty()) odd_level_ = median(odd);
    episodes_ = std::clamp(finite_number(in), 0.0, 20.0);
    episodes_at_ = in.time();
    last_ = largest_ = lines_[0].level;
}

}  // namespace vigie::detectors
