#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/absence.h"
#include "detectors/codec.h"
#include "detectors/logs/logs.h"
#include "detectors/metrics.h"
#include "detectors/rules/rules.h"
#include "detectors/traces/traces.h"
#include "schemas/series_table.h"
#include "support.h"

// What holds for every family: saved state continues exactly, damaged state is refused, and
// whatever comes out can be encoded and decoded.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::SpanKind;

struct Family {
    std::string name;
    std::function<std::unique_ptr<Detector>()> make;
    std::function<std::vector<Step>(std::uint64_t seed)> input;
};

// Minutes in which something goes wrong now and then, and input that is late, doubled, empty,
// not a number or far away.
double level(Rng& rng, int minute) {
    return minute % 7 == 5 ? 500 : 50 + 5 * normal(rng);
}

EventTime odd_time(Rng& rng, double now) {
    switch (rng.below(40)) {
        case 0: return at(now - 100);
        case 1: return at(now + 1e6);
        case 2: return EventTime::max();
        case 3: return EventTime::min();
        default: return at(now + rng.uniform());
    }
}

std::vector<Step> metric_steps(std::uint64_t seed) {
    Rng rng(seed);
    std::vector<Step> steps;
    double counters[6] = {};
    for (int s = 0; s < 900; ++s) {
        std::vector<schemas::TimeSeries> batch;
        for (std::size_t i = 0; i < 6; ++i) {
            if (rng.chance(30) || (i == 5 && s > 300 && s < 600)) continue;
            const double value = level(rng, s / 60 + static_cast<int>(i));
            const auto time = odd_time(rng, s);
            const schemas::Labels labels{{"code", i % 2 == 0 ? "200" : "500"},
                                         {"service", "s" + std::to_string(i / 2)}};
            counters[i] = rng.chance(5) ? 0 : counters[i] + std::floor(value);
            batch.push_back(series("http_requests_total", labels, time, counters[i]));
            batch.push_back(series("latency_seconds", labels, time, value / 1000));
            schemas::Labels bucket{{"le", "0.1"}, {"service", "s" + std::to_string(i / 2)}};
            batch.push_back(series("latency_seconds_bucket", bucket, time, counters[i] / 2));
            bucket.front().second = "+Inf";
            batch.push_back(series("latency_seconds_bucket", bucket, time, counters[i]));
            if (rng.chance(10)) batch.back().points.front().value = std::nan("");
            if (rng.chance(10)) batch.push_back(batch.front());
            if (rng.chance(5)) batch.push_back(stale("latency_seconds", labels, time));
        }
        steps.emplace_back(std::move(batch));
        if (rng.chance(900)) steps.emplace_back(at(s));
    }
    steps.emplace_back(at(2000));
    for (int s = 2001; s < 2400; s += 3) steps.emplace_back(at(s));
    return steps;
}

std::vector<Step> span_steps(std::uint64_t seed) {
    Rng rng(seed);
    std::vector<Step> steps;
    int id = 0;
    for (int s = 0; s < 400; ++s) {
        std::vector<schemas::Span> batch;
        const bool bad = s % 100 > 70;
        for (std::uint64_t i = poisson(rng, 20); i > 0; --i) {
            const std::string service = "s" + std::to_string(rng.below(4));
            const auto kind = rng.chance(500) ? SpanKind::kServer : SpanKind::kClient;
            // One after the other: every compiler must draw them in this order.
            const bool is_error = rng.chance(bad ? 400 : 5);
            const EventTime began = odd_time(rng, s);
            schemas::Span each = span(service, kind, began, 0, is_error, std::to_string(++id));
            if (plausible(each.end)) {
                each.start = each.end - std::chrono::milliseconds(bad ? 900 : 20 + rng.below(10));
            }
            each.trace_id = "t" + std::to_string(id / 7);
            if (kind == SpanKind::kServer) each.name = "op" + std::to_string(id % 7);
            if (rng.chance(500))
                each.parent_id = std::to_string(id - 2 + static_cast<int>(rng.below(5)));
            if (kind == SpanKind::kClient) {
                each.attributes = {{"peer.service", "s" + std::to_string(rng.below(12))}};
            }
            batch.push_back(each);
            if (rng.chance(20)) batch.push_back(each);
        }
        steps.emplace_back(std::move(batch));
        if (rng.chance(900)) steps.emplace_back(at(s));
    }
    for (int s = 400; s < 900; s += 7) steps.emplace_back(at(s));
    return steps;
}

