#include "app/backtest.h"

#include <cmath>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "app/commands.h"
#include "app/pipeline.h"
#include "core/rng.h"
#include "core/system_clock.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/worker.h"
#include "tests/support/temp_folder.h"
#include "tests/world/telemetry.h"

namespace {

using namespace vigie;
using namespace vigie::app;
using namespace std::chrono_literals;
namespace topics = vigie::schemas::topics;

constexpr std::int64_t kBegin = 1'700'006'400'000'000;  // Midnight

EventTime at(double minutes) {
    return event_time_from_micros(kBegin + static_cast<std::int64_t>(minutes * 60e6));
}

double normal(Rng& rng) {
    return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307 * rng.uniform());
}

// Two days of two services, a sample a minute; checkout is slow from hour 30 on for 20 minutes.
std::vector<streams::Message> two_days() {
    Rng rng(1);
    std::vector<streams::Message> all;
    for (int minute = 0; minute < 2 * 1440; ++minute) {
        for (const auto* service : {"frontend", "checkout"}) {
            const bool slow =
                std::string_view(service) == "checkout" && minute >= 1800 && minute < 1820;
            all.push_back(sim::metrics_message(service, (slow ? 0.5 : 0.05) + 0.002 * normal(rng),
                                               0.0, at(minute)));
        }
    }
    return all;
}

