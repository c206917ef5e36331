#include <array>
#include <cmath>
#include <map>

#include <catch2/catch.hpp>

#include "detectors/metrics.h"
#include "detectors/rules/rules.h"
#include "detectors/traces/traces.h"
#include "support.h"

// A site as the demo has it: three services and a machine with about a thousand series, scraped
// each second; 25 s of baseline, then a release that is slow and throws errors, then recovery,
// and the same once more.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

constexpr std::array<double, 2> kReleaseAt{25, 130};
constexpr std::array<double, 2> kRepairAt{75, 170};
constexpr double kEndAt = 200;
constexpr std::array<double, 10> kBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};

struct Service {
    std::string name;
    double seconds = 0;
    double requests[2] = {0, 0};  // Good and bad.
    double sum = 0;
    std::array<double, kBounds.size() + 1> buckets{};
};

class Site {
public:
    Site() {
        MetricsOptions metrics;
        metrics.warmup_points = 15;
        metrics.warmup_span = 15s;
        detectors_.push_back(*make_metrics_detector(metrics));
        RuleOptions rules;
        rules.evaluate_every = 1s;
        Rule& errors = rules.rules.emplace_back();
        errors.name = "OrdersFail";
        errors.selection = {"http_requests_total", {"code=~5??"}, Aggregation::kRate, 10s, 0};
        errors.divide_by = {"http_requests_total", {}, Aggregation::kRate, 10s, 0};
        errors.threshold = 0.1;
        errors.hold = 2s;
        detectors_.push_back(*make_rule_detector(rules));
        TraceOptions traces;
        traces.window = 2s;
        traces.lateness = 1s;
        traces.requests_min = 10;
        traces.warmup_windows = 5;
        traces.warmup_span = 10s;
        traces.odd_windows = 1;
        detectors_.push_back(*make_trace_detector(traces));
    }

    Findings run() {
        Findings out;
        for (double now = 0; now < kEndAt; now += 1) {
            std::vector<schemas::TimeSeries> metrics;
            std::vector<schemas::Span> spans;
            for (Service& service : services_) serve(service, now, metrics, spans);
            machine(now, metrics);
            // Everything arrives a second after it happened.
            for (auto& detector : detectors_) {
                detector->observe(metrics_before_, out);
                detector->observe(spans_before_, out);
                detector->advance(at(now), out);
            }
            metrics_before_ = std::move(metrics);
            spans_before_ = std::move(spans);
            for (std::size_t i = said_at.size(); i < out.anomalies.size(); ++i) {
                said_at.push_back(now);
            }
        }
        return out;
    }

    std::vector<double> said_at;  // When each anomaly came.

private:
    void serve(Service& service, double now, std::vector<schemas::TimeSeries>& metrics,
               std::vector<schemas::Span>& spans) {
        const bool bad = service.name == "checkout" && now >= kReleaseAt[0] && now < kRepairAt[1] &&
                         (now < kRepairAt[0] || now >= kReleaseAt[1]);
        for (std::uint64_t i = poisson(rng_, 20); i > 0; --i) {
            const double seconds =
                service.seconds * std::exp(0.1 * normal(rng_)) + (bad ? 0.75 : 0);
            const bool error = bad && rng_.chance(300);
            service.requests[error ? 1 : 0] += 1;
            service.sum += seconds;
            for (std::size_t b = 0; b <= kBounds.size(); ++b) {
                if (b == kBounds.size() || seconds <= kBounds.at(b)) service.buckets.at(b) += 1;
            }
            spans.push_back(span(service.name, schemas::SpanKind::kServer, at(now + rng_.uniform()),
                                 seconds, error, std::to_string(++span_id_)));
        }
        const auto send = [&](const std::string& name, schemas::Labels labels, double value) {
            labels.emplace_back("service", service.name);
            metrics.push_back(series(name, std::move(labels), at(now), value));
        };
        send("http_requests_total", {{"code", "200"}}, service.requests[0]);
        if (service.requests[1] > 0) {
            send("http_requests_total", {{"code", "500"}}, service.requests[1]);
        }
        send("http_request_duration_seconds_sum", {}, service.sum);
        send("http_request_duration_seconds_count", {}, service.requests[0] + service.requests[1]);
        for (std::size_t b = 0; b <= kBounds.size(); ++b) {
            const std::string bound = b < kBounds.size() ? std::to_string(kBounds.at(b)) : "+Inf";
            send("http_request_duration_seconds_bucket", {{"le", bound}}, service.buckets.at(b));
        }
    }

    // Gauges that scatter, walk or stay, and counters of events and of CPU time.
    void machine(double now, std::vector<schemas::TimeSeries>& metrics) {
        for (std::size_t i = 0; i < 1000; ++i) {
            double& value = machine_[i];
            std::string name = "node_thing_" + std::to_string(i);
            switch (i % 5) {
                case 0: value = 100 + 5 * normal(rng_); break;
                case 1: value += normal(rng_); break;
                case 2: value = static_cast<double>(i); break;
                case 3:
                    value += static_cast<double>(poisson(rng_, static_cast<double>(i % 50) / 5));
                    name += "_total";
                    break;
                default:
                    value += std::floor(20 * rng_.uniform()) / 100;
                    name = "node_cpu_seconds_total_" + std::to_string(i) + "_seconds_total";
            }
            metrics.push_back(series(name, {{"instance", "web-1:9100"}}, at(now), value));
        }
    }

    std::vector<std::unique_ptr<Detector>> detectors_;
    std::vector<Service> services_{{"frontend", 0.04}, {"checkout", 0.05}, {"payments", 0.012}};
    std::map<std::size_t, double> machine_;
    std::vector<schemas::TimeSeries> metrics_before_;
    std::vector<schemas::Span> spans_before_;
    Rng rng_{61};
    int span_id_ = 0;
};

}  // namespace

TEST_CASE("story: a bad release is flagged within seconds, and so is its end", "[detectors]") {
    Site site;
    const Findings out = site.run();
    std::map<std::string, std::vector<double>> times;  // Of checkout: beginnings and ends.
    std::size_t others = 0;
    for (std::size_t i = 0; i < out.anomalies.size(); ++i) {
        const auto& anomaly = out.anomalies[i];
        if (anomaly.entity.value == "service:checkout") {
            times[anomaly.detector + " " + anomaly.signal].push_back(site.said_at[i]);
        } else {
            CHECK(anomaly.severity == schemas::Severity::kInfo);
            others += anomaly.firing ? 1U : 0U;
        }
    }
    for (const auto* what : {"trace.latency p95 latency", "trace.errors error ratio",
                             "seasonal http_request_duration_seconds_sum{service=\"checkout\"}",
                             "rule:OrdersFail rate of http_requests_total{code=~5??} over 10 s / "
                             "rate of http_requests_total over 10 s"}) {
        INFO(what);
        REQUIRE(times.contains(what));
        const auto& turns = times[what];
        REQUIRE(turns.size() == 4);
        for (std::size_t act = 0; act < 2; ++act) {
            CHECK(turns[2 * act] >= kReleaseAt.at(act));
            CHECK(turns[2 * act] <= kReleaseAt.at(act) + 5);
            CHECK(turns[2 * act + 1] >= kRepairAt.at(act));
            CHECK(turns[2 * act + 1] <= kRepairAt.at(act) + 10);
        }
    }
    // Evidence nobody asked for, of a thousand series known for half a minute.
    CHECK(others <= 5);
}
