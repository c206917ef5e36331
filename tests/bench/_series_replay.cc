// Prints what the seasonal detector makes of one series: reads a CSV "timestamp,value" and writes
// "timestamp,value,expected,lower,upper,score,probability,anomaly", one line for each row.
// For scoring against labelled series; probability is score / (1 + score).
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "detectors/series_model.h"

namespace {

using namespace vigie;

std::optional<EventTime> parse_time(const std::string& text) {
    if (text.find('-') != std::string::npos) {
        const auto at = parse_rfc3339(text + "Z");
        return at ? std::optional(*at) : std::nullopt;
    }
    return event_time_from_micros(std::stoll(text) * 1'000'000);
}

}  // namespace

int main(int argc, char** argv) {
    std::ifstream file(argc == 2 ? argv[1] : "");
    std::string line;
    if (!std::getline(file, line)) {
        std::cerr << "usage: series_replay FILE.csv\n";
        return 2;
    }
    std::cout << "timestamp,value,expected,lower,upper,score,probability,anomaly\n";
    detectors::SeriesModel model;
    const detectors::ModelOptions options;
    detectors::Judgement judgement;
    std::optional<EventTime> last;
    while (std::getline(file, line)) {
        const std::size_t comma = line.find(',');
        const std::string time = line.substr(0, comma);
        const double value = std::stod(line.substr(comma + 1));
        const auto at = parse_time(time);
        if (!at) return 1;
        if (!last || *at > *last) {
            judgement = model.observe(*at, value, 0, options);
            last = at;
        }
        const double score = judgement.judged ? judgement.score : 0;
        std::cout << fmt::format("{},{},{},{},{},{},{:.10g},{}\n", time, value, judgement.expected,
                                 judgement.lower, judgement.upper, score, score / (1 + score),
                                 model.episode().firing() ? 1 : 0);
    }
    return 0;
}