std::vector<schemas::Event> events_of(const streams::Bus& bus, std::string_view topic,
                                      std::int32_t partition = 0) {
    std::vector<schemas::Event> all;
    const auto records = bus.read({std::string(topic), partition}, 0, {10'000, 0ms});
    REQUIRE(records);
    for (const auto& record : *records) {
        const auto event = schemas::decode(record.message.value);
        if (event) all.push_back(*event);
    }
    return all;
}

// An incident with one anomaly, which somebody called a false alarm.
schemas::IncidentEvent reviewed() {
    schemas::IncidentEvent review;
    review.incident.id = {"inc-1"};
    review.incident.domain = {"default"};
    review.incident.state = schemas::IncidentState::kReviewed;
    review.previous = schemas::IncidentState::kResolved;
    review.incident.timeline = {{at(199), "verdict", "false", "dec-1"}};
    review.incident.evidence.resize(2);
    review.incident.evidence[0].kind = "anomaly";
    review.incident.evidence[0].key = "seasonal|a";
    review.incident.evidence[1].kind = "alert";
    review.incident.evidence[1].key = "b";
    return review;
}

std::string refusals(const streams::Bus& bus) {
    std::string all;
    const auto letters = bus.read({std::string(topics::kDeadLetter), 0}, 0, {10, 0ms});
    REQUIRE(letters);
    for (const auto& letter : *letters) {
        for (const auto& [name, value] : letter.message.headers) all += name + ": " + value + "\n";
    }
    return all;
}

}  // namespace

TEST_CASE("backtest: what would have fired on the embedded log, and for how long", "[app]") {
    const TempFolder folder;
    const SystemClock clock;
    MetricsRegistry metrics;
    auto bus =
        *streams::rocks::RocksBus::open({.path = folder.path(), .sync = false}, clock, metrics);
    REQUIRE(bus->ensure_topics(make_topics(2, std::int64_t{1} << 30)));
    REQUIRE(streams::append_and_wait(*bus, two_days()));

    const auto run = [&](double from, double to, std::optional<std::chrono::milliseconds> learn) {
        auto result = backtest_detectors(*bus, {}, at(from), at(to), learn);
        REQUIRE(result);
        return *std::move(result);
    };
    const Backtest day = run(1440, 2880, std::nullopt);
    CHECK(day.records == 5760);
    CHECK(day.refused == 0);
    CHECK(day.learned_from == at(0));
    const auto lines = day.lines();
    REQUIRE(!lines.empty());
    CHECK(day.entities() == 1);
    CHECK(lines.front().entity == "service:checkout");
    CHECK(lines.front().detector == "seasonal");
    CHECK(lines.front().signal.starts_with("latency_seconds{"));
    CHECK(lines.front().fired == 1);
    CHECK(lines.front().firing == 0);
    CHECK(lines.front().first >= at(1800));
    CHECK(lines.front().first <= at(1803));
    CHECK(lines.front().total >= 18min);
    CHECK(lines.front().total <= 30min);
    CHECK(lines.front().longest == lines.front().total);
    CHECK(day.alarms.front().ended == schemas::Ended::kCalm);

    // The same again; with less to learn from; before and after it; and in the middle of it.
    const Backtest again = run(1440, 2880, std::nullopt);
    REQUIRE(again.alarms.size() == day.alarms.size());
    for (std::size_t i = 0; i < day.alarms.size(); ++i) {
        CHECK(again.alarms[i].anomaly == day.alarms[i].anomaly);
    }
    const Backtest learned = run(1440, 2880, std::chrono::hours{3});
    CHECK(learned.learned_from == at(1260));
    CHECK(!learned.alarms.empty());
    CHECK(run(600, 1800, std::nullopt).alarms.empty());
    CHECK(run(1830, 2880, std::nullopt).alarms.empty());
    const Backtest cut = run(1440, 1810, std::nullopt);
    REQUIRE(!cut.alarms.empty());
    CHECK(!cut.alarms.front().ended);
    CHECK(cut.alarms.front().until == at(1810));

    // A detector that asks for more would have told nothing.
    DetectConfig deaf;
    deaf.metrics.threshold = 1000;
    deaf.metrics.deep.series_max = 0;
    const auto quiet = backtest_detectors(*bus, deaf, at(1440), at(2880), std::nullopt);
    REQUIRE(quiet);
    CHECK(quiet->alarms.empty());

    const auto backwards = backtest_detectors(*bus, {}, at(10), at(10), std::nullopt);
    REQUIRE(!backwards);
    CHECK(backwards.error().kind == ErrorKind::kInvalid);
}

TEST_CASE("context: deployments and verdicts reach every partition of the metrics", "[app]") {
    const SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;
    streams::MemoryBus bus;
    REQUIRE(bus.ensure_topics(make_topics(3, std::int64_t{1} << 30)));
    Pipeline pipeline;
    pipeline.partitions = 3;
    std::vector<std::unique_ptr<streams::Worker>> workers;
    for (auto& stage : make_stages(pipeline, metrics, clock)) {
        if (stage.stage != kContextStage && stage.stage != "detect-metrics") continue;
        workers.push_back(*streams::Worker::open(bus, stage, metrics, log, clock));
    }
    const auto work = [&] {
        for (bool again = true; again;) {
            again = false;
            for (const auto& worker : workers) {
                const auto done = worker->step({1000, 0ms});
                REQUIRE(done);
                again = again || *done > 0;
            }
        }
    };
    Rng rng(2);
    std::vector<streams::Message> samples;
    for (int minute = 0; minute < 200; ++minute) {
        samples.push_back(
            sim::metrics_message("checkout", 0.05 + 0.002 * normal(rng), 0, at(minute)));
    }
    REQUIRE(streams::append_and_wait(bus, samples));
    work();
    const schemas::IncidentEvent review = reviewed();
    const schemas::EventMeta meta{{"inc-1-9"}, "/agent", at(199), {"default"}};
    REQUIRE(streams::append_and_wait(bus, {sim::deployment_message("checkout", "1.5.0", at(199)),
                                           {std::string(topics::kIncidents),
                                            "inc-1",
                                            schemas::encode({meta, review}),
                                            {},
                                            at(199)}}));
    work();
    REQUIRE(refusals(bus).empty());
    for (std::int32_t partition = 0; partition < 3; ++partition) {
        const auto events = events_of(bus, topics::kMetrics, partition);
        REQUIRE(events.size() == 2);
        bool deployed = false;
        bool judged = false;
        for (const auto& event : events) {
            const auto* change = std::get_if<schemas::Change>(&event.data);
            deployed = deployed || (change != nullptr && change->version == "1.5.0");
            const auto* decision = std::get_if<schemas::Decision>(&event.data);
            judged = judged || (decision != nullptr && decision->value == "false" &&
                                decision->scope == "seasonal|a");
        }
        CHECK(deployed);
        CHECK(judged);
    }
    // The detectors heard of it: the reason names what was deployed.
    samples.clear();
    for (int minute = 200; minute < 210; ++minute) {
        samples.push_back(sim::metrics_message("checkout", 0.9, 0, at(minute)));
    }
    REQUIRE(streams::append_and_wait(bus, samples));
    work();
    const auto anomalies = events_of(bus, topics::kAnomalies);
    REQUIRE(!anomalies.empty());
    const auto& anomaly = std::get<schemas::Anomaly>(anomalies.front().data);
    CHECK(anomaly.reason.find("; 1.5.0 was deployed ") != std::string::npos);
}
