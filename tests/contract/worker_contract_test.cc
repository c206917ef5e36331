// A worker on every bus: what a step makes durable survives reopening, exactly once.
#include <catch2/catch.hpp>

#include "streams/worker.h"
#include "tests/contract/buses.h"
#include "tests/contract/copier.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

namespace {

EventTime at(std::int64_t seconds) {
    return EventTime{std::chrono::seconds{seconds}};
}

Message timed(std::string value, std::int64_t seconds) {
    return {"in", "", std::move(value), {{"kind", "tick"}}, at(seconds)};
}

// Counts records, sets a timer for each "set", refuses each "bad".
class Counting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        VIGIE_TRY_ASSIGN(const auto before, context.get("n"));
        const std::string n = std::to_string(before ? std::stoi(*before) + 1 : 1);
        context.put("n", n);
        context.emit(msg("", record.message.value + "=" + n, "out"));
        if (record.message.value == "set") {
            context.set_timer("t", record.message.event_time + 10s);
        }
        if (record.message.value == "bad") return fail(ErrorKind::kInvalid, "bad");
        return {};
    }
    Status on_timer(std::string_view name, EventTime, Context& context) override {
        VIGIE_TRY_ASSIGN(const auto n, context.get("n"));
        context.emit(msg("", std::string(name) + " after " + n.value_or("nothing"), "out"));
        return {};
    }
};

// Says what it finds in row "k", and then does as the record says.
class Forgetting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        const std::string& word = record.message.value;
        VIGIE_TRY_ASSIGN(const auto found, context.get("k"));
        context.emit(msg("", found.value_or("gone"), "out"));
        const EventTime until = record.message.event_time + 10s;
        if (word == "one") context.put_until("k", "1", until);
        if (word == "two") context.put_until("k", "2", until);
        if (word == "for ever") context.put("k", "3");
        if (word != "bad") return {};
        context.put_until("k", "bad", record.message.event_time + 1s);
        return fail(ErrorKind::kInvalid, "bad");
    }
    Status on_timer(std::string_view, EventTime, Context&) override {
        return fail(ErrorKind::kCorrupt, "nobody set a timer");
    }
};

// One record in a life of its own.
template <class Harness>
void live_through(Harness& harness, MetricsRegistry& metrics, const Worker::Options& options,
                  const Message& message) {
    const TestClock clock;
    MemoryLog log;
    REQUIRE(append_and_wait(harness.bus(), {message}).has_value());
    auto worker = *Worker::open(harness.bus(), options, metrics, log, clock);
    const Waiting waiting(Harness::kPatience);
    std::size_t records = 0;
    do {
        const auto done = worker->step(kNow);
        REQUIRE(done.has_value());
        records += *done;
    } while (records == 0 && !waiting.over());
    REQUIRE(records == 1);
}

}  // namespace

CONTRACT("worker: a row with an end is gone when event time gets there, not before") {
    TestType harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    MetricsRegistry metrics;
    const std::vector<Message> script{timed("one", 1),   timed("look", 5),      timed("bad", 6),
                                      timed("look", 10), timed("look", 11),     timed("one", 12),
                                      timed("two", 15),  timed("look", 23),     timed("look", 25),
                                      timed("one", 26),  timed("for ever", 27), timed("look", 60)};
    for (const Message& message : script) {
        live_through(harness, metrics, stage_of<Forgetting>("forget"), message);
        harness.reopen();
    }
    CHECK(values_on(harness.bus(), "out") ==
          Values{"gone", "1", "1", "gone", "gone", "1", "2", "gone", "gone", "1", "3"});
    CHECK(values_on(harness.bus(), "vigie.deadletter").size() == 1);
}

CONTRACT("worker: state, timers, watermark and dead letters survive reopening") {
    TestType harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    MetricsRegistry metrics;
    const std::vector<Message> script{timed("a", 1),    timed("set", 5), timed("bad", 6),
                                      timed("late", 2), timed("b", 14),  timed("c", 15),
                                      timed("d", 16)};
    for (const Message& message : script) {
        live_through(harness, metrics, stage_of<Counting>("count"), message);
        harness.reopen();
    }
    CHECK(values_on(harness.bus(), "out") ==
          Values{"a=1", "set=2", "late=3", "b=4", "t after 4", "c=5", "d=6"});
    CHECK(values_on(harness.bus(), "vigie.deadletter") == Values{"bad"});
    CHECK(*harness.bus().group_position("count", {"in", 0}) ==
          records_on(harness.bus(), "in").back().offset + 1);
    CHECK_THAT(metrics.expose(),
               Catch::Contains("vigie_streams_records_late_total{stage=\"count\"} 1"));
}

}  // namespace vigie::streams
