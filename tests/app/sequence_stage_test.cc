#include "app/sequence_stage.h"

#include <catch2/catch.hpp>

#include "app/pipeline.h"
#include "core/system_clock.h"
#include "schemas/events.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

namespace {

namespace schemas = vigie::schemas;
namespace streams = vigie::streams;
namespace topics = vigie::schemas::topics;
using vigie::app::SequenceStage;

class Fixture {
public:
    explicit Fixture(SequenceStage::Options options) {
        REQUIRE(bus.ensure_topics(vigie::app::make_topics(1, 0)));
        streams::Worker::Options worker;
        worker.stage = "sequence";
        worker.subscription = {"sequence", {std::string(topics::kDecisions)}};
        worker.make_processor = [this, options](const streams::Partition&) {
            return std::make_unique<SequenceStage>(options, metrics);
        };
        auto opened = streams::Worker::open(bus, worker, metrics, log, clock);
        REQUIRE(opened);
        worker_ = *std::move(opened);
    }

    void decide(int number, std::chrono::seconds at) {
        const vigie::EventTime time{at};
        const schemas::EventMeta meta{{"d-" + std::to_string(number)}, "/test", time, {"default"}};
        schemas::Decision decision;
        decision.kind = schemas::DecisionKind::kKill;
        decision.value = "on";
        decision.actor = "test";
        REQUIRE(streams::append_and_wait(bus, {{std::string(topics::kDecisions),
                                                "default",
                                                schemas::encode({meta, decision}),
                                                {},
                                                time}}));
        REQUIRE(worker_->step({100, std::chrono::milliseconds{0}}));
    }

    std::size_t signals() const { return bus.records(topics::kSignals).size(); }
    std::size_t rows() const {
        return bus.state("sequence", {std::string(topics::kDecisions), 0}).size();
    }

    streams::MemoryBus bus;
    vigie::MetricsRegistry metrics;
    vigie::MemoryLog log;
    vigie::SystemClock clock;

private:
    std::unique_ptr<streams::Worker> worker_;
};

}  // namespace

TEST_CASE("sequence: an event id seen before is dropped", "[app]") {
    Fixture fixture({});
    fixture.decide(1, std::chrono::seconds{10});
    fixture.decide(1, std::chrono::seconds{11});
    fixture.decide(2, std::chrono::seconds{12});
    CHECK(fixture.signals() == 2);
}

TEST_CASE("sequence: ids are forgotten by number also where no tick comes", "[app]") {
    Fixture fixture({.seen_max = 10});
    for (int i = 0; i < 100; ++i) fixture.decide(i, std::chrono::seconds{i});
    CHECK(fixture.signals() == 100);
    CHECK(fixture.rows() < 40);
}

TEST_CASE("sequence: ids are forgotten by age also where no tick comes", "[app]") {
    Fixture fixture({.seen_age_max = std::chrono::hours{1}});
    for (int i = 0; i < 50; ++i) fixture.decide(i, std::chrono::seconds{i});
    for (int i = 50; i < 100; ++i) fixture.decide(i, std::chrono::hours{2});
    CHECK(fixture.rows() < 2 * 50 + 20);
}
