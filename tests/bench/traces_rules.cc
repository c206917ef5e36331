// What the detectors of traces and of rules cost: CPU for a span and for an evaluated series, bytes
// of state; how well injected faults of a shop are found, and how often a calm week is disturbed.
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/rng.h"
#include "detectors/rules/rules.h"
#include "detectors/traces/sketch.h"
#include "detectors/traces/traces.h"
#include "measure.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::bench;
using schemas::Span;
using schemas::SpanKind;

EventTime at(double seconds) {
    return event_time_from_micros(1'700'000'000'000'000 + static_cast<std::int64_t>(seconds * 1e6));
}

double normal(Rng& rng) {
    return std::sqrt(-2 * std::log(1 - rng.uniform())) *
           std::cos(6.283185307179586 * rng.uniform());
}

// What is wrong in the shop, from 40 % of the time on.
enum class Fault {
    kNone,
    kSlowService,
    kSlowOperation,
    kFailingOperation,
    kSlowWay,
    kEdgeGone,
    kSlowLeaf
};

// A tree of six services; each request makes a dozen spans, of a lognormal duration.
class Shop {
public:
    explicit Shop(std::uint64_t seed) : rng_(seed) {}

    std::vector<Span> second(double now, double requests, Fault fault) {
        std::vector<Span> out;
        const double whole =
            std::floor(requests) + (rng_.uniform() < requests - std::floor(requests));
        for (int i = 0; i < static_cast<int>(whole); ++i) {
            trace_ = fmt::format("{:032x}", ++traces_);
            operation_ = static_cast<int>(rng_.below(8));
            serve("web", now + rng_.uniform(), "", 0, fault, out);
        }
        return out;
    }

private:
    static const std::map<std::string, std::vector<std::string>>& callees() {
        static const std::map<std::string, std::vector<std::string>> all{
            {"web", {"cart", "search"}},
            {"cart", {"stock", "pay"}},
            {"search", {"stock"}},
            {"pay", {"bank"}}};
        return all;
    }

    // The time at which it ended.
    double serve(const std::string& service, double start, const std::string& parent, int depth,
                 Fault fault, std::vector<Span>& out) {
        const std::string id = fmt::format("{:016x}", ++spans_);
        double own = 0.01 * std::exp(0.5 * normal(rng_));
        if (fault == Fault::kSlowService && service == "cart") own += 0.15;
        if (fault == Fault::kSlowLeaf && service == "bank") own += 0.15;
        const bool chosen = service == "cart" && operation_ == 3;
        if (fault == Fault::kSlowOperation && chosen) own += 0.2;
        double now = start + own;
        const auto found = callees().find(service);
        if (found != callees().end()) {
            for (const auto& callee : found->second) {
                if (fault == Fault::kEdgeGone && callee == "bank") continue;
                now = call(service, callee, now, id, depth, fault, out);
            }
        }
        add(service, SpanKind::kServer, start, now, id, parent, out);
        out.back().name = fmt::format("op{}", operation_);
        out.back().error =
            rng_.uniform() < (fault == Fault::kFailingOperation && chosen ? 0.6 : 0.002);
        return now;
    }

    double call(const std::string& from, const std::string& to, double start,
                const std::string& parent, int depth, Fault fault, std::vector<Span>& out) {
        const std::string id = fmt::format("{:016x}", ++spans_);
        double way = 0.001 * std::exp(0.3 * normal(rng_));
        if (fault == Fault::kSlowWay && to == "stock") way += 0.15;
        const double served = serve(to, start + way, id, depth + 1, fault, out);
        const double end = served + 0.001;
        add(from, SpanKind::kClient, start, end, id, parent, out);
        return end;
    }

    // Each service's machine has a clock of its own.
    void add(const std::string& service, SpanKind kind, double from, double to, std::string id,
             std::string parent, std::vector<Span>& out) {
        const double clock = 0.01 * static_cast<double>(service.front() % 7) - 0.03;
        Span span;
        span.trace_id = trace_;
        span.span_id = std::move(id);
        span.parent_id = std::move(parent);
        span.kind = kind;
        span.start = at(from + clock);
        span.end = at(to + clock);
        span.resource = {{"host.name", service + "-1"}, {"service.name", service}};
        out.push_back(std::move(span));
    }

    Rng rng_;
    std::string trace_;
    int operation_ = 0;
    std::uint64_t traces_ = 0;
    std::uint64_t spans_ = 0;
};

void trace_cost() {
    Shop shop(1);
    std::vector<std::vector<Span>> seconds;
    std::size_t spans = 0;
    for (int s = 0; s < 120; ++s) {
        seconds.push_back(shop.second(s, 150, Fault::kNone));
        spans += seconds.back().size();
    }
    const auto detector = *make_trace_detector({});
    Findings found;
    const Cost cost = cost_of([&] {
        for (std::size_t s = 0; s < seconds.size(); ++s) {
            detector->observe(seconds[s], found);
            detector->advance(at(static_cast<double>(s) + 1), found);
        }
    });
    say("trace_spans", static_cast<double>(spans) / cost.cpu, "spans/s/core", "");
    say("trace_state", static_cast<double>(detector->save().size()) / 1e6, "MB saved", "");
    LatencySketch sketch;
    Rng rng(2);
    std::vector<double> values;
    for (int i = 0; i < 1'000'000; ++i) values.push_back(0.05 * std::exp(normal(rng)));
    const Cost adding = cost_of([&] {
        for (const double value : values) sketch.add(value);
    });
    say("sketch_add", adding.cpu * 1e9 / 1e6, "ns", "");
}

// Faults of 25 minutes after 75 minutes of calm; found when something of the right place fires.
void trace_faults() {
    const std::vector<std::pair<Fault, std::string>> faults{
        {Fault::kSlowService, "trace.self_time|service:cart"},
        {Fault::kSlowOperation, "trace.latency|service:cart|op3"},
        {Fault::kFailingOperation, "trace.errors|service:cart|op3"},
        {Fault::kSlowWay, "trace.edge_delay|service:cart->service:stock"},
        {Fault::kEdgeGone, "trace.edge_gone|service:pay->service:bank"},
        {Fault::kSlowLeaf, "trace.latency|service:bank"}};
    int found = 0;
    std::vector<double> delays;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        for (const auto& [fault, key] : faults) {
            Shop shop(seed * 31);
            const auto detector = *make_trace_detector({});
            bool told = false;
            for (int s = 0; s < 6000; ++s) {
                Findings out;
                detector->observe(shop.second(s, 6, s < 4500 ? Fault::kNone : fault), out);
                detector->advance(at(s + 1), out);
                for (const auto& anomaly : out.anomalies) {
                    if (told || s < 4500 || anomaly.key != key || !anomaly.firing) continue;
                    told = true;
                    delays.push_back(s - 4500);
                }
            }
            found += told ? 1 : 0;
        }
    }
    say("trace_faults_found", found, "of 30", "");
    if (!delays.empty()) say("trace_fault_delay", median(delays), "s", "");
}

