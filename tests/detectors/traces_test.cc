#include "detectors/traces/traces.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <catch2/catch.hpp>

#include "detectors/traces/sketch.h"
#include "detectors/traces/trace_edges.h"
#include "support.h"
#include "traces_support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;
using schemas::Span;
using schemas::SpanKind;

struct Load {
    double per_second = 40;
    double seconds = 0.05;
    double error_ratio = 0;
};

// Sends requests of one service second by second, with the time.
class Traffic {
public:
    explicit Traffic(const TraceOptions& options) : detector(*make_trace_detector(options)) {}

    void play(int seconds, const Load& load, SpanKind kind = SpanKind::kServer) {
        for (int s = 0; s < seconds; ++s) {
            std::vector<Span> spans;
            const auto count = poisson(rng, load.per_second);
            for (std::uint64_t i = 0; i < count; ++i) {
                const double lasted = load.seconds * std::exp(0.15 * normal(rng));
                Span each = span("checkout", kind, at(now + rng.uniform()), lasted,
                                 rng.uniform() < load.error_ratio, std::to_string(next_id++));
                if (kind == SpanKind::kClient) each.attributes = {{"peer.service", "payments"}};
                spans.push_back(std::move(each));
            }
            detector->observe(spans, out);
            now += 1;
            detector->advance(at(now), out);
        }
    }
    std::vector<Anomaly> of(const std::string& name) const {
        std::vector<Anomaly> found;
        for (const auto& anomaly : out.anomalies) {
            if (anomaly.detector == name) found.push_back(anomaly);
        }
        return found;
    }

    std::unique_ptr<Detector> detector;
    Findings out;
    Rng rng{11};
    double now = 0;
    int next_id = 0;
};

}  // namespace

TEST_CASE("traces: a bad release is seen in latency and errors, and its end too", "[detectors]") {
    Traffic traffic(quick());
    traffic.play(25, {});
    CHECK(traffic.out.anomalies.empty());
    const double began = traffic.now;
    traffic.play(40, {.seconds = 0.65, .error_ratio = 0.3});
    const auto errors = traffic.of("trace.errors");
    REQUIRE(errors.size() == 1);
    CHECK(errors.front().firing);
    CHECK(errors.front().key == "trace.errors|service:checkout");
    CHECK(errors.front().entity.value == "service:checkout");
    CHECK(errors.front().severity == schemas::Severity::kWarning);
    CHECK(errors.front().symptom == schemas::Symptom::kErrors);
    CHECK(errors.front().observed == Approx(0.3).margin(0.15));
    CHECK(errors.front().first_seen >= at(began - 2));
    CHECK(errors.front().last_seen <= at(began + 6));
    CHECK(errors.front().examples.size() == 5);
    const auto latency = traffic.of("trace.latency");
    REQUIRE(latency.size() == 1);
    CHECK(latency.front().observed == Approx(0.8).epsilon(0.2));
    CHECK(latency.front().unit == "s");
    CHECK(latency.front().expected == Approx(0.064).epsilon(0.1));
    CHECK(latency.front().reason.find("p95 latency ") == 0);
    CHECK(latency.front().reason.find(" ms, usually ") != std::string::npos);
    CHECK(traffic.of("trace.traffic").empty());

    traffic.play(12, {});
    REQUIRE(traffic.of("trace.errors").size() == 2);
    REQUIRE(traffic.of("trace.latency").size() == 2);
    CHECK(said(traffic.of("trace.errors")) == "firing calm");
    CHECK(said(traffic.of("trace.latency")) == "firing calm");
    CHECK(traffic.of("trace.latency").back().last_seen <= at(began + 42));
}

TEST_CASE("traces: a slow callee that does not report itself is judged by its callers",
          "[detectors]") {
    Traffic traffic(quick());
    traffic.play(25, {.seconds = 0.01}, SpanKind::kClient);
    traffic.play(10, {.seconds = 0.5}, SpanKind::kClient);
    const auto latency = traffic.of("trace.latency");
    REQUIRE(latency.size() == 1);
    CHECK(latency.front().entity.value == "service:payments");
    CHECK(latency.front().key == "trace.latency|service:checkout->service:payments");
    CHECK(latency.front().signal == "p95 latency of calls from service:checkout");
    CHECK(latency.front().severity == schemas::Severity::kWarning);  // Nobody else reports it.
}

