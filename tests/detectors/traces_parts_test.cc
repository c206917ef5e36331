#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/codec.h"
#include "detectors/traces/operations.h"
#include "detectors/traces/service_map.h"
#include "detectors/traces/sketch.h"
#include "detectors/traces/span_join.h"
#include "detectors/traces/traces.h"
#include "support.h"
#include "traces_support.h"

// Operations, self time, delay, the service map, and what order must not change.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;
using schemas::Span;
using schemas::SpanKind;

// A span from `from` to `to`, in seconds.
Span part(const std::string& service, SpanKind kind, double from, double to, std::string id,
          std::string parent) {
    Span made = span(service, kind, at(to), to - from, false, std::move(id));
    made.trace_id = "t";
    made.parent_id = std::move(parent);
    return made;
}

// One request through web, checkout and payments: what each does, and how far the clocks are off.
struct Shape {
    double web = 0.01;          // Of its own, before it calls.
    double on_the_way = 0.002;  // There, and as long back.
    double checkout = 0.02;
    double payments = 0.03;
    double clock = 0;  // Of checkout, ahead of web's.
    bool pays = true;
    bool named = false;  // Client spans say whom they call.
};

std::vector<Span> request(double start, const std::string& id, const Shape& shape) {
    double now = start + shape.web;
    std::vector<Span> spans;
    const double call_from = now;
    now += shape.on_the_way;
    const double checkout_from = now;
    now += shape.checkout;
    if (shape.pays) {
        const double pay_from = now;
        now += shape.payments;
        spans.push_back(part("payments", SpanKind::kServer, pay_from + shape.on_the_way,
                             now - shape.on_the_way, id + "5", id + "4"));
        spans.push_back(part("checkout", SpanKind::kClient, pay_from + shape.clock,
                             now + shape.clock, id + "4", id + "35"));
        // An internal span around the call: work of checkout.
        spans.push_back(part("checkout", SpanKind::kInternal, checkout_from + shape.clock,
                             now + shape.clock, id + "35", id + "3"));
    }
    spans.push_back(part("checkout", SpanKind::kServer, checkout_from + shape.clock,
                         now + shape.clock, id + "3", id + "2"));
    spans.back().name = "POST /pay";
    now += shape.on_the_way;
    spans.push_back(part("web", SpanKind::kClient, call_from, now, id + "2", id + "1"));
    spans.push_back(part("web", SpanKind::kServer, start, now, id + "1", ""));
    for (Span& each : spans) {
        each.trace_id = "trace-" + id;
        if (shape.named && each.kind == SpanKind::kClient) {
            each.attributes = {
                {"peer.service", entity_name(schemas::entity_of(each.resource)) == "web"
                                     ? "checkout"
                                     : "payments"}};
        }
    }
    return spans;
}

class Site {
public:
    explicit Site(const TraceOptions& options) : detector(*make_trace_detector(options)) {}

    void play(int seconds, const Shape& shape, int per_second = 20) {
        for (int s = 0; s < seconds; ++s, ++now) {
            for (int i = 0; i < per_second; ++i) {
                Shape each = shape;
                each.checkout *= std::exp(0.1 * normal(rng));
                each.on_the_way *= 1 + 0.2 * rng.uniform();
                detector->observe(request(now + rng.uniform(), std::to_string(++id), each), out);
            }
            detector->advance(at(now + 1), out);
        }
    }
    std::set<std::string> keys() const {
        std::set<std::string> all;
        for (const auto& anomaly : out.anomalies) {
            if (anomaly.firing) all.insert(anomaly.key);
        }
        return all;
    }

    std::unique_ptr<Detector> detector;
    Findings out;
    Rng rng{3};
    double now = 0;
    int id = 0;
};

}  // namespace

