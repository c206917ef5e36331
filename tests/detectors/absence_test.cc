#include "detectors/absence.h"

#include <catch2/catch.hpp>

#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;

class Bench {
public:
    explicit Bench(AbsenceOptions options = {}) : detector(*make_absence_detector(options)) {}

    void send(const std::string& service, double seconds) {
        detector->observe(
            std::vector<schemas::TimeSeries>{series("m", {{"service", service}}, at(seconds), 1)},
            out);
    }
    // Both services send each ten seconds, `quiet` only until `until`.
    void play(double from, double to, const std::string& quiet, double until) {
        for (double s = from; s < to; s += 10) {
            for (const auto* service : {"shop", "web"}) {
                if (quiet != service || s < until) send(service, s);
            }
            detector->advance(at(s), out);
        }
    }

    std::unique_ptr<Detector> detector;
    Findings out;
};

}  // namespace

TEST_CASE("absence: reported once, when the silence becomes longer than allowed", "[detectors]") {
    Bench bench;
    bench.play(0, 700, "shop", 400);  // The last sign of life is at 390.
    CHECK(bench.out.anomalies.empty());
    bench.play(700, 2000, "shop", 0);
    REQUIRE(bench.out.anomalies.size() == 1);
    const auto anomaly = bench.out.anomalies.front();
    CHECK(anomaly.firing);
    CHECK(anomaly.entity.value == "service:shop");
    CHECK(anomaly.key == "absence|service:shop");
    CHECK(anomaly.symptom == schemas::Symptom::kAbsence);
    CHECK(anomaly.severity == schemas::Severity::kWarning);
    CHECK(anomaly.first_seen == at(390));
    CHECK(anomaly.last_seen == at(700));
    CHECK(anomaly.reason.find("service:shop sent no metrics for 5 min") == 0);
    bench.send("shop", 2000);
    REQUIRE(bench.out.anomalies.size() == 2);
    CHECK(said(bench.out.anomalies) == "firing calm");
    CHECK(bench.out.anomalies.back().key == anomaly.key);
}

TEST_CASE("absence: a staleness marker is no sign of life", "[detectors]") {
    Bench bench;
    bench.play(0, 400, "", 0);
    for (double s = 400; s < 900; s += 10) {
        bench.send("web", s);
        bench.detector->observe(
            std::vector<schemas::TimeSeries>{stale("m", {{"service", "shop"}}, at(s))}, bench.out);
        bench.detector->advance(at(s), bench.out);
    }
    REQUIRE(bench.out.anomalies.size() == 1);
    CHECK(bench.out.anomalies.front().entity.value == "service:shop");
}

TEST_CASE("absence: what was seen only briefly is not missed", "[detectors]") {
    Bench bench;
    bench.play(0, 3000, "shop", 200);
    CHECK(bench.out.anomalies.empty());
}

TEST_CASE("absence: when all are silent it is the way in, once, and nobody else", "[detectors]") {
    Bench bench;
    bench.play(0, 400, "", 0);
    for (double s = 400; s < 1000; s += 10) bench.detector->advance(at(s), bench.out);
    REQUIRE(bench.out.anomalies.size() == 1);
    CHECK(bench.out.anomalies.front().entity.value == "source:metrics");
    bench.play(1000, 1200, "shop", 0);
    REQUIRE(bench.out.anomalies.size() == 2);
    CHECK(!bench.out.anomalies.back().firing);
    bench.play(1200, 1600, "shop", 0);  // Everyone is back but the shop.
    REQUIRE(bench.out.anomalies.size() == 3);
    CHECK(bench.out.anomalies.back().entity.value == "service:shop");
}

TEST_CASE("absence: time nobody watched is no silence", "[detectors]") {
    Bench bench;
    bench.play(0, 400, "", 0);
    bench.detector->advance(at(10'000), bench.out);
    bench.detector->advance(at(10'100), bench.out);
    CHECK(bench.out.anomalies.empty());
}

TEST_CASE("absence: what is gone for good is no longer judged, and its return is told",
          "[detectors]") {
    AbsenceOptions options;
    options.forget_after = 1000s;
    Bench bench(options);
    bench.play(0, 3000, "shop", 400);
    CHECK(said(bench.out.anomalies) == "firing silent");
    CHECK(bench.out.anomalies.back().reason == "service:shop is taken as gone for good");
    SECTION("after days") {
        bench.play(3000, 200'000, "shop", 0);
        bench.send("shop", 200'000);
        CHECK(said(bench.out.anomalies) == "firing silent calm");
        CHECK(bench.out.anomalies.back().key == "absence|service:shop");
        // It is as if it were new: what was seen only briefly is not missed.
        bench.play(200'010, 203'000, "shop", 200'020);
        CHECK(said(bench.out.anomalies) == "firing silent calm");
    }
    SECTION("after a restart") {
        Bench again(options);
        REQUIRE(again.detector->load(bench.detector->save()));
        again.send("shop", 3000);
        CHECK(said(again.out.anomalies) == "calm");
    }
}

TEST_CASE("absence: what is gone for good makes room, longest first", "[detectors]") {
    AbsenceOptions options;
    options.forget_after = 1000s;
    options.entities_max = 3;
    Bench bench(options);
    bench.play(0, 400, "", 0);
    bench.play(400, 500, "shop", 0);
    for (double s = 400; s < 900; s += 10) {
        bench.send("late", s);
        bench.send("web", s);
        bench.detector->advance(at(s), bench.out);
    }
    bench.play(900, 5000, "shop", 0);  // Only the web is left.
    REQUIRE(said(bench.out.anomalies) == "firing firing silent silent");
    bench.send("new", 5000);
    CHECK(bench.detector->counts().dropped.at("forgotten") == 1);
    bench.send("late", 5000);
    CHECK(said(bench.out.anomalies).ends_with("silent calm"));
    CHECK(bench.out.anomalies.back().entity.value == "service:late");
    bench.send("shop", 5000);
    CHECK(bench.detector->counts().dropped.at("entities_max") == 1);
    CHECK(bench.detector->counts().tracked == 3);
}

TEST_CASE("absence: entities are bounded, and bad options refused", "[detectors]") {
    AbsenceOptions options;
    options.entities_max = 3;
    Bench bench(options);
    for (int i = 0; i < 100; ++i) bench.send("s" + std::to_string(i), 0);
    CHECK(bench.detector->counts().tracked == 3);
    CHECK(bench.detector->counts().dropped.at("entities_max") == 97);
    options.gap_max = 0s;
    const auto made = make_absence_detector(options);
    REQUIRE(!made);
    CHECK_THAT(made.error().message, Catch::Contains("gap_max"));
}
