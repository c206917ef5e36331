// Exactly once through everything that happens to brokers, members and processes.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "core/rng.h"
#include "streams/runtime.h"
#include "tests/broker/copying.h"
#include "tests/broker/harness.h"
#include "tests/contract/child.h"
#include "tests/contract/polling.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;
using kafka::KafkaBus;

TEST_CASE("kafka: a broker killed amid steps loses nothing and repeats nothing", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_pairs(harness.bus(), 2).has_value());
    Runtime runtime(harness.bus(), harness.metrics, harness.log, harness.clock);
    runtime.start(copier());
    constexpr int kNumbers = 160;
    {
        std::atomic<int> done{0};
        std::jthread appending([&] {
            for (int i = 0; i < kNumbers; i += 20) {
                append_numbers(harness.bus(), i, i + 20);
                done = i + 20;
            }
        });
        for (const int at : {40, 100}) {
            REQUIRE(test::eventually([&] { return done >= at; }, 120s));
            Broker::shared().kill(0);
            Broker::shared().start(0);
        }
    }
    CHECK(values_in(harness.bus(), 2).size() == kNumbers);
    CHECK(test::eventually([&] { return copied_exactly_once(harness.bus(), 2); }, 120s));
    CHECK(test::eventually([&] { return runtime.healthy(); }, 60s));
    runtime.stop();
}

TEST_CASE("kafka: members that come and go amid batches lose nothing and repeat nothing",
          "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_pairs(harness.bus(), 4).has_value());
    constexpr int kNumbers = 400;
    std::jthread appending([&] { append_numbers(harness.bus(), 0, kNumbers); });
    Runtime first(harness.bus(), harness.metrics, harness.log, harness.clock);
    first.start(copier());
    const auto copies = [&] {
        std::size_t count = 0;
        for (std::int32_t i = 0; i < 4; ++i) count += records_on(harness.bus(), "out", i).size();
        return count;
    };
    REQUIRE(test::eventually([&] { return copies() > 50; }, 60s));
    {
        Runtime second(harness.bus(), harness.metrics, harness.log, harness.clock);
        second.start(copier());
        second.start(copier());
        const std::size_t before = copies();
        REQUIRE(test::eventually([&] { return copies() > before + 100; }, 120s));
        second.stop();
    }
    appending.join();
    CHECK(test::eventually([&] { return copied_exactly_once(harness.bus(), 4); }, 120s));
    first.stop();
}

TEST_CASE("kafka: members that leave amid their first rebalance do no harm", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    const auto come_and_go = [&](std::chrono::milliseconds step) {
        TestListener listener;
        for (int i = 0; i < 10; ++i) {
            const auto consumer = harness.bus().subscribe({"g", {"in"}}, listener);
            VIGIE_ASSERT(consumer.has_value());
            std::this_thread::sleep_for(i * step);
        }
    };
    {
        std::vector<std::jthread> members;
        for (int i = 1; i <= 4; ++i) members.emplace_back(come_and_go, i * 2ms);
    }
    TestListener listener;
    auto last = harness.bus().subscribe({"g", {"in"}}, listener);
    REQUIRE(last.has_value());
    CHECK(poll_until<KafkaHarness>({last->get()}, [&] { return listener.owned.size() == 2; }));
}

