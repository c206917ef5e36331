#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/series_csv.h"
#include "detectors/deep_series.h"

namespace vigie::app {

namespace {

constexpr double kValueMax = 1e200;
constexpr std::size_t kFlushBytes = 1 << 16;

Status replay_series(const std::string& path) {
    VIGIE_TRY_ASSIGN(auto file, SeriesFile::open(path));
    detectors::DeepSeries series;
    detectors::DeepVerdict verdict;
    std::optional<EventTime> last;
    std::size_t unjudged = 0;  // Rows without a value
    std::size_t early = 0;     // and rows that are older than the one before.
    std::string out = "timestamp,value,expected,lower,upper,score,probability,anomaly\n";
    while (true) {
        VIGIE_TRY_ASSIGN(const auto row, file.next());
        if (!row) break;
        if (last && row->at < *last) ++early;
        last = last ? std::max(*last, row->at) : row->at;
        if (row->value && std::abs(*row->value) <= kValueMax) {
            verdict = series.observe(*last, *row->value);
        } else {
            ++unjudged;
            verdict = {false, verdict.expected, verdict.lower, verdict.upper, 0, 0, false};
        }
        fmt::format_to(std::back_inserter(out),
                       "{},{},{:.10g},{:.10g},{:.10g},{:.10g},{:.12g},{}\n", row->time_text,
                       row->value_text, verdict.expected, verdict.lower, verdict.upper,
                       verdict.score, verdict.probability, verdict.anomaly ? 1 : 0);
        if (out.size() < kFlushBytes) continue;
        std::cout << out;
        out.clear();
    }
    std::cout << out;
    std::cout.flush();
    if (!std::cout) return fail(ErrorKind::kUnavailable, "standard output cannot be written");
    if (unjudged > 0) {
        fmt::print(stderr, "{}: {} rows without a value were not judged\n", path, unjudged);
    }
    if (early > 0) {
        fmt::print(stderr, "{}: {} rows are older than the row before; judged as of its time\n",
                   path, early);
    }
    return {};
}

}  // namespace

int run_detector_replay(const std::string& file) {
    const auto done = replay_series(file);
    if (done) return 0;
    fmt::print(stderr, "vigie: detector replay: {}\n", done.error().message);
    return 1;
}

}  // namespace vigie::app