TEST_CASE("traces: a slow callee is not its caller's self time, a slow service is", "[detectors]") {
    Site site(quick());
    site.play(30, {});
    CHECK(site.keys().empty());
    SECTION("the callee") {
        site.play(12, {.payments = 0.5});
        CHECK(site.keys().contains("trace.latency|service:payments"));
        CHECK(site.keys().contains("trace.latency|service:checkout"));
        CHECK(!site.keys().contains("trace.self_time|service:checkout"));
        CHECK(!site.keys().contains("trace.self_time|service:web"));
        // Of a client span that does not name its callee.
        CHECK(site.keys().contains("trace.latency|service:checkout->service:payments"));
    }
    SECTION("the service") {
        site.play(12, {.checkout = 0.5});
        CHECK(site.keys().contains("trace.self_time|service:checkout"));
        CHECK(!site.keys().contains("trace.self_time|service:web"));
        CHECK(!site.keys().contains("trace.latency|service:payments"));
        const auto found = of("trace.self_time", site.out);
        REQUIRE(!found.empty());
        CHECK(found.front().observed == Approx(0.58).epsilon(0.1));
        CHECK(found.front().severity == schemas::Severity::kInfo);
        CHECK(found.front().entity.value == "service:checkout");
    }
    SECTION("the way") {
        site.play(12, {.on_the_way = 0.4, .payments = 0.9});
        CHECK(site.keys().contains("trace.edge_delay|service:web->service:checkout"));
        const auto found = of("trace.edge_delay", site.out);
        REQUIRE(!found.empty());
        CHECK(found.front().observed == Approx(0.47).epsilon(0.1));
    }
}

TEST_CASE("traces: each operation of a service has its own measures", "[detectors]") {
    Site site(quick());
    Rng rng(6);
    int id = 0;
    const auto play = [&](int seconds, double broken) {
        for (int s = 0; s < seconds; ++s, ++site.now) {
            std::vector<Span> spans;
            for (int i = 0; i < 100; ++i) {
                const bool rare = i < 4;
                Span each = span("shop", SpanKind::kServer, at(site.now + rng.uniform()), 0.02,
                                 rare && rng.uniform() < broken, std::to_string(++id));
                each.name = rare ? "POST /pay" : "GET /";
                spans.push_back(std::move(each));
            }
            site.detector->observe(spans, site.out);
            site.detector->advance(at(site.now + 1), site.out);
        }
    };
    play(60, 0);
    CHECK(site.out.anomalies.empty());
    play(30, 0.9);  // 3.6 % of all: not much for the service.
    CHECK(site.keys() == std::set<std::string>{"trace.errors|service:shop|POST /pay"});
    const auto found = of("trace.errors", site.out);
    CHECK(found.front().severity == schemas::Severity::kWarning);
    CHECK(found.front().entity.value == "service:shop");
    CHECK(found.front().signal == "error ratio of POST /pay");
    CHECK(found.front().reason.find("of POST /pay") != std::string::npos);
}

TEST_CASE("traces: a service with one operation is told once", "[detectors]") {
    Site site(quick());
    site.play(30, {});
    site.play(12, {.checkout = 0.5});
    for (const auto& key : site.keys()) CHECK(key.find("POST /pay") == std::string::npos);
}

TEST_CASE("traces: operations without end count together", "[detectors]") {
    TraceOptions options = quick();
    options.operations_max = 5;
    options.operations_total_max = 8;
    Operations operations({5, 8, 60s});
    for (int i = 0; i < 100; ++i) {
        const auto name = operations.admit("service:a", fmt::format("GET /{}", i), at(i * 0.1));
        CHECK(name == (i < 5 ? fmt::format("GET /{}", i) : "(other)"));
    }
    CHECK(operations.admit("service:a", "GET /3", at(20)) == "GET /3");
    CHECK(operations.count("service:a") == 6);
    CHECK(operations.overflowed() == 95);
    // 100 others of another service: three are left of eight.
    for (int i = 0; i < 100; ++i) operations.admit("service:b", fmt::format("{}", i), at(11));
    CHECK(operations.count("service:b") == 4);
    // One that was not seen for long makes room.
    CHECK(operations.admit("service:a", "new", at(75)) == "new");
    CHECK(operations.admit("service:a", "GET /3", at(75)) == "GET /3");
    CHECK(operations.count("service:a") == 6);
    CHECK(operations.admit("service:a", "", at(75)).empty());
    CHECK(operations.admit("service:a", std::string(500, 'x'), at(200)).size() <= 103);

    const auto detector = *make_trace_detector(options);
    Findings out;
    for (int i = 0; i < 3000; ++i) {
        Span each = span("shop", SpanKind::kServer, at(i * 0.1), 0.02, false, std::to_string(i));
        each.name = fmt::format("GET /cart/{}", i);
        detector->observe(std::vector{each}, out);
        detector->advance(at(i * 0.1), out);
    }
    CHECK(detector->counts().tracked <= 7);
    CHECK(detector->counts().dropped.at("operations_max") == 2995);
}

