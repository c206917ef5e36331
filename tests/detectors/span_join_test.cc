#include "detectors/traces/span_join.h"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include "detectors/codec.h"
#include "detectors/traces/sketch.h"
#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::SpanKind;

}  // namespace

TEST_CASE("sketch: a quantile is at most one part in a hundred off, wherever it lies",
          "[detectors]") {
    Rng rng(31);
    for (const double scale : {2e-6, 1e-3, 0.3, 40.0, 20'000.0}) {
        LatencySketch sketch;
        std::vector<double> values;
        for (int i = 0; i < 5000; ++i) {
            values.push_back(std::clamp(scale * std::exp(0.7 * normal(rng)), 1e-6, 86'400.0));
            sketch.add(values.back());
        }
        std::ranges::sort(values);
        for (double q = 0; q <= 1; q += 0.01) {
            const double exact = values[static_cast<std::size_t>(q * 4999)];
            REQUIRE(std::abs(sketch.quantile(q) - exact) <= 0.01 * exact * (1 + 1e-9));
        }
        CHECK(sketch.buckets() < 400);
    }
    LatencySketch sketch;
    for (double value = 1e-9; value < 1e9; value *= 1.001) sketch.add(value);
    CHECK(sketch.buckets() < 1300);
    CHECK(sketch.quantile(0) == Approx(1e-6).epsilon(0.01));
    CHECK(sketch.quantile(1) == Approx(86'400).epsilon(0.01));
}

TEST_CASE("sketch: merged in any order, it is the sketch of all", "[detectors]") {
    Rng rng(5);
    for (int round = 0; round < 20; ++round) {
        std::vector<LatencySketch> parts(1 + rng.below(6));
        LatencySketch all;
        for (std::uint64_t i = rng.below(3000); i > 0; --i) {
            const double value = 0.02 * pareto(rng, 0.8);
            all.add(value);
            parts[rng.below(parts.size())].add(value);
        }
        LatencySketch forward;
        LatencySketch backward;
        for (const auto& each : parts) forward.merge(each);
        for (auto each = parts.rbegin(); each != parts.rend(); ++each) backward.merge(*each);
        CHECK(forward == all);
        CHECK(backward == all);
        Encoder out;
        all.save(out);
        const std::string bytes = std::move(out).seal('1');
        auto in = *Decoder::open(bytes, '1', "sketch");
        LatencySketch again;
        again.load(in);
        CHECK(in.finish());
        CHECK(again == all);
    }
}

TEST_CASE("join: self time is a span without the union of its children", "[detectors]") {
    const auto of = [](std::vector<std::pair<double, double>> parts) {
        std::vector<Interval> intervals;
        for (const auto& [from, to] : parts) intervals.emplace_back(at(from), at(to));
        return std::chrono::duration<double>(self_time({at(0), at(10)}, intervals)).count();
    };
    CHECK(of({}) == 10);
    CHECK(of({{2, 4}}) == 8);
    CHECK(of({{2, 4}, {3, 5}, {3, 4}}) == 7);       // They overlap.
    CHECK(of({{8, 9}, {1, 2}, {1, 2}}) == 8);       // In any order.
    CHECK(of({{-5, 1}, {9, 20}}) == 8);             // They stick out.
    CHECK(of({{-5, -1}, {11, 20}, {4, 4}}) == 10);  // They are elsewhere.
    CHECK(of({{-5, 20}}) == 0);
}

TEST_CASE("traces: delay does not depend on the clocks of two machines", "[detectors]") {
    for (const double clock : {-3600.0, -0.5, -0.003, 0.0, 0.001, 0.5}) {
        INFO(clock);
        SpanJoin join({std::chrono::seconds(10), std::chrono::seconds(60), 10'000, 100});
        Rng rng(8);
        std::vector<double> real;
        for (int i = 0; i < 400; ++i) {
            const double start = 0.02 * i;
            // The fastest call is as fast there as back; the others waited on their way there.
            const double there = 0.001 + (i % 10 == 0 ? 0 : 0.02 * rng.uniform());
            JoinSpan client;
            client.id = static_cast<std::uint64_t>(2 * i + 1);
            client.kind = SpanKind::kClient;
            client.service = 1;
            client.start = at(start);
            client.end = at(start + there + 0.01 + 0.001);
            JoinSpan server;
            server.id = static_cast<std::uint64_t>(2 * i + 2);
            server.parent = client.id;
            server.kind = SpanKind::kServer;
            server.service = 2;
            server.start = at(start + there + clock);
            server.end = at(start + there + 0.01 + clock);
            REQUIRE(join.add(at(0), client));
            REQUIRE(join.add(at(0), server));
            real.push_back(there);
        }
        std::vector<double> found;
        SpanJoin::Joined joined;
        joined.self = [](const JoinSpan&, double, bool) {};
        joined.call = [](const JoinSpan&, const JoinSpan&) {};
        joined.delay = [&](const JoinSpan&, const JoinSpan&, double seconds) {
            found.push_back(seconds);
        };
        join.close(at(0), joined);
        REQUIRE(found.size() == real.size());
        for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - real[i]) < 1e-5);
    }
}

TEST_CASE("join: spans whose parent never comes are counted, and all of them go", "[detectors]") {
    SpanJoin join({std::chrono::seconds(10), std::chrono::seconds(60), 50, 100});
    SpanJoin::Joined joined;
    joined.self = [](const JoinSpan&, double, bool) {};
    joined.call = [](const JoinSpan&, const JoinSpan&) {};
    joined.delay = [](const JoinSpan&, const JoinSpan&, double) {};
    std::uint64_t id = 0;
    for (int w = 0; w < 20; ++w) {
        JoinSpan root;
        root.id = ++id;
        root.kind = SpanKind::kServer;
        root.start = root.end = at(w * 10);
        JoinSpan child = root;
        child.id = ++id;
        child.parent = root.id;
        JoinSpan orphan = child;
        orphan.id = ++id;
        orphan.parent = 1'000'000 + id;
        for (const auto& each : {root, child, orphan}) join.add(at(w * 10), each);
        join.close(at(w * 10), joined);
    }
    CHECK(join.incomplete() == 13);  // Of windows that are 60 s old.
    CHECK(join.size() == 21);
    for (int i = 0; i < 100; ++i) {
        JoinSpan root;
        root.id = ++id;
        join.add(at(200), root);
    }
    CHECK(join.size() == 50);
}
