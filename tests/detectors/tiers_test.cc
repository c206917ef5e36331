#include "detectors/deep_tier.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "detectors/metrics.h"
#include "support.h"

// The deep detector in the pipeline: who gets a place, what is told, what survives a restart.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;

constexpr double kTwoPi = 6.283185307179586;
constexpr double kDay = 86'400;

DeepTier make_tier(std::size_t places) {
    DeepOptions options;
    options.series_max = places;
    return {options, *parse_patterns({"revenue*"}), {}};
}

double wave(double seconds) {
    return 100 + 20 * std::sin(kTwoPi * seconds / kDay);
}

schemas::TimeSeries of(std::string metric, std::string service, double seconds, double value) {
    return {std::move(metric),
            {{"service", std::move(service)}},
            schemas::MetricKind::kGauge,
            {{at(seconds), value}}};
}

std::uint64_t event_count(const Detector& detector, const std::string& name) {
    const auto counts = detector.counts();
    const auto found = counts.events.find(name);
    return found == counts.events.end() ? 0 : found->second;
}

}  // namespace

TEST_CASE("tiers: named and golden series deserve a place by what they are", "[detectors]") {
    const DeepTier tier = make_tier(10);
    using schemas::Symptom;
    const schemas::Labels shop{{"service", "shop"}};
    CHECK(tier.rank_of("revenue_total", shop, Symptom::kOther) == DeepRank::kNamed);
    CHECK(tier.rank_of("latency_seconds", shop, Symptom::kLatency) == DeepRank::kGolden);
    CHECK(tier.rank_of("latency_seconds", {{"host.name", "a"}}, Symptom::kLatency) ==
          DeepRank::kNone);
    CHECK(tier.rank_of("memory_bytes", shop, Symptom::kSaturation) == DeepRank::kNone);
}

TEST_CASE("tiers: places are bounded, and the least deserving loses one", "[detectors]") {
    DeepTier tier = make_tier(3);
    const EntityId shop{"service:shop"};
    CHECK(!tier.promote("usual", shop, DeepRank::kNone, false, at(0)));
    CHECK(tier.promote("odd1", shop, DeepRank::kNone, true, at(0)));
    CHECK(tier.promote("odd2", shop, DeepRank::kNone, true, at(10)));
    CHECK(tier.promote("odd3", shop, DeepRank::kNone, true, at(20)));
    // Nobody of the same rank has had a place for an hour yet.
    CHECK(!tier.promote("odd4", shop, DeepRank::kNone, true, at(30)));
    CHECK(tier.refused() == 1);
    CHECK(tier.promote("golden", shop, DeepRank::kGolden, false, at(40)));
    CHECK(tier.size() == 3);
    CHECK(tier.demoted() == 1);
    CHECK(!tier.observe("odd1", at(50), 1, false).deep);
    CHECK(tier.observe("odd2", at(50), 1, false).deep);
    // odd2 was odd again, so odd3 goes.
    tier.observe("golden", at(3690), 1, false);
    tier.observe("odd2", at(3690), 1, false);
    CHECK(tier.promote("odd2", shop, DeepRank::kNone, true, at(3700)));
    CHECK(tier.promote("odd5", shop, DeepRank::kNone, true, at(3710)));
    CHECK(!tier.observe("odd3", at(3720), 1, false).deep);
    CHECK(tier.promote("named", shop, DeepRank::kNamed, false, at(3730)));
    CHECK(tier.promote("named2", shop, DeepRank::kNamed, false, at(3740)));
    CHECK(tier.observe("golden", at(3750), 1, false).deep);
    CHECK(!tier.promote("odd6", shop, DeepRank::kNone, true, at(3760)));
    CHECK(tier.promote("named3", shop, DeepRank::kNamed, false, at(3770)));
    CHECK(!tier.promote("golden", shop, DeepRank::kGolden, false, at(3780)));
    CHECK(!tier.promote("named4", shop, DeepRank::kNamed, false, at(3790)));
    // Idle for more than an hour: any rank may follow.
    CHECK(tier.promote("odd7", shop, DeepRank::kNone, true, at(9000)));
    CHECK(tier.size() == 3);
}