std::vector<Step> log_steps(std::uint64_t seed) {
    Rng rng(seed);
    std::vector<Step> steps;
    for (int s = 0; s < 400; ++s) {
        std::vector<schemas::LogRecord> batch;
        const bool bad = s % 100 > 70;
        for (std::uint64_t i = poisson(rng, bad ? 40 : 10); i > 0; --i) {
            const std::string service = "s" + std::to_string(rng.below(6));
            const auto word = static_cast<char>('a' + rng.below(bad ? 20 : 3));
            batch.push_back(
                line(service, odd_time(rng, s), bad ? 17 : 9,
                     fmt::format("{0}{0} did {1} of {2}", word, rng.below(9), rng.next())));
        }
        steps.emplace_back(std::move(batch));
        if (rng.chance(900)) steps.emplace_back(at(s));
    }
    for (int s = 400; s < 900; s += 7) steps.emplace_back(at(s));
    return steps;
}

std::unique_ptr<Detector> make_metrics() {
    MetricsOptions options;
    options.warmup_points = 20;
    options.warmup_span = 15s;
    options.series_max = 10;  // Of 12.
    options.deep.series_max = 2;
    options.adapt_after = 40s;
    options.end_after = 60s;
    options.idle_after = 100s;
    return *make_metrics_detector(options);
}

std::unique_ptr<Detector> make_rules() {
    RuleOptions options;
    options.evaluate_every = 1s;
    options.end_after = 60s;
    options.idle_after = 100s;
    options.forget_after = 200s;
    const auto add = [&options](std::string name, std::string metric, Aggregation aggregation,
                                double threshold) -> Rule& {
        Rule& rule = options.rules.emplace_back();
        rule.name = std::move(name);
        rule.selection = {std::move(metric), {}, aggregation, 20s, 0.9};
        rule.threshold = threshold;
        rule.hold = 3s;
        rule.keep_firing = 5s;
        return rule;
    };
    add("slow", "latency_seconds", Aggregation::kAvg, 0.1);
    add("p90", "latency_seconds", Aggregation::kQuantile, 0.05);
    add("gone", "latency_seconds", Aggregation::kAge, 30);
    Rule& rule = add("errors", "http_requests_total", Aggregation::kRate, 0.6);
    rule.divide_by = rule.selection;
    rule.selection.matchers = {"code=~5*"};
    return *make_rule_detector(options);
}

std::unique_ptr<Detector> make_expressions() {
    RuleOptions options;
    options.evaluate_every = 1s;
    options.end_after = 60s;
    options.idle_after = 100s;
    options.forget_after = 200s;
    options.points_per_series_max = 12;
    const auto add = [&options](std::string name, std::string expression) -> Rule& {
        Rule& rule = options.rules.emplace_back();
        rule.name = std::move(name);
        rule.expression = std::move(expression);
        rule.hold = 2s;
        rule.keep_firing = 3s;
        return rule;
    };
    add("slow", "avg_over_time(latency_seconds[10s]) > 0.1").parent = "gone";
    add("errors",
        "sum by (service) (rate(http_requests_total{code=\"500\"}[20s])) / "
        "sum by (service) (rate(http_requests_total[40s])) > 0.6");
    add("gone", "absent_over_time(latency_seconds{service=\"s2\"}[1m])");
    add("both",
        "max by (service) (latency_seconds) > 0.2 and on (service) "
        "increase(http_requests_total{code=\"200\"}[30s]) > 100 "
        "unless latency_seconds{code=\"500\"} > 0.4");
    Rule& any = options.rules.emplace_back();
    any.name = "any";
    any.any_of = {"slow", "both"};
    any.none_of = {"errors"};
    return *make_rule_detector(options);
}

std::unique_ptr<Detector> make_traces() {
    TraceOptions options;
    options.window = 2s;
    options.lateness = 1s;
    options.requests_min = 5;
    options.warmup_windows = 5;
    options.warmup_span = 10s;
    options.odd_windows = 1;
    options.end_after = 60s;
    options.idle_after = 60s;
    options.edges_max = 30;  // Of 48.
    options.spans_max = 50;
    options.operations_max = 4;  // Of 7.
    options.join_spans_max = 300;
    options.parent_wait = 20s;
    options.edge_gone_after = 10s;
    return *make_trace_detector(options);
}

std::unique_ptr<Detector> make_logs() {
    LogOptions options;
    options.window = 2s;
    options.lateness = 1s;
    options.warmup_lines = 20;
    options.warmup_span = 10s;
    options.burst_lines_min = 3;
    options.services_max = 5;  // Of 6.
    options.templates_per_service_max = 10;
    options.idle_after = 10s;
    return *make_log_detector(options);
}

std::unique_ptr<Detector> make_absence() {
    AbsenceOptions options;
    options.gap_max = 30s;
    options.seen_min = 30s;
    options.forget_after = 200s;
    return *make_absence_detector(options);
}