TEST_CASE("traces: edges of a callee that reports itself are evidence only", "[detectors]") {
    Traffic traffic(quick());
    const auto own = [&traffic] {
        const std::vector<Span> spans{span("payments", SpanKind::kServer, at(traffic.now), 0.01,
                                           false, "own" + std::to_string(traffic.now))};
        traffic.detector->observe(spans, traffic.out);
    };
    own();
    traffic.play(25, {.seconds = 0.01}, SpanKind::kClient);
    traffic.play(10, {.seconds = 0.5}, SpanKind::kClient);
    REQUIRE(traffic.of("trace.latency").size() == 1);
    CHECK(traffic.of("trace.latency").front().severity == schemas::Severity::kInfo);
}

TEST_CASE("traces: small changes and few errors stay below the floors", "[detectors]") {
    Traffic traffic(quick());
    traffic.play(60, {.seconds = 0.005});
    traffic.play(30, {.seconds = 0.012, .error_ratio = 0.02});
    CHECK(traffic.of("trace.latency").empty());
    CHECK(traffic.of("trace.errors").empty());
}

TEST_CASE("traces: a service with few requests is judged over more windows", "[detectors]") {
    TraceOptions options = quick();
    options.requests_min = 20;
    options.merge_windows_max = 10;
    options.warmup_span = 60s;
    Traffic traffic(options);
    traffic.play(300, {.per_second = 2});
    traffic.play(60, {.per_second = 2, .error_ratio = 0.5});
    CHECK(firing(traffic.out).size() == 1);
    CHECK(traffic.of("trace.errors").size() == 1);
}

TEST_CASE("traces: an anomaly without requests is not resolved, but not judged for ever",
          "[detectors]") {
    Traffic traffic(quick());
    traffic.play(25, {});
    traffic.play(20, {.error_ratio = 0.5});
    REQUIRE(traffic.of("trace.errors").size() == 1);
    for (int i = 0; i < 290; ++i) traffic.play(1, {.per_second = 0});
    CHECK(traffic.of("trace.errors").size() == 1);
    for (int i = 0; i < 30; ++i) traffic.play(1, {.per_second = 0});
    REQUIRE(traffic.of("trace.errors").size() == 2);
    CHECK(!traffic.of("trace.errors").back().firing);
    CHECK(traffic.of("trace.errors").back().reason.find("no longer judged") != std::string::npos);
    CHECK(said(traffic.of("trace.errors")) == "firing silent");
    SECTION("when requests are back and calm it is over") {
        traffic.play(12, {});
        CHECK(said(traffic.of("trace.errors")) == "firing silent calm");
    }
    SECTION("when requests are back and fail it fires") {
        traffic.play(12, {.error_ratio = 0.5});
        CHECK(said(traffic.of("trace.errors")) == "firing silent firing");
    }
}

TEST_CASE("traces: a rate that nobody reports any more is not calm", "[detectors]") {
    TraceOptions options = quick();
    options.requests_min = 20;  // Of which the usual rate has too few to be odd when it is zero.
    Traffic traffic(options);
    const auto others = [&traffic](int seconds, double per_second) {
        for (int i = 0; i < seconds; ++i) {
            const std::vector<Span> spans{span("web", SpanKind::kServer, at(traffic.now), 0.01,
                                               false, "web" + std::to_string(traffic.now))};
            traffic.detector->observe(spans, traffic.out);
            traffic.play(1, {.per_second = per_second});
        }
    };
    others(60, 8);
    others(10, 60);
    REQUIRE(said(traffic.of("trace.traffic")) == "firing");
    SECTION("by this service") {
        others(60, 0);
        CHECK(said(traffic.of("trace.traffic")) == "firing");
        others(12, 8);
        CHECK(said(traffic.of("trace.traffic")) == "firing calm");
    }
    SECTION("by anyone") {
        for (int i = 0; i < 330; ++i) traffic.play(1, {.per_second = 0});
        CHECK(said(traffic.of("trace.traffic")) == "firing silent");
        others(12, 8);
        CHECK(said(traffic.of("trace.traffic")) == "firing silent calm");
    }
}

TEST_CASE("traces: latency is judged while the rate is odd for long", "[detectors]") {
    TraceOptions options = quick();
    options.requests_min = 20;
    options.merge_windows_max = 6;
    Traffic traffic(options);
    traffic.play(60, {.per_second = 60});
    traffic.play(400, {.per_second = 1});  // Too few to judge latency by.
    REQUIRE(said(traffic.of("trace.traffic")) == "firing");
    traffic.play(30, {.per_second = 6, .seconds = 0.6});  // Two windows are judged together.
    CHECK(said(traffic.of("trace.latency")) == "firing");
}