TEST_CASE("kafka: a member that did not poll in time is fenced before it notices", "[broker]") {
    KafkaHarness harness;
    auto options = harness.options();
    options.properties["session.timeout.ms"] = "1500";
    options.properties["max.poll.interval.ms"] = "2000";
    harness.open(options);
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "1")}).has_value());
    TestListener old_listener;
    const auto old_member = *bus.subscribe({"g", {"in"}}, old_listener);
    const auto records = poll_records<KafkaHarness>(*old_member, 1);
    REQUIRE(records.size() == 1);

    TestListener new_listener;
    auto new_member = *bus.subscribe({"g", {"in"}}, new_listener);
    REQUIRE(poll_records<KafkaHarness>(*new_member, 1).size() == 1);
    const Step stale{.input = {"in", 0},
                     .next = records[0].offset + 1,
                     .state = {{"k", "stale"}},
                     .outputs = {msg("", "stale", "out")}};
    CHECK(old_member->commit(stale).error().kind == ErrorKind::kConflict);
    Step good = stale;
    good.outputs[0].value = "good";
    good.state["k"] = "good";
    REQUIRE(new_member->commit(good).has_value());

    // It comes back when the other leaves, and starts from what that one wrote.
    new_member.reset();
    REQUIRE(
        poll_until<KafkaHarness>({old_member.get()}, [&] { return old_listener.assigned == 2; }));
    CHECK(*old_member->store({"in", 0}).get("k") == "good");
    CHECK(*old_member->position({"in", 0}) == records[0].offset + 1);
    CHECK(values_on(bus, "out") == Values{"good"});
}

namespace {

// The bus of a child process, with the parent's names.
KafkaBus::Options child_options() {
    KafkaBus::Options options;
    options.properties = {{"bootstrap.servers", std::getenv("VIGIE_TEST_SERVERS")},
                          {"heartbeat.interval.ms", "300"},
                          {"session.timeout.ms", "2000"}};
    options.prefix = std::getenv("VIGIE_TEST_PREFIX");
    options.instance = std::getenv("VIGIE_TEST_INSTANCE");
    return options;
}

Child::Variables child_variables(const KafkaHarness& harness, const std::string& instance,
                                 const Pipe& pipe) {
    return {{"VIGIE_TEST_SERVERS", Broker::shared().servers()},
            {"VIGIE_TEST_PREFIX", harness.prefix()},
            {"VIGIE_TEST_INSTANCE", instance},
            {"VIGIE_TEST_PIPE", std::to_string(pipe.write_end)}};
}

}  // namespace

// The other process of the test below; alone it does nothing.
TEST_CASE("kafka: child that sleeps with a step in its hands", "[.]") {
    if (std::getenv("VIGIE_TEST_SERVERS") == nullptr) return;
    const int pipe = std::stoi(std::getenv("VIGIE_TEST_PIPE"));
    const SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;
    auto bus = KafkaBus::open(child_options(), clock, metrics, log);
    VIGIE_ASSERT(bus.has_value());
    TestListener listener;
    const auto member = *(*bus)->subscribe({"g", {"in"}}, listener);
    const auto records = poll_records<KafkaHarness>(*member, 1);
    char answer = 'r';
    VIGIE_ASSERT(records.size() == 1 && write(pipe, &answer, 1) == 1);
    VIGIE_ASSERT(raise(SIGSTOP) == 0);
    const Status status = member->commit({.input = {"in", 0},
                                          .next = records[0].offset + 1,
                                          .state = {{"k", "zombie"}},
                                          .outputs = {msg("", "zombie", "out")}});
    answer = status ? 'y' : status.error().kind == ErrorKind::kConflict ? 'c' : 'n';
    VIGIE_ASSERT(write(pipe, &answer, 1) == 1);
}

TEST_CASE("kafka: a process that slept past its session is a zombie and cannot write", "[broker]") {
    KafkaHarness harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "1")}).has_value());
    Pipe pipe;
    Child child("kafka: child that sleeps with a step in its hands",
                child_variables(harness, "", pipe), {pipe.write_end});
    Pipe::close_end(pipe.write_end);
    char answer = 0;
    REQUIRE(read(pipe.read_end, &answer, 1) == 1);
    REQUIRE(answer == 'r');

    TestListener listener;
    const auto member = *bus.subscribe({"g", {"in"}}, listener);
    const auto records = poll_records<KafkaHarness>(*member, 1);
    REQUIRE(records.size() == 1);
    REQUIRE(member
                ->commit({.input = {"in", 0},
                          .next = records[0].offset + 1,
                          .state = {{"k", "living"}},
                          .outputs = {msg("", "living", "out")}})
                .has_value());
    child.send_signal(SIGCONT);
    REQUIRE(read(pipe.read_end, &answer, 1) == 1);
    CHECK(answer == 'c');
    CHECK(values_on(bus, "out") == Values{"living"});
    CHECK(*member->store({"in", 0}).get("k") == "living");
}