const std::vector<Family>& families() {
    static const std::vector<Family> all{{"metrics", make_metrics, metric_steps},
                                         {"rules", make_rules, metric_steps},
                                         {"expressions", make_expressions, metric_steps},
                                         {"absence", make_absence, metric_steps},
                                         {"traces", make_traces, span_steps},
                                         {"logs", make_logs, log_steps}};
    return all;
}

}  // namespace

TEST_CASE("state: a restart at any moment changes no later output", "[detectors]") {
    for (const Family& family : families()) {
        std::size_t found = 0;
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            const auto steps = family.input(seed);
            const auto whole = family.make();
            const Findings expected = play(*whole, steps);
            found += expected.anomalies.size();
            Rng rng(seed);
            for (int split = 0; split < 6; ++split) {
                INFO(family.name << " seed " << seed << " split " << split);
                auto detector = family.make();
                Findings out;
                // Two restarts, at random places.
                std::size_t stop = rng.below(steps.size());
                for (std::size_t i = 0; i < steps.size(); ++i) {
                    if (i == stop) {
                        const std::string saved = detector->save();
                        detector = family.make();
                        REQUIRE(detector->load(saved));
                        REQUIRE(detector->save() == saved);
                        stop = i + 1 + rng.below(steps.size() - i);
                    }
                    play(*detector, steps[i], out);
                }
                REQUIRE(out.anomalies == expected.anomalies);
                REQUIRE(out.topology == expected.topology);
                REQUIRE(detector->save() == whole->save());
            }
        }
        INFO(family.name);
        CHECK(found > 10);
    }
}

TEST_CASE("state: what the format before wrote is read and continued", "[detectors]") {
    // Written by the version before, after 250 steps of the same input.
    for (const Family& family : families()) {
        if (family.name != "traces" && family.name != "rules") continue;
        INFO(family.name);
        std::ifstream file(
            fmt::format("{}/tests/detectors/data/{}-2.state", VIGIE_SOURCE_DIR, family.name),
            std::ios::binary);
        const std::string saved{std::istreambuf_iterator<char>(file), {}};
        REQUIRE(saved.size() > 1000);
        REQUIRE(saved.front() == '2');
        const auto steps = family.input(3);
        const auto old = family.make();
        REQUIRE(old->load(saved));
        const auto now = family.make();
        play(*now, {steps.begin(), steps.begin() + 250});
        const std::vector<Step> rest(steps.begin() + 250, steps.end());
        const auto of_old = play(*old, rest).anomalies;
        const auto of_now = play(*now, rest).anomalies;
        CHECK(of_old.size() > 5);
        // Rules continue exactly; traces without what the format before did not have.
        if (family.name == "rules") CHECK(of_old == of_now);
        const auto keys_of = [](const std::vector<schemas::Anomaly>& anomalies) {
            std::set<std::string> keys;
            for (const auto& anomaly : anomalies) {
                const bool before = anomaly.detector == "trace.latency" ||
                                    anomaly.detector == "trace.errors" ||
                                    anomaly.detector == "trace.traffic";
                if (before && std::ranges::count(anomaly.key, '|') == 1) keys.insert(anomaly.key);
            }
            return keys;
        };
        CHECK(keys_of(of_old) == keys_of(of_now));
        CHECK(family.make()->load(old->save()));
    }
}

TEST_CASE("state: series by number are judged as series by text, also after numbers are forgotten",
          "[detectors]") {
    for (std::size_t number = 0; number < 3; ++number) {  // Those of metrics.
        const Family& family = families()[number];
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            INFO(family.name << " seed " << seed);
            const auto by_text = family.make();
            auto by_number = family.make();
            schemas::SeriesTable table({});
            Findings expected;
            Findings found;
            Rng rng(seed);
            for (const Step& step : family.input(seed)) {
                play(*by_text, step, expected);
                const auto* batch = std::get_if<std::vector<schemas::TimeSeries>>(&step);
                if (batch == nullptr) {
                    play(*by_number, step, found);
                    continue;
                }
                std::vector<schemas::Sample> samples;
                for (const auto& each : *batch) {
                    const auto hash = fnv1a64(schemas::to_string(each.metric, each.labels));
                    const auto handle = table.add(hash, each.kind, each.metric, each.labels);
                    for (const auto& point : each.points) {
                        samples.push_back({point.at, point.value, handle, each.kind, point.stale});
                    }
                }
                by_number->observe(SampleBatch{samples, table}, found);
                if (rng.chance(20)) {
                    const auto saved = by_number->save();
                    by_number = family.make();
                    REQUIRE(by_number->load(saved));
                }
                if (!rng.chance(20) || samples.empty()) continue;
                const schemas::SeriesHandle gone = samples[rng.below(samples.size())].series;
                by_number->forget(std::span(&gone, 1));
                table.forget(std::span(&gone, 1));
            }
            CHECK(!expected.anomalies.empty());
            CHECK(found.anomalies == expected.anomalies);
            CHECK(by_number->save() == by_text->save());
        }
    }
}

