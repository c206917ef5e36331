// Three brokers, of which one dies: another leads its partitions and coordinates its groups.
#include <atomic>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <catch2/catch.hpp>

#include "streams/kafka/client.h"
#include "streams/runtime.h"
#include "tests/broker/copying.h"
#include "tests/broker/harness.h"
#include "tests/contract/polling.h"

namespace vigie::streams {

using namespace std::chrono_literals;

namespace {

// The node that leads a partition, counted as Broker does; -1: nobody.
int leader_of(const std::string& servers, const std::string& topic, int partition) {
    MemoryLog log;
    kafka::Hooks hooks(log);
    const kafka::Handle handle =
        *kafka::open_handle(RD_KAFKA_PRODUCER, {{"bootstrap.servers", servers}}, {}, hooks);
    const kafka::Owned<rd_kafka_topic_t> named(
        rd_kafka_topic_new(handle.get(), topic.c_str(), nullptr));
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto code = rd_kafka_metadata(handle.get(), 0, named.get(), &metadata, 20'000);
    const kafka::Owned<const rd_kafka_metadata_t> owner(metadata);
    REQUIRE(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    REQUIRE(metadata->topics[0].partition_cnt > partition);
    const auto& found = metadata->topics[0].partitions[partition];
    return found.leader < 0 ? -1 : found.leader - 1;
}

// What `ask` says once there is somebody to answer. Until then it says kUnavailable, each time
// within the answer's deadline and what one call may take longer.
template <class Ask>
auto answer(const KafkaHarness& harness, const Ask& ask) {
    const Waiting waiting(90s);
    while (true) {
        const SteadyTime start = harness.clock.steady();
        auto result = ask();
        CHECK(harness.clock.steady() - start < 25s);
        if (result) return *std::move(result);
        if (result.error().kind != ErrorKind::kUnavailable || waiting.over()) {
            FAIL(result.error().message);
        }
    }
}

// All that asks the dead node's partition and group is answered, and says what was written:
// `appended_min` records, and the group's position is not behind `position_min`.
void check_answers(KafkaHarness& harness, int partition, std::size_t appended_min,
                   std::int64_t position_min) {
    const Bus& bus = harness.bus();
    const Partition in{"in", partition};
    const auto range = answer(harness, [&] { return bus.range(in); });
    CHECK(range.begin == 0);
    CHECK(range.end > 0);
    CHECK(answer(harness, [&] { return bus.group_position("copy", in); }) >= position_min);
    std::set<std::string> found;
    for (int index = 0; index < 2; ++index) {
        const auto records = answer(harness, [&] {
            return bus.read({"in", index}, 0, {.records_max = 1'000'000, .wait_max = 0ms});
        });
        for (const Record& record : records) found.insert(record.message.value);
    }
    CHECK(found.size() >= appended_min);
}

}  // namespace

TEST_CASE("kafka: when the leader dies another takes over, and nothing is lost or twice",
          "[broker]") {
    Broker broker(3);
    KafkaHarness harness(broker);
    REQUIRE(make_pairs(harness.bus(), 2).has_value());
    Runtime runtime(harness.bus(), harness.metrics, harness.log, harness.clock);
    runtime.start(copier());
    std::atomic<int> done{0};
    std::jthread appending([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); i += 10) {
            append_numbers(harness.bus(), i, i + 10);
            done = i + 10;
        }
    });
    // A group's coordinator moves too, also between a question and its answer.
    std::jthread asking([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            static_cast<void>(harness.bus().group_position("copy", {"in", 0}));
            std::this_thread::sleep_for(2ms);
        }
    });
    int partition = 0;
    for (const int at : {20, 60}) {
        REQUIRE(test::eventually([&] { return done >= at; }, 120s));
        const int leader = leader_of(broker.servers(), harness.prefix() + "in", partition);
        INFO("partition " << partition << " was led by node " << leader);
        REQUIRE(leader >= 0);
        std::int64_t position = 0;
        REQUIRE(test::eventually(
            [&] {
                position = harness.bus().group_position("copy", {"in", partition}).value_or(0);
                return position > 0;
            },
            120s));
        const int before = done;
        broker.kill(leader);
        check_answers(harness, partition, static_cast<std::size_t>(before), position);
        // Without it work goes on.
        REQUIRE(test::eventually([&] { return done >= before + 20; }, 120s));
        CHECK(test::eventually([&] { return runtime.healthy(); }, 60s));
        broker.start(leader);
        ++partition;
    }
    asking.request_stop();
    asking.join();
    appending.request_stop();
    appending.join();
    CHECK(values_in(harness.bus(), 2).size() == static_cast<std::size_t>(done));
    CHECK(test::eventually([&] { return copied_exactly_once(harness.bus(), 2); }, 120s));
    CHECK(test::eventually([&] { return runtime.healthy(); }, 60s));
    runtime.stop();
}

}  // namespace vigie::streams