TEST_CASE("traces: the service map counts calls, once, with and without names", "[detectors]") {
    for (const bool named : {false, true}) {
        INFO(named);
        TraceOptions options = quick();
        ServiceMap map(100);
        Site site(options);
        site.play(20, {.named = named}, 10);
        for (int i = 0; i < 20; ++i) site.detector->advance(at(site.now + i), site.out);
        const auto* const counted = site.detector.get();
        const auto stats = service_map_of(*counted);
        REQUIRE(stats.size() == 2);
        const auto& edge = stats.at({"service:web", "service:checkout"});
        CHECK(edge.calls == 200);
        CHECK(edge.errors == 0);
        CHECK(stats.at({"service:checkout", "service:payments"}).calls == 200);
        CHECK(edge.first_at < at(2));
        CHECK(edge.last_at > at(18));
    }
}

TEST_CASE("traces: a new edge of a known caller is told, those of a new caller are not",
          "[detectors]") {
    TraceOptions options = quick();
    options.adapt_after = 60s;
    Site site(options);
    site.play(20, {.pays = false});
    CHECK(site.out.anomalies.empty());
    site.play(20, {});
    const auto found = of("trace.edge_new", site.out);
    REQUIRE(found.size() == 1);
    CHECK(found.front().firing);
    CHECK(found.front().key == "trace.edge_new|service:checkout->service:payments");
    CHECK(found.front().entity.value == "service:checkout");
    CHECK(found.front().severity == schemas::Severity::kInfo);
    site.play(60, {});
    CHECK(said(of("trace.edge_new", site.out)) == "firing adapted");
}

TEST_CASE("traces: a new edge that nobody uses any more is no longer judged", "[detectors]") {
    Site site(quick());
    site.play(20, {.pays = false});
    site.play(4, {});
    site.play(400, {.pays = false}, 2);
    CHECK(said(of("trace.edge_new", site.out)) == "firing silent");
    site.play(6, {});
    CHECK(said(of("trace.edge_new", site.out)) == "firing silent calm");
}

TEST_CASE("traces: an edge that its caller no longer uses is told, and its return", "[detectors]") {
    TraceOptions options = quick();
    options.edge_gone_after = 30s;
    options.adapt_after = 300s;
    Site site(options);
    site.play(30, {});
    site.play(29, {.pays = false});
    CHECK(of("trace.edge_gone", site.out).empty());
    site.play(10, {.pays = false});
    auto found = of("trace.edge_gone", site.out);
    REQUIRE(found.size() == 1);
    CHECK(found.front().firing);
    CHECK(found.front().key == "trace.edge_gone|service:checkout->service:payments");
    CHECK(found.front().symptom == schemas::Symptom::kTraffic);
    SECTION("it is back") {
        site.play(6, {});
        CHECK(said(of("trace.edge_gone", site.out)) == "firing calm");
    }
    SECTION("it stays away") {
        site.play(310, {.pays = false}, 5);
        CHECK(said(of("trace.edge_gone", site.out)) == "firing adapted");
    }
    SECTION("nothing comes from the caller: no longer judged") {
        for (int i = 0; i < 1000; ++i) site.detector->advance(at(site.now + i), site.out);
        CHECK(said(of("trace.edge_gone", site.out)) == "firing silent");
        site.now += 1000;
        SECTION("until it calls again") {
            site.play(6, {});
            CHECK(said(of("trace.edge_gone", site.out)) == "firing silent calm");
        }
        SECTION("until it is back without calls") {
            site.play(6, {.pays = false});
            CHECK(said(of("trace.edge_gone", site.out)) == "firing silent firing");
        }
    }
}

TEST_CASE("traces: a batch that calls now and then is not gone between", "[detectors]") {
    TraceOptions options = quick();
    options.edge_gone_after = 30s;
    Site site(options);
    for (int round = 0; round < 12; ++round) {
        site.play(10, {});
        site.play(50, {.pays = false});
    }
    std::size_t late = 0;
    for (const auto& anomaly : of("trace.edge_gone", site.out)) {
        if (anomaly.firing && anomaly.first_seen > at(180)) ++late;
    }
    CHECK(late == 0);
}

