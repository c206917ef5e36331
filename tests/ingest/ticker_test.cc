#include <set>

#include <catch2/catch.hpp>

#include "ingest/ticker.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
using namespace std::chrono_literals;
namespace topics = schemas::topics;

namespace {

struct Ticking {
    explicit Ticking(std::int32_t partitions) {
        clock.set("2026-11-21T10:00:00.250Z");
        const std::vector<streams::TopicOptions> options{
            {.name = "vigie.metrics", .partitions = partitions}, {.name = "vigie.alerts"}};
        REQUIRE(bus.ensure_topics(options).has_value());
    }
    TestClock clock;
    streams::MemoryBus bus;
    HeldBus held{bus};
    MetricsRegistry metrics;
};

}  // namespace

TEST_CASE("ticker: every partition of every topic gets one tick with the wall clock's time",
          "[ingest]") {
    Ticking t(7);
    Ticker ticker({.topics = {"vigie.metrics", "vigie.alerts"}}, t.bus, t.clock, t.metrics);
    REQUIRE(ticker.tick().has_value());

    std::set<std::int32_t> partitions;
    std::set<std::string> ids;
    for (const auto& topic : {"vigie.metrics", "vigie.alerts"}) {
        for (const auto& record : t.bus.records(topic)) {
            if (record.partition.topic == "vigie.metrics")
                partitions.insert(record.partition.index);
            CHECK(record.message.event_time == at("2026-11-21T10:00:00.250Z"));
            CHECK(header_of(record.message, topics::kHeaderKind) == topics::kKindTick);
            const auto event = schemas::decode(record.message.value);
            REQUIRE(event.has_value());
            CHECK(std::holds_alternative<schemas::Tick>(event->data));
            ids.insert(event->meta.id.value);
        }
    }
    CHECK(partitions.size() == 7);
    CHECK(t.bus.records("vigie.metrics").size() == 7);
    CHECK(t.bus.records("vigie.alerts").size() == 1);
    CHECK(ids.size() == 8);
}

TEST_CASE("ticker: ticks do not pile up behind a slow bus", "[ingest]") {
    Ticking t(1);
    Ticker ticker({.topics = {"vigie.alerts"}}, t.held, t.clock, t.metrics);
    CHECK(ticker.tick().has_value());
    const auto second = ticker.tick();
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().kind == ErrorKind::kOverloaded);
    CHECK(t.held.held() == 1);
    t.held.release();
    CHECK(ticker.tick().has_value());
    t.held.release();
    CHECK(t.bus.records("vigie.alerts").size() == 2);
}

TEST_CASE("ticker: a log that is ahead of the clock is told, also after a restart", "[ingest]") {
    Ticking t(3);
    {
        Ticker ticker({.topics = {"vigie.metrics"}}, t.bus, t.clock, t.metrics);
        t.clock.set("2027-11-21T10:00:00Z");
        REQUIRE(ticker.tick().has_value());
        CHECK(ticker.check_time_moves(10s).has_value());
        t.clock.set("2026-11-21T10:00:00Z");
        CHECK_FALSE(ticker.check_time_moves(10s).has_value());
    }
    Ticker again({.topics = {"vigie.metrics"}}, t.bus, t.clock, t.metrics);
    REQUIRE(again.tick().has_value());
    const auto moves = again.check_time_moves(10s);
    REQUIRE_FALSE(moves.has_value());
    CHECK(moves.error().message ==
          "time stands still: the log has reached 2027-11-21T10:00:00Z, 52w1d ahead of the clock");
    t.clock.set("2027-11-21T09:59:55Z");
    REQUIRE(again.tick().has_value());
    CHECK(again.check_time_moves(10s).has_value());
}

TEST_CASE("ticker: an unknown topic is named, and the ticker goes on when it is there",
          "[ingest]") {
    Ticking t(1);
    Ticker ticker({.topics = {"vigie.logs"}}, t.bus, t.clock, t.metrics);
    const auto status = ticker.tick();
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().kind == ErrorKind::kNotFound);
    const std::vector<streams::TopicOptions> options{{.name = "vigie.logs"}};
    REQUIRE(t.bus.ensure_topics(options).has_value());
    CHECK(ticker.tick().has_value());
    CHECK(t.bus.records("vigie.logs").size() == 1);
}