TEST_CASE("traces: traffic that stops while others go on is evidence", "[detectors]") {
    Traffic traffic(quick());
    const auto other = [&traffic](int seconds) {
        for (int i = 0; i < seconds; ++i) {
            const std::vector<Span> spans{span("web", SpanKind::kServer, at(traffic.now), 0.01,
                                               false, "web" + std::to_string(traffic.now))};
            traffic.detector->observe(spans, traffic.out);
            traffic.play(1, {.per_second = 0});
        }
    };
    traffic.play(60, {});
    other(10);
    const auto found = traffic.of("trace.traffic");
    REQUIRE(found.size() == 1);
    CHECK(found.front().firing);
    CHECK(found.front().observed == 0);
    CHECK(found.front().severity == schemas::Severity::kInfo);
    CHECK(found.front().reason.find("request rate 0 /s, usually ") == 0);
}

TEST_CASE("traces: a level that lasts is the new normal", "[detectors]") {
    TraceOptions options = quick();
    options.adapt_after = 60s;
    Traffic traffic(options);
    traffic.play(30, {});
    traffic.play(90, {.seconds = 0.5});
    REQUIRE(traffic.of("trace.latency").size() == 2);
    CHECK(traffic.of("trace.latency").back().reason.find("new normal") != std::string::npos);
    CHECK(said(traffic.of("trace.latency")) == "firing adapted");
    traffic.play(60, {.seconds = 0.5});
    CHECK(traffic.of("trace.latency").size() == 2);
}

TEST_CASE("traces: with default options a day of heavy tails is calm", "[detectors]") {
    const auto detector = *make_trace_detector({});
    Findings out;
    Rng rng(21);
    int id = 0;
    for (int tick = 0; tick < 8640; ++tick) {
        std::vector<Span> spans;
        const double now = tick * 10.0;
        for (std::uint64_t i = poisson(rng, 40); i > 0; --i) {
            spans.push_back(span("shop", SpanKind::kServer, at(now + 10 * rng.uniform()),
                                 0.02 * pareto(rng, 1.5), rng.chance(10), std::to_string(id++)));
        }
        detector->observe(spans, out);
        detector->advance(at(now + 10), out);
    }
    CHECK(out.anomalies.empty());
    for (int tick = 8640; tick < 8640 + 6; ++tick) {
        std::vector<Span> spans;
        for (int i = 0; i < 40; ++i) {
            spans.push_back(span("shop", SpanKind::kServer, at(tick * 10.0 + 1), 2 + rng.uniform(),
                                 rng.chance(300), std::to_string(id++)));
        }
        detector->observe(spans, out);
        detector->advance(at(tick * 10.0 + 10), out);
    }
    CHECK(firing(out).size() == 2);
}

TEST_CASE("traces: edges come from parents in any order and from client spans, each once",
          "[detectors]") {
    const auto detector = *make_trace_detector({});
    Findings out;
    const auto child = [](const std::string& service, SpanKind kind, const std::string& id,
                          const std::string& parent) {
        Span made = span(service, kind, at(1), 0.01, false, id);
        made.trace_id = "t";
        made.parent_id = parent;
        return made;
    };
    Span to_db = child("payments", SpanKind::kClient, "6", "5");
    to_db.attributes = {{"db.system", "postgresql"}, {"server.address", "db.shop.svc"}};
    const std::vector<Span> spans{
        child("checkout", SpanKind::kServer, "3", "2"),  // Before its parent.
        child("web", SpanKind::kClient, "2", "1"),
        child("web", SpanKind::kServer, "1", ""),
        child("checkout", SpanKind::kClient, "4", "3"),
        child("payments", SpanKind::kServer, "5", "4"),  // After it.
        to_db};
    for (int i = 0; i < 3; ++i) detector->observe(spans, out);
    std::set<std::pair<std::string, std::string>> edges;
    for (const auto& change : out.topology) {
        CHECK(change.kind == schemas::ChangeKind::kTopology);
        CHECK(change.key == "topology:" + change.entity.value + "->" + change.peer.value);
        edges.emplace(change.entity.value, change.peer.value);
    }
    CHECK(out.topology.size() == 3);
    CHECK(edges == std::set<std::pair<std::string, std::string>>{
                       {"service:web", "service:checkout"},
                       {"service:checkout", "service:payments"},
                       {"service:payments", "database:db.shop.svc"}});
    CHECK(detector->counts().dropped.at("duplicate") == 12);
}