void trace_calm() {
    Shop shop(99);
    const auto detector = *make_trace_detector({});
    double warnings = 0;
    double infos = 0;
    constexpr int kDays = 2;
    for (int s = 0; s < kDays * 86'400; ++s) {
        const double day = 2 + 1.5 * std::sin(s / 86'400.0 * 6.283);
        Findings out;
        detector->observe(shop.second(s, day, Fault::kNone), out);
        if (s % 5 == 4) detector->advance(at(s + 1), out);
        for (const auto& anomaly : out.anomalies) {
            if (!anomaly.firing) continue;
            (anomaly.severity == schemas::Severity::kInfo ? infos : warnings) += 1;
        }
    }
    say("trace_calm_warnings", warnings / (6.0 * kDays), "1/service/day", "<= 0.5");
    say("trace_calm_infos", infos / (6.0 * kDays), "1/service/day", "");
}

void rule_cost() {
    constexpr std::size_t kSeries = 5000;
    Rule rule;
    rule.name = "Ratio";
    rule.expression =
        "sum by (job) (rate(requests_total{code=\"500\"}[5m])) / "
        "sum by (job) (rate(requests_total[5m])) > 0.5";
    RuleOptions options;
    options.rules = {rule};
    options.evaluate_every = std::chrono::seconds(15);
    const auto detector = *make_rule_detector(options);
    Findings out;
    double feeding = 0;
    double evaluating = 0;
    for (int s = 0; s < 900; s += 15) {
        std::vector<schemas::TimeSeries> batch;
        for (std::size_t i = 0; i < kSeries; ++i) {
            batch.push_back({"requests_total",
                             {{"code", i % 5 == 0 ? "500" : "200"},
                              {"instance", fmt::format("i{}", i)},
                              {"job", fmt::format("j{}", i % 50)}},
                             schemas::MetricKind::kCounter,
                             {{at(s), 3.0 * s}}});
        }
        feeding += cost_of([&] { detector->observe(batch, out); }).cpu;
        evaluating += cost_of([&] { detector->advance(at(s), out); }).cpu;
    }
    say("rule_point", feeding / (60.0 * kSeries) * 1e9, "ns", "");
    // Of the ratio's two sides, one has a fifth of the series.
    say("rule_evaluated_series", evaluating / (60.0 * 1.2 * kSeries) * 1e9, "ns", "");
}

}  // namespace

int main() {
    trace_cost();
    rule_cost();
    trace_faults();
    trace_calm();
    return 0;
}
