#include "app/heartbeat_stage.h"

#include <catch2/catch.hpp>

#include "schemas/topics.h"
#include "streams/context.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

using namespace vigie;
using namespace vigie::app;
namespace topics = schemas::topics;
using namespace std::chrono_literals;

namespace {

constexpr EventTime kStart = event_time_from_micros(1'795'000'000'000'000);

class StillClock final : public Clock {
public:
    WallTime wall() const override { return {}; }
    SteadyTime steady() const override { return {}; }
};

// The stage on a bus in memory; a new worker for every step when `restarting`.
struct Site {
    explicit Site(bool restarting_in = false, HeartbeatStage::Options options_in = {})
        : restarting(restarting_in), options(options_in) {
        const std::vector<streams::TopicOptions> all{{.name = std::string(topics::kHeartbeats)},
                                                     {.name = std::string(topics::kAlerts)},
                                                     {.name = std::string(topics::kDeadLetter)}};
        REQUIRE(bus.ensure_topics(all).has_value());
    }

    void beat(std::chrono::seconds at, schemas::Heartbeat beat) {
        const EventTime time = kStart + at;
        const EventId id{"evt-" + std::to_string(++events)};
        const auto name = beat.name;
        append({std::string(topics::kHeartbeats),
                name,
                schemas::encode({{id, "/test", time, {"default"}}, std::move(beat)}),
                {},
                time});
    }
    void beat(std::chrono::seconds at, const std::string& name = "backup") {
        schemas::Heartbeat one;
        one.name = name;
        one.every = 60s;
        one.grace = 10s;
        beat(at, one);
    }
    void tick(std::chrono::seconds at) {
        append({std::string(topics::kHeartbeats), "", "", {{"kind", "tick"}}, kStart + at});
    }
    void append(streams::Message message) {
        REQUIRE(streams::append_and_wait(bus, {std::move(message)}).has_value());
        if (!worker || restarting) {
            worker.reset();
            streams::Worker::Options made;
            made.stage = "heartbeat";
            made.subscription = {"heartbeat", {std::string(topics::kHeartbeats)}};
            made.make_processor = [this](const auto&) {
                return std::make_unique<HeartbeatStage>(options, metrics);
            };
            made.dead_letter_topic = topics::kDeadLetter;
            auto opened = streams::Worker::open(bus, std::move(made), metrics, log, clock);
            REQUIRE(opened.has_value());
            worker = *std::move(opened);
        }
        for (int i = 0; i < 3; ++i) REQUIRE(worker->step({100, 0ms}).has_value());
    }
    std::vector<schemas::Alert> alerts() const {
        std::vector<schemas::Alert> all;
        for (const auto& record : bus.records(topics::kAlerts)) {
            const auto event = schemas::decode(record.message.value);
            REQUIRE(event.has_value());
            all.push_back(std::get<schemas::Alert>(event->data));
        }
        return all;
    }

    const bool restarting;
    const HeartbeatStage::Options options;
    StillClock clock;
    MetricsRegistry metrics;
    MemoryLog log;
    streams::MemoryBus bus;
    std::unique_ptr<streams::Worker> worker;
    int events = 0;
};

}  // namespace

TEST_CASE("heartbeat: silence becomes an alert at its time, a beat resolves it", "[app]") {
    const bool restarting = GENERATE(false, true);
    Site site(restarting);
    site.beat(0s);
    site.tick(69s);
    CHECK(site.alerts().empty());
    site.tick(71s);
    REQUIRE(site.alerts().size() == 1);
    const auto alert = site.alerts()[0];
    CHECK(alert.firing);
    CHECK(alert.name == "HeartbeatMissing");
    CHECK(alert.entity.value == "service:backup");
    CHECK(alert.severity == schemas::Severity::kCritical);
    CHECK(alert.summary.find("'backup' is due every 1m") != std::string::npos);
    site.tick(300s);
    CHECK(site.alerts().size() == 1);
    site.beat(301s);
    REQUIRE(site.alerts().size() == 2);
    CHECK_FALSE(site.alerts()[1].firing);
    CHECK(site.alerts()[1].fingerprint == alert.fingerprint);
    site.tick(372s);
    CHECK(site.alerts().size() == 3);
}

TEST_CASE("heartbeat: beats in time keep it quiet", "[app]") {
    Site site;
    for (int i = 0; i < 10; ++i) site.beat(std::chrono::seconds{i * 60});
    CHECK(site.alerts().empty());
}

TEST_CASE("heartbeat: one that is expected and never comes is missed too", "[app]") {
    Site site(true);
    schemas::Heartbeat expected;
    expected.name = "backup";
    expected.every = 60s;
    expected.grace = 0s;
    expected.entity = {"host:nas"};
    expected.severity = schemas::Severity::kWarning;
    expected.declared = true;
    site.beat(0s, expected);
    // A restart declares it again, which is no sign of life.
    site.beat(50s, expected);
    site.tick(61s);
    REQUIRE(site.alerts().size() == 1);
    CHECK(site.alerts()[0].entity.value == "host:nas");
    CHECK(site.alerts()[0].severity == schemas::Severity::kWarning);
    site.beat(70s, expected);
    CHECK(site.alerts().size() == 1);
}

TEST_CASE("heartbeat: one that is ended is forgotten, and its alert resolved", "[app]") {
    Site site;
    site.beat(0s);
    site.tick(100s);
    schemas::Heartbeat end;
    end.name = "backup";
    end.ended = true;
    site.beat(101s, end);
    REQUIRE(site.alerts().size() == 2);
    CHECK_FALSE(site.alerts()[1].firing);
    site.tick(1000s);
    CHECK(site.alerts().size() == 2);
    site.beat(1001s, end);
    CHECK(site.alerts().size() == 2);
}

TEST_CASE("heartbeat: there are at most so many", "[app]") {
    HeartbeatStage::Options options;
    options.heartbeats_max = 1;
    Site site(false, options);
    site.beat(0s, "a");
    site.beat(1s, "b");
    site.tick(500s);
    CHECK(site.alerts().size() == 1);
    CHECK(site.metrics.expose().find("vigie_app_refused_heartbeats_total 1") != std::string::npos);
}

TEST_CASE("heartbeat: what is none goes to the dead letters", "[app]") {
    Site site;
    site.append({std::string(topics::kHeartbeats), "x", "nonsense", {}, kStart});
    CHECK(site.bus.records(topics::kDeadLetter).size() == 1);
}