TEST_CASE("tiers: a tenth of the places is kept for series that turn odd", "[detectors]") {
    DeepTier tier = make_tier(20);
    const EntityId shop{"service:shop"};
    for (int i = 0; i < 30; ++i) {
        const bool in =
            tier.promote("golden" + std::to_string(i), shop, DeepRank::kGolden, false, at(0));
        CHECK(in == (i < 18));
    }
    CHECK(tier.promote("odd1", shop, DeepRank::kNone, true, at(1)));
    CHECK(tier.promote("odd2", shop, DeepRank::kNone, true, at(2)));
    CHECK(!tier.promote("odd3", shop, DeepRank::kNone, true, at(3)));
    // A named one takes the place of a golden one, not of an odd one.
    CHECK(tier.promote("named", shop, DeepRank::kNamed, false, at(4)));
    CHECK(tier.observe("odd1", at(5), 1, false).deep);
    CHECK(!tier.observe("golden0", at(5), 1, false).deep);
    CHECK(tier.size() == 20);
}

TEST_CASE("tiers: memory is counted and at most 48 KB a place", "[detectors]") {
    DeepTier tier = make_tier(4);
    Rng rng(1);
    for (int i = 0; i < 12'000; ++i) {
        for (const char* key : {"a", "b", "c", "d"}) {
            if (i == 0) REQUIRE(tier.promote(key, {"service:s"}, DeepRank::kGolden, false, at(0)));
            tier.observe(key, at(60.0 * i), wave(60.0 * i) + normal(rng), false);
        }
    }
    CHECK(tier.bytes() > 4 * 30'000);
    CHECK(tier.bytes() <= 4 * 49'152);
    for (const char* key : {"a", "b", "c", "d"}) tier.forget(key);
    CHECK(tier.size() == 0);
    CHECK(tier.bytes() == 0);
}

TEST_CASE("tiers: who was odd long ago leaves by itself", "[detectors]") {
    DeepTier tier = make_tier(10);
    REQUIRE(tier.promote("odd", {"service:s"}, DeepRank::kNone, true, at(0)));
    REQUIRE(tier.promote("golden", {"service:s"}, DeepRank::kGolden, false, at(0)));
    CHECK(tier.sweep(at(86'000), at(0), 300s).empty());
    CHECK(tier.size() == 2);
    CHECK(tier.sweep(at(87'000), at(0), 300s).empty());
    CHECK(tier.size() == 1);
}

TEST_CASE("tiers: a golden signal's broken shape is told by the deep detector, and ends",
          "[detectors]") {
    auto detector = *make_metrics_detector({});
    Rng rng(3);
    Findings calm;
    Findings odd;
    // A latency that breathes every 20 minutes; then it stands in the middle of its range, where no
    // single value is unusual.
    const double begin = 3 * kDay;
    for (int row = 0; row < 3 * 1440 + 300; ++row) {
        const double now = 60.0 * row;
        const bool broken = now >= begin && now < begin + 7200;
        const double value =
            1 + (broken ? 0.9 : 0.5 * std::sin(kTwoPi * row / 20)) + 0.02 * normal(rng);
        const std::vector<schemas::TimeSeries> batch{of("latency_seconds", "shop", now, value)};
        Findings& out = now < begin ? calm : odd;
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    CHECK(calm.anomalies.empty());
    CHECK(event_count(*detector, "promoted") == 1);
    const auto deep = detectors::test::of("deep", odd);
    REQUIRE(!deep.empty());
    CHECK(deep.front().firing);
    CHECK(deep.front().key == "deep|latency_seconds{service=\"shop\"}");
    CHECK(deep.front().first_seen <= at(begin + 600));
    CHECK(deep.front().entity.value == "service:shop");
    CHECK(deep.size() % 2 == 0);
    CHECK(!deep.back().firing);
}

TEST_CASE("tiers: what the light detector tells the deep one does not tell again", "[detectors]") {
    auto detector = *make_metrics_detector({});
    Rng rng(4);
    Findings out;
    for (int row = 0; row < 2 * 1440; ++row) {
        const double now = 60.0 * row;
        const double value = wave(now) + normal(rng) + (row > 2 * 1440 - 15 ? 300 : 0);
        const std::vector<schemas::TimeSeries> batch{of("latency_seconds", "shop", now, value)};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    CHECK(detectors::test::of("seasonal", out).size() == 1);
    CHECK(firing(out).size() <= 2);  // A first row that is odd enough by itself is the deep one's.
}

TEST_CASE("tiers: a deep series that falls silent says so, and how it came back", "[detectors]") {
    MetricsOptions options;
    options.threshold = 1000;  // The deep detector alone.
    auto detector = *make_metrics_detector(options);
    Rng rng(5);
    Findings out;
    double now = 0;
    const auto feed = [&](double value) {
        now += 60;
        const std::vector<schemas::TimeSeries> batch{of("latency_seconds", "shop", now, value)};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    };
    for (int row = 0; row < 2000; ++row) feed(100 + normal(rng));
    CHECK(out.anomalies.empty());
    for (int row = 0; row < 3; ++row) feed(200);
    CHECK(said(out.anomalies) == "firing");
    for (int i = 0; i < 10; ++i) detector->advance(at(now += 60), out);
    CHECK(said(out.anomalies) == "firing silent");
    for (int row = 0; row < 30; ++row) feed(100 + normal(rng));
    CHECK(said(out.anomalies) == "firing silent calm");
}

TEST_CASE("tiers: a restart of what is counted is no alarm", "[detectors]") {
    MetricsOptions options;
    options.threshold = 1000;  // The deep detector alone.
    auto detector = *make_metrics_detector(options);
    Rng rng(12);
    Findings out;
    double total = 0;
    for (int row = 0; row < 6000; ++row) {
        if (row % 1500 < 6 && row > 0) {
            total = 0;
            continue;
        }
        total += std::floor(100 + 3 * normal(rng));
        const double now = 60.0 * row;
        const std::vector<schemas::TimeSeries> batch{
            series("requests_total", {{"service", "shop"}}, at(now), total)};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    CHECK(event_count(*detector, "promoted") == 1);
    CHECK(out.anomalies.empty());
}

TEST_CASE("tiers: a single wild row and the way back from it are no alarm", "[detectors]") {
    MetricsOptions options;
    options.threshold = 1000;  // The deep detector alone.
    auto detector = *make_metrics_detector(options);
    Rng rng(13);
    Findings out;
    for (int row = 0; row < 6000; ++row) {
        const double now = 60.0 * row;
        const double value = 100 + 3 * normal(rng) - (row > 1500 && row % 700 == 0 ? 50 : 0);
        const std::vector<schemas::TimeSeries> batch{of("latency_seconds", "shop", now, value)};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    CHECK(out.anomalies.empty());
}

TEST_CASE("tiers: metrics that part company are told together, though each is usual",
          "[detectors]") {
    for (const bool broken : {false, true}) {
        auto detector = *make_metrics_detector({});
        Rng rng(6);
        Findings calm;
        Findings odd;
        const int begin = 4 * 1440;
        for (int row = 0; row < begin + 120; ++row) {
            const double now = 60.0 * row;
            // One load, five metrics that follow it: in the end one of them goes the other way.
            const double load = normal(rng);
            std::vector<schemas::TimeSeries> batch;
            for (int each = 0; each < 5; ++each) {
                const double sign = broken && row >= begin && each == 2 ? -1 : 1;
                const double value = wave(now) + 5 * sign * load + 0.5 * normal(rng);
                batch.push_back(
                    of("latency_" + std::to_string(each) + "_seconds", "shop", now, value));
            }
            Findings& out = row < begin ? calm : odd;
            detector->observe(batch, out);
            detector->advance(at(now), out);
        }
        CHECK(detectors::test::of("joint", calm).empty());
        const auto joint = detectors::test::of("joint", odd);
        if (!broken) {
            CHECK(joint.empty());
            continue;
        }
        REQUIRE(!joint.empty());
        CHECK(joint.front().firing);
        CHECK(joint.front().key == "joint|service:shop");
        CHECK(joint.front().first_seen <= at(60.0 * (begin + 15)));
        REQUIRE(joint.front().examples.size() == 2);
        CHECK(joint.front().examples[0].find("latency_2_seconds") == 0);
        // Each by itself is usual, but for what a mean of two rows may show.
        CHECK(detectors::test::of("seasonal", odd).empty());
    }
}

TEST_CASE("tiers: a restart at any moment gives the same output as none", "[detectors]") {
    MetricsOptions options;
    options.deep.series_max = 4;  // Of 6 that deserve one.
    options.warmup_span = 60s;
    options.end_after = 120s;
    options.noise.false_alarms_per_day = 1e4;
    const auto input = [](int row) {
        Rng rng(static_cast<std::uint64_t>(row) + 1000);
        const double now = 15.0 * row;
        std::vector<schemas::TimeSeries> batch;
        for (int each = 0; each < 6; ++each) {
            if (rng.chance(5) || (each == 4 && row % 700 > 600)) continue;
            const bool odd = (row + 131 * each) % 700 < 12;
            batch.push_back(of(each % 2 == 0 ? "latency_seconds" : "memory_bytes",
                               "s" + std::to_string(each), now,
                               wave(now) + normal(rng) + (odd ? 60 : 0)));
        }
        return batch;
    };
    constexpr int kRows = 2600;
    const auto run = [&](int restart_every) {
        auto detector = *make_metrics_detector(options);
        Findings out;
        for (int row = 0; row < kRows; ++row) {
            const auto batch = input(row);
            detector->observe(batch, out);
            detector->advance(at(15.0 * row), out);
            if (row % 500 == 0) {
                schemas::Change change;
                change.kind = schemas::ChangeKind::kDeployment;
                change.entity = {"service:s1"};
                change.version = "1.2";
                change.at = at(15.0 * row);
                detector->learn({{{"e"}, "/t", change.at, {"d"}}, change});
            }
            if (restart_every == 0 || row % restart_every != restart_every - 1) continue;
            auto fresh = *make_metrics_detector(options);
            const auto saved = detector->save();
            REQUIRE(fresh->load(saved));
            REQUIRE(fresh->save() == saved);
            detector = std::move(fresh);
        }
        return std::pair(out.anomalies, detector->save());
    };
    const auto whole = run(0);
    CHECK(whole.first.size() > 10);
    CHECK(std::ranges::any_of(whole.first, [](const Anomaly& a) { return a.detector == "deep"; }));
    for (const int every : {211, 997}) {
        const auto parts = run(every);
        CHECK(parts.first == whole.first);
        CHECK(parts.second == whole.second);
    }
}

TEST_CASE("tiers: a smaller budget after a restart keeps those that deserve it most",
          "[detectors]") {
    DeepTier tier = make_tier(3);
    REQUIRE(tier.promote("odd", {"service:s"}, DeepRank::kNone, true, at(0)));
    REQUIRE(tier.promote("named", {"service:s"}, DeepRank::kNamed, false, at(0)));
    Encoder out;
    tier.save(out);
    const std::string saved = std::move(out).seal('1');
    DeepTier smaller = make_tier(1);
    auto in = *Decoder::open(saved, '1', "test");
    smaller.load(in);
    REQUIRE(in.finish());
    CHECK(smaller.size() == 1);
    CHECK(smaller.observe("named", at(60), 1, false).deep);
}

TEST_CASE("tiers: what the version before saved is read", "[detectors]") {
    const auto path = std::filesystem::path(VIGIE_SOURCE_DIR) / "tests/detectors/data";
    std::ifstream file(path / "metrics_format3.bin", std::ios::binary);
    const std::string saved{std::istreambuf_iterator<char>(file), {}};
    REQUIRE(saved.size() > 1000);
    REQUIRE(saved.front() == '3');
    auto detector = *make_metrics_detector({});
    REQUIRE(detector->load(saved));
    CHECK(detector->counts().tracked == 3);
    CHECK(detector->save().front() == '4');
    // It was written in the middle of an anomaly of the queue, by 240 rows: the end is told, and a
    // jump of the latency needs no warm-up.
    Rng rng(7);
    Findings out;
    for (int row = 240; row < 252; ++row) {
        const double now = 60.0 * row;
        const std::vector<schemas::TimeSeries> batch{
            gauge("latency_seconds", at(now), 0.8),
            gauge("queue_depth", at(now), 20 + normal(rng))};
        detector->observe(batch, out);
        detector->advance(at(now), out);
    }
    REQUIRE(out.anomalies.size() == 2);
    CHECK(said(out.anomalies) == "firing calm");
    CHECK(out.anomalies[0].key == "seasonal|latency_seconds{service=\"shop\"}");
    CHECK(out.anomalies[1].key == "seasonal|queue_depth{service=\"shop\"}");
}
