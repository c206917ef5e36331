#include "core/metrics.h"

#include <thread>

#include <catch2/catch.hpp>

namespace vigie {

namespace {
constexpr MetricName kThings{"vigie_test_things_total", "Things seen."};
constexpr MetricName kDepth{"vigie_test_depth", "Depth of the queue."};
constexpr MetricName kSeconds{"vigie_test_seconds", "Time taken."};
}  // namespace

TEST_CASE("metrics: exposed in Prometheus' text format, sorted, labels escaped", "[core]") {
    MetricsRegistry registry;
    registry.counter(kThings, {{"b", "2"}, {"a", "say \"x\"\n\\"}}).add(3);
    registry.counter(kThings).add();
    registry.gauge(kDepth).set(1.5);
    CHECK(registry.expose() ==
          "# HELP vigie_test_depth Depth of the queue.\n"
          "# TYPE vigie_test_depth gauge\n"
          "vigie_test_depth 1.5\n"
          "# HELP vigie_test_things_total Things seen.\n"
          "# TYPE vigie_test_things_total counter\n"
          "vigie_test_things_total 1\n"
          "vigie_test_things_total{a=\"say \\\"x\\\"\\n\\\\\",b=\"2\"} 3\n");
}

TEST_CASE("metrics: a histogram counts up to each bound, the bound included", "[core]") {
    MetricsRegistry registry;
    Histogram& histogram = registry.histogram(kSeconds, {{"stage", "x"}});
    for (const double seconds : {0.0001, 0.001, 0.0011, 11.0}) histogram.observe(seconds);
    const std::string text = registry.expose();
    for (const char* line : {"vigie_test_seconds_bucket{stage=\"x\",le=\"0.0001\"} 1\n",
                             "vigie_test_seconds_bucket{stage=\"x\",le=\"0.001\"} 2\n",
                             "vigie_test_seconds_bucket{stage=\"x\",le=\"0.005\"} 3\n",
                             "vigie_test_seconds_bucket{stage=\"x\",le=\"10\"} 3\n",
                             "vigie_test_seconds_bucket{stage=\"x\",le=\"+Inf\"} 4\n",
                             "vigie_test_seconds_count{stage=\"x\"} 4\n"}) {
        CHECK_THAT(text, Catch::Contains(line));
    }
}

TEST_CASE("metrics: the same name and labels are the same series, in any order", "[core]") {
    MetricsRegistry registry;
    Counter& one = registry.counter(kThings, {{"a", "1"}, {"b", "2"}});
    Counter& two = registry.counter(kThings, {{"b", "2"}, {"a", "1"}});
    CHECK(&one == &two);
    CHECK(&one != &registry.counter(kThings, {{"a", "1"}}));
}

TEST_CASE("metrics: labels cannot grow memory without end", "[core]") {
    MetricsRegistry registry;
    for (int i = 0; i < 10'100; ++i) registry.counter(kThings, {{"id", std::to_string(i)}}).add();
    CHECK_THAT(registry.expose(),
               Catch::Contains("vigie_test_things_total{overflow=\"true\"} 100\n"));
    registry.counter(kThings, {{"id", "7"}}).add();
    CHECK_THAT(registry.expose(), Catch::Contains("vigie_test_things_total{id=\"7\"} 2\n"));
}

TEST_CASE("metrics: threads may count and expose at once", "[core]") {
    MetricsRegistry registry;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&registry] {
                for (int i = 0; i < 1000; ++i) {
                    registry.counter(kThings, {{"i", std::to_string(i % 3)}}).add();
                    registry.histogram(kSeconds).observe(0.5);
                    if (i % 100 == 0) (void)registry.expose();
                }
            });
        }
    }
    std::uint64_t total = 0;
    for (const char* i : {"0", "1", "2"}) total += registry.counter(kThings, {{"i", i}}).value();
    CHECK(total == 4000);
    CHECK(registry.histogram(kSeconds).sum() == 2000);
}

}  // namespace vigie