TEST_CASE("traces: the callee of a client span is what it names", "[detectors]") {
    const auto callee = [](schemas::Labels attributes) {
        Span made = span("web", SpanKind::kClient, at(1), 0.01, false, "1");
        made.attributes = std::move(attributes);
        return callee_of(made).value;
    };
    CHECK(callee({{"peer.service", "checkout"}, {"server.address", "x"}}) == "service:checkout");
    CHECK(callee({{"server.address", "checkout"}}) == "service:checkout");
    CHECK(callee({{"server.address", "checkout.shop.svc.cluster.local"}}) == "service:checkout");
    CHECK(callee({{"server.address", "api.example.com"}}) == "host:api.example.com");
    CHECK(callee({{"server.address", "10.0.0.7"}}) == "host:10.0.0.7");
    CHECK(callee({{"net.peer.name", "fd00::1"}}) == "host:fd00::1");
    CHECK(callee({{"db.system", "redis"}, {"server.address", "cache"}}) == "database:cache");
    CHECK(callee({{"server.address", "127.0.0.1"}}).empty());
    CHECK(callee({{"server.address", "localhost"}}).empty());
    CHECK(callee({}).empty());
}

TEST_CASE("traces: late, impossible and homeless spans are counted and not judged", "[detectors]") {
    Traffic traffic(quick());
    traffic.play(10, {});
    Span backwards = span("checkout", SpanKind::kServer, at(10), 1, false, "a");
    std::swap(backwards.start, backwards.end);
    Span homeless = span("checkout", SpanKind::kServer, at(10), 1, false, "b");
    homeless.resource.clear();
    Span extreme = span("checkout", SpanKind::kServer, at(10), 1, false, "e");
    extreme.start = EventTime::min();
    extreme.end = EventTime::max();
    const std::vector<Span> spans{backwards, homeless, extreme,
                                  span("checkout", SpanKind::kServer, at(2), 1, false, "c"),
                                  span("checkout", SpanKind::kServer, at(1e6), 1, false, "d")};
    traffic.detector->observe(spans, traffic.out);
    const auto dropped = traffic.detector->counts().dropped;
    CHECK(dropped.at("bad_time") == 3);
    CHECK(dropped.at("no_entity") == 1);
    CHECK(dropped.at("late") == 1);
}

TEST_CASE("traces: services, edges and remembered spans are bounded", "[detectors]") {
    TraceOptions options = quick();
    options.services_max = 10;
    options.edges_max = 20;
    options.spans_max = 30;
    options.join_spans_max = 200;
    const auto detector = *make_trace_detector(options);
    Findings out;
    std::size_t bytes = 0;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 500; ++i) {
            const std::string id = std::to_string(round * 500 + i);
            Span server = span("s" + id, SpanKind::kServer, at(1), 0.01, false, id);
            server.parent_id = "missing" + id;
            Span client = span("web", SpanKind::kClient, at(1), 0.01, false, "c" + id);
            client.attributes = {{"peer.service", "p" + id}};
            const std::vector<Span> spans{server, client};
            detector->observe(spans, out);
        }
        if (round == 0) bytes = detector->save().size();
    }
    CHECK(detector->save().size() <= bytes + 100);
    CHECK(out.topology.size() <= 20);
    CHECK(detector->counts().tracked <= 10 + 20 + 20);
    CHECK(detector->counts().dropped.at("services_max") == 1490);
    CHECK(detector->counts().dropped.at("edges_max") > 1000);
}

TEST_CASE("traces: quantiles of the sketch are close, and merging is exact", "[detectors]") {
    Rng rng(31);
    LatencySketch all;
    LatencySketch left;
    LatencySketch right;
    std::vector<double> values;
    for (int i = 0; i < 10'000; ++i) {
        const double value = 0.05 * std::exp(normal(rng));
        values.push_back(value);
        all.add(value);
        (i % 3 == 0 ? left : right).add(value);
    }
    std::ranges::sort(values);
    left.merge(right);
    for (const double q : {0.0, 0.5, 0.95, 0.99, 1.0}) {
        CHECK(all.quantile(q) == Approx(values[static_cast<std::size_t>(q * 9999)]).epsilon(0.033));
        CHECK(left.quantile(q) == all.quantile(q));
    }
    CHECK(LatencySketch().quantile(0.5) == 0);
}

TEST_CASE("traces: options out of range are refused by name", "[detectors]") {
    const auto message = [](auto change) {
        TraceOptions options;
        change(options);
        const auto made = make_trace_detector(options);
        REQUIRE(!made);
        return made.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(message([](auto& o) { o.window = 0ms; }), Contains("window"));
    CHECK_THAT(message([](auto& o) { o.requests_min = 0; }), Contains("requests_min"));
    CHECK_THAT(message([](auto& o) { o.error_ratio_min = 2; }), Contains("error_ratio_min"));
    CHECK_THAT(message([](auto& o) { o.warmup_windows = 1000; }), Contains("warmup_windows"));
    CHECK_THAT(message([](auto& o) { o.idle_after = 1s; }), Contains("idle_after"));
}