// The other process of the test below; alone it does nothing.
TEST_CASE("kafka: child that copies until it is killed", "[.]") {
    if (std::getenv("VIGIE_TEST_SERVERS") == nullptr) return;
    const int pipe = std::stoi(std::getenv("VIGIE_TEST_PIPE"));
    const SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;
    auto bus = KafkaBus::open(child_options(), clock, metrics, log);
    VIGIE_ASSERT(bus.has_value());
    auto worker = Worker::open(**bus, copier(), metrics, log, clock);
    VIGIE_ASSERT(worker.has_value());
    while (true) {
        const auto done = (*worker)->step({.records_max = 3, .wait_max = 100ms});
        VIGIE_ASSERT(done.has_value());
        const char byte = 's';
        if (*done > 0) VIGIE_ASSERT(write(pipe, &byte, 1) == 1);
    }
}

TEST_CASE("kafka: kill -9 of a member loses nothing and repeats nothing", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_pairs(harness.bus(), 2).has_value());
    constexpr int kNumbers = 300;
    std::vector<Message> numbers;
    for (int i = 0; i < kNumbers; ++i) {
        numbers.push_back(msg(std::to_string(i), std::to_string(i)));
    }
    REQUIRE(append_and_wait(harness.bus(), numbers).has_value());
    Rng rng(3);
    for (int round = 0; round < 4; ++round) {
        Pipe pipe;
        Child child("kafka: child that copies until it is killed",
                    child_variables(harness, "one", pipe), {pipe.write_end});
        Pipe::close_end(pipe.write_end);
        char byte = 0;
        for (std::uint64_t steps = 1 + rng.below(12); steps != 0; --steps) {
            REQUIRE(read(pipe.read_end, &byte, 1) == 1);
        }
        child.kill();
        child.wait();
    }
    Runtime runtime(harness.bus(), harness.metrics, harness.log, harness.clock);
    runtime.start(copier());
    CHECK(test::eventually([&] { return copied_exactly_once(harness.bus(), 2); }, 120s));
    runtime.stop();
}

TEST_CASE("kafka: with a broker that does not answer all ends within seconds", "[broker]") {
    KafkaHarness harness;
    auto options = harness.options();
    options.answer_wait_max = 2s;
    harness.open(options);
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "1")}).has_value());
    TestListener listener;
    auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_records<KafkaHarness>(*consumer, 1).size() == 1);
    Broker::shared().pause(0);
    const SteadyTime start = harness.clock.steady();
    // First: once its session is over, a member says kConflict.
    const Status step =
        consumer->commit({.input = {"in", 0}, .next = 1, .state = {{"k", "v"}}, .outputs = {}});
    REQUIRE_FALSE(step.has_value());
    CHECK(step.error().kind == ErrorKind::kUnavailable);
    CHECK(consumer->poll(kNow).error().kind == ErrorKind::kUnavailable);
    CHECK(append_and_wait(harness.bus(), {msg("", "2")}).error().kind == ErrorKind::kUnavailable);
    CHECK(harness.bus().read({"in", 0}, 0, kNow).error().kind == ErrorKind::kUnavailable);
    CHECK(harness.bus().range({"in", 0}).error().kind == ErrorKind::kUnavailable);
    CHECK(harness.bus().group_position("g", {"in", 0}).error().kind == ErrorKind::kUnavailable);
    const SteadyTime closing = harness.clock.steady();
    consumer.reset();
    harness.close();
    CHECK(harness.clock.steady() - closing < 15s);
    CHECK(harness.clock.steady() - start < 45s);
    Broker::shared().resume(0);
    harness.reopen();
    // Its fate was unknown: it may be there, but only once.
    REQUIRE(append_and_wait(harness.bus(), {msg("", "3")}).has_value());
    auto values = values_on(harness.bus(), "in");
    std::erase(values, "2");
    CHECK(values == Values{"1", "3"});
}

}  // namespace vigie::streams
