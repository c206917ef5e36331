// Speed, size, delay and false alarms of the metric detectors: see
// tools/bench.py. What they find on public data is measured by detect.py.
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/rng.h"
#include "detectors/deep_series.h"
#include "detectors/light_series.h"
#include "detectors/metrics.h"
#include "tests/bench/measure.h"

namespace {

using namespace vigie;
using namespace vigie::bench;
using namespace vigie::detectors;

constexpr std::int64_t kBegin = 1'700'000'000'000'000;
constexpr double kDay = 86'400;
constexpr double kPi = 3.14159265358979;

EventTime at(double seconds) {
    return event_time_from_micros(kBegin + static_cast<std::int64_t>(seconds * 1e6));
}

double normal(Rng& rng) {
    return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(2 * kPi * rng.uniform());
}

double course(double seconds, double depth) {
    return 100 + depth * std::sin(2 * kPi * seconds / kDay);
}

void deep_speed() {
    Rng rng(1);
    std::vector<double> values;
    for (int i = 0; i < 100'000; ++i) values.push_back(course(60.0 * i, 40) + 3 * normal(rng));
    std::vector<double> rates;
    std::size_t bytes = 0;
    for (int round = 0; round < 5; ++round) {
        DeepSeries series;
        const Cost cost = cost_of([&] {
            for (std::size_t i = 0; i < values.size(); ++i) {
                series.observe(at(60.0 * static_cast<double>(i)), values[i]);
            }
        });
        rates.push_back(static_cast<double>(values.size()) / cost.cpu);
        bytes = series.bytes();
    }
    say("deep_rate", bench::median(rates), "samples/s", ">= 200000");
    say("deep_bytes", static_cast<double>(bytes), "B", "<= 49152");
}

// One step of a chase through memory: what an independent read costs that
// nothing can foresee.
double dram_read_ns(std::size_t places, Rng& rng) {
    struct alignas(64) Place {
        std::uint32_t next;
    };
    std::vector<Place> chase(places);
    std::vector<std::uint32_t> order(places);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t i = places - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
    for (std::size_t i = 0; i < places; ++i) chase[order[i]].next = order[(i + 1) % places];
    std::uint32_t here = order[0];
    constexpr int kReads = 2'000'000;
    const Cost cost = cost_of([&] {
        for (int i = 0; i < kReads; ++i) here = chase[here].next;
    });
    VIGIE_ASSERT(here < places);
    return cost.cpu / kReads * 1e9;
}

void light_speed() {
    constexpr std::size_t kSeries = 1'000'000;
    Rng rng(2);
    ModelOptions options;
    std::vector<LightSeries> series(kSeries);
    std::vector<std::uint32_t> order(kSeries);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t i = kSeries - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
    std::vector<double> noise(4096);
    for (double& each : noise) each = normal(rng);
    double now = 0;
    std::size_t number = 0;
    const auto pass = [&] {
        now += 60;
        const EventTime time = at(now);
        const double level = course(now, 40);
        for (const std::uint32_t each : order) {
            series[each].observe(time, level + noise[number++ % noise.size()], 0, options);
        }
    };
    for (int i = 0; i < 65; ++i) pass();  // Past the warm-up.
    std::vector<double> costs;
    std::vector<double> ratios;
    for (int round = 0; round < 5; ++round) {
        const double read = dram_read_ns(8'000'000, rng);
        const double ns = cost_of(pass).cpu / kSeries * 1e9;
        costs.push_back(ns);
        ratios.push_back(ns / read);
    }
    say("light_sample", bench::median(costs), "ns", "<= 300");
    say("light_against_dram_read", bench::median(ratios), "times", "<= 10");
    say("light_bytes", sizeof(LightSeries), "B", "<= 600");
}

// Rows from a step of five sigma until it is told; `never` for a step that is
// not.
template <class Observe>
void step_delay(const std::string& name, Observe observe_new) {
    constexpr double kNever = 100;
    std::vector<double> delays;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Rng rng(seed);
        auto observe = observe_new();
        const int step_row = 5760 * 2 + static_cast<int>(rng.below(5760));
        double delay = kNever;
        for (int row = 0; row < step_row + 20 && delay == kNever; ++row) {
            const double step = row >= step_row ? 5 * 3 : 0;
            const bool told =
                observe(at(15.0 * row), course(15.0 * row, 10) + 3 * normal(rng) + step);
            if (told && row >= step_row) delay = row - step_row + 1;
        }
        delays.push_back(delay);
    }
    say(name + "_p50", at_percent(delays, 50), "samples", "");
    say(name + "_p95", at_percent(delays, 95), "samples", "<= 2");
}

// A hundred services with ten seasonal series each, for a week, one row a
// minute: with restarts (a gap and a counter's reset), gaps, and one deployment
// that shifts a level a little.
void healthy_week() {
    constexpr int kServices = 100;
    constexpr int kEach = 10;
    auto detector = *make_metrics_detector({});
    Rng rng(3);
    std::vector<double> totals(kServices * kEach);
    Findings found;
    std::size_t alarms = 0;
    for (int row = 0; row < 7 * 1440; ++row) {
        const double now = 60.0 * row;
        std::vector<schemas::TimeSeries> batch;
        for (int service = 0; service < kServices; ++service) {
            const int phase = (row + 97 * service) % 4000;
            if (phase < 6) continue;  // Restarts: six minutes of nothing.
            const double release = row > 5000 ? 1.03 : 1;
            for (int each = 0; each < kEach; ++each) {
                if ((row * 7 + service * 31 + each) % 997 == 0) continue;  // A scrape is lost.
                const double depth = 4.0 * each;
                double value = release * course(now + 600.0 * service, depth) + 3 * normal(rng);
                std::string name = "gauge_" + std::to_string(each);
                if (each % 2 == 1) {
                    double& total = totals[static_cast<std::size_t>(service * kEach + each)];
                    total = phase == 6 ? 0 : total + std::max(value, 0.0);
                    value = total;
                    name = "events_" + std::to_string(each) + "_total";
                }
                batch.push_back({name,
                                 {{"service", "s" + std::to_string(service)}},
                                 schemas::MetricKind::kUnknown,
                                 {{at(now), value}}});
            }
        }
        detector->observe(batch, found);
        detector->advance(at(now), found);
        for (const auto& anomaly : found.anomalies) alarms += anomaly.firing ? 1 : 0;
        found.anomalies.clear();
    }
    say("healthy_alarms", static_cast<double>(alarms) / (kServices * 7.0), "1/service/day",
        "<= 0.5");
}

}  // namespace

int main() {
    deep_speed();
    light_speed();
    step_delay("deep_step_delay", [] {
        return [series = DeepSeries()](EventTime time, double value) mutable {
            return series.observe(time, value).anomaly;
        };
    });
    step_delay("light_step_delay", [] {
        return [series = LightSeries()](EventTime time, double value) mutable {
            const auto turn = series.observe(time, value, 0, {}).turn;
            return turn == Episode::Turn::kBegan;
        };
    });
    healthy_week();
    return 0;
}