TEST_CASE("traces: the order of the spans of a window is irrelevant", "[detectors]") {
    const auto play = [](std::uint64_t shuffle) {
        TraceOptions options = quick();
        options.adapt_after = 100s;
        options.edge_gone_after = 20s;
        const auto detector = *make_trace_detector(options);
        Findings out;
        Rng rng(12);
        Rng order(shuffle);
        int id = 0;
        for (int w = 0; w < 100; ++w) {
            std::vector<Span> spans;
            for (int i = 0; i < 30; ++i) {
                Shape shape;
                shape.checkout = w > 30 && w < 45 ? 0.5 : 0.02 * std::exp(0.1 * normal(rng));
                shape.on_the_way = w > 60 && w < 70 ? 0.2 : 0.002 * (1 + rng.uniform());
                shape.payments = 3 * shape.on_the_way + 0.02;
                shape.pays = w < 75;
                shape.clock = 0.3;
                shape.named = i % 2 == 0;
                const double start = 2.0 * w + 0.5 * rng.uniform();
                auto each = request(start, std::to_string(++id), shape);
                for (Span& one : each) {
                    one.error = rng.chance(w > 80 ? 300 : 2);
                    if (one.kind == SpanKind::kServer) one.name = i % 3 == 0 ? "GET /" : "POST /";
                    if (rng.chance(20)) continue;  // Lost.
                    spans.push_back(one);
                }
            }
            if (shuffle != 0) {
                for (std::size_t i = spans.size(); i > 1; --i) {
                    std::swap(spans[i - 1], spans[order.below(i)]);
                }
            }
            const std::size_t some = shuffle == 0 ? spans.size() : order.below(spans.size());
            detector->observe(std::span(spans).first(some), out);
            detector->observe(std::span(spans).subspan(some), out);
            detector->advance(at(2.0 * w + 2), out);
        }
        std::set<std::string> edges;
        for (const auto& change : out.topology) edges.insert(change.key);
        return std::pair(out.anomalies, edges);
    };
    const auto expected = play(0);
    std::set<std::string> detectors;
    for (const auto& anomaly : expected.first) detectors.insert(anomaly.detector);
    CHECK(detectors.size() >= 5);
    for (std::uint64_t shuffle = 1; shuffle <= 5; ++shuffle) {
        const auto found = play(shuffle);
        CHECK(found.second == expected.second);
        CHECK(found.first == expected.first);
    }
}

TEST_CASE("traces: six calm hours of a shop with many operations says nothing", "[detectors]") {
    const auto detector = *make_trace_detector({});
    Findings out;
    Rng rng(77);
    int id = 0;
    for (int tick = 0; tick < 2160; ++tick) {
        const double now = tick * 10.0;
        const double day = 1 + 0.5 * std::sin(now / 21'600 * 6.283);
        std::vector<Span> spans;
        for (std::uint64_t i = poisson(rng, 60 * day); i > 0; --i) {
            const std::string number = std::to_string(++id);
            const double took = 0.02 * pareto(rng, 2.5);
            const double end = now + 10 * rng.uniform();
            Span server =
                span("shop", SpanKind::kServer, at(end), took + 0.01, rng.chance(5), number);
            server.name = "op" + std::to_string(rng.below(12));
            Span client =
                span("shop", SpanKind::kClient, at(end - 0.002), took, false, number + "c");
            Span callee = span("stock", SpanKind::kServer, at(end - 0.003 + 0.4), took * 0.8,
                               rng.chance(5), number + "s");
            callee.name = "take";
            client.trace_id = callee.trace_id = server.trace_id;
            client.parent_id = server.span_id;
            callee.parent_id = client.span_id;
            spans.insert(spans.end(), {callee, client, server});
        }
        detector->observe(spans, out);
        detector->advance(at(now + 10), out);
    }
    std::string all;
    for (const auto& anomaly : out.anomalies) all += anomaly.key + " " + said(anomaly) + "\n";
    for (const auto& [reason, number] : detector->counts().dropped) {
        all += fmt::format("{} {}\n", reason, number);
    }
    INFO(all);
    CHECK(firing(out).empty());
    CHECK(detector->counts().dropped.empty());
}