TEST_CASE("state: each anomaly ends once after it began once, or as calm after silence",
          "[detectors]") {
    const std::map<std::string, std::set<std::string>> after{
        {"", {"firing"}},
        {"firing", {"calm", "silent", "adapted"}},
        {"calm", {"firing"}},
        {"adapted", {"firing"}},
        {"silent", {"calm", "firing"}}};
    for (const Family& family : families()) {
        const auto detector = family.make();
        std::map<std::string, std::string> last;
        for (const auto& anomaly : play(*detector, family.input(9)).anomalies) {
            INFO(family.name << ' ' << anomaly.key);
            CHECK(after.at(last[anomaly.key]).contains(said(anomaly)));
            last[anomaly.key] = said(anomaly);
            CHECK(anomaly.first_seen <= anomaly.last_seen);
            CHECK(!anomaly.reason.empty());
            CHECK(!anomaly.entity.empty());
            CHECK((!anomaly.firing || anomaly.score >= 1));
            CHECK(anomaly.examples.size() <= 5);
        }
    }
}

TEST_CASE("state: every finding survives its codec", "[detectors]") {
    for (const Family& family : families()) {
        const auto detector = family.make();
        const Findings found = play(*detector, family.input(3));
        for (const auto& anomaly : found.anomalies) {
            INFO(family.name << ' ' << anomaly.reason);
            const schemas::Event event{
                {EventId{"1"}, "/detectors", anomaly.last_seen, DomainId{"default"}}, anomaly};
            const auto decoded = schemas::decode(schemas::encode(event));
            INFO((decoded ? "" : decoded.error().message));
            REQUIRE(decoded);
            CHECK(std::get<schemas::Anomaly>(decoded->data) == anomaly);
        }
    }
}

TEST_CASE("state: cut and damaged bytes are refused and change nothing", "[detectors]") {
    for (const Family& family : families()) {
        INFO(family.name);
        const auto detector = family.make();
        play(*detector, family.input(2));
        const std::string saved = detector->save();
        Rng rng(6);
        for (int i = 0; i < 300; ++i) {
            std::string bad = saved;
            const std::size_t place = rng.below(saved.size());
            if (i % 2 == 0) {
                bad.resize(place);
            } else {
                bad[place] =
                    static_cast<char>(static_cast<unsigned>(bad[place]) ^ (1U << rng.below(8)));
            }
            const auto status = detector->load(bad);
            REQUIRE(!status);
            CHECK(status.error().kind ==
                  (i % 2 == 1 && place == 0 ? ErrorKind::kInvalid : ErrorKind::kCorrupt));
        }
        CHECK(detector->save() == saved);
    }
}

TEST_CASE("state: damage under a good checksum does not crash later", "[detectors]") {
    for (const Family& family : families()) {
        INFO(family.name);
        const auto donor = family.make();
        const auto steps = family.input(2);
        play(*donor, {steps.begin(), steps.begin() + 200});
        const std::string saved = donor->save();
        Rng rng(8);
        std::size_t accepted = 0;
        for (int i = 0; i < 400; ++i) {
            std::string content = saved.substr(1, saved.size() - 9);
            for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
                content[rng.below(content.size())] = static_cast<char>(rng.below(256));
            }
            std::string sealed = saved.substr(0, 1) + content;
            const std::uint64_t sum = fnv1a64(sealed);
            for (unsigned shift = 0; shift < 64; shift += 8) {
                sealed.push_back(static_cast<char>((sum >> shift) & 0xffU));
            }
            const auto detector = family.make();
            if (!detector->load(sealed)) continue;
            ++accepted;
            Findings out;
            for (std::size_t step = 200; step < 260; ++step) play(*detector, steps[step], out);
        }
        CHECK(accepted > 0);
    }
}

TEST_CASE("state: extreme times and empty batches are harmless", "[detectors]") {
    for (const Family& family : families()) {
        const auto detector = family.make();
        Findings out;
        detector->observe(std::span<const schemas::TimeSeries>{}, out);
        detector->observe(std::span<const schemas::LogRecord>{}, out);
        detector->observe(std::span<const schemas::Span>{}, out);
        for (const EventTime time : {EventTime::min(), EventTime::max(), EventTime{}, at(0)}) {
            detector->advance(time, out);
            detector->advance(time, out);
        }
        CHECK(out.anomalies.empty());
        const auto again = family.make();
        CHECK(again->load(detector->save()));
    }
}
