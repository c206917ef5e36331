// What an installation says of itself: names of its processes, and the topics it needs.
#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "streams/kafka/kafka_bus.h"
#include "tests/broker/harness.h"
#include "tests/contract/polling.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using kafka::KafkaBus;

namespace {

// A process with an instance name, and its member of the group "g".
struct Named {
    Named(KafkaHarness& harness, const std::string& instance) {
        auto options = harness.options();
        options.instance = instance;
        auto opened = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
        if (!opened) FAIL(opened.error().message);
        bus = *std::move(opened);
        auto subscribed = bus->subscribe({"g", {"in"}}, listener);
        if (!subscribed) FAIL(subscribed.error().message);
        member = *std::move(subscribed);
    }

    TestListener listener;
    std::unique_ptr<KafkaBus> bus;
    std::unique_ptr<Consumer> member;
};

std::size_t lines_with(const KafkaHarness& harness, const std::string& event) {
    const auto lines = harness.log.lines();
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(),
                      [&](const std::string& line) { return line.find(event) != line.npos; }));
}

}  // namespace

TEST_CASE("kafka: a member with an instance name that restarts moves no partition", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 4).has_value());
    auto one = std::make_unique<Named>(harness, "one");
    const Named two(harness, "two");
    const auto shared = [&] {
        return one->listener.owned.size() == 2 && two.listener.owned.size() == 2;
    };
    REQUIRE(poll_until<KafkaHarness>({one->member.get(), two.member.get()}, shared));
    const auto owned = one->listener.owned;
    const int given_to_two = two.listener.assigned;
    REQUIRE(*harness.bus().group_members("g") == 2);

    one.reset();
    CHECK(*harness.bus().group_members("g") == 2);
    one = std::make_unique<Named>(harness, "one");
    REQUIRE(poll_until<KafkaHarness>({one->member.get(), two.member.get()}, shared));
    CHECK(one->listener.owned == owned);
    CHECK(one->listener.assigned == 2);
    CHECK(two.listener.assigned == given_to_two);
    // Neither stands still: both take steps under the generation that they had.
    for (const Named* process : std::initializer_list<const Named*>{one.get(), &two}) {
        const Partition in{"in", process->listener.owned.front()};
        const Status step =
            process->member->commit({.input = in, .next = 0, .state = {{"k", "v"}}, .outputs = {}});
        if (!step) FAIL(step.error().message);
    }
}

TEST_CASE("kafka: each way in which a topic that exists does not fit is said", "[broker]") {
    KafkaHarness harness;
    const std::string prefix = harness.prefix();
    auto options = harness.options();
    options.record_bytes_max = 1000;
    options.replication_factor = 1;
    harness.open(options);
    const std::vector<TopicOptions> topics{{.name = "narrow", .partitions = 2},
                                           {.name = "plain"},
                                           {.name = "keyed", .compacted = true}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    REQUIRE(harness.bus().ensure_topics(topics).has_value());

    const auto refused = [&](std::vector<TopicOptions> wanted) {
        const Status status = harness.bus().ensure_topics(wanted);
        REQUIRE_FALSE(status.has_value());
        CHECK(status.error().kind == ErrorKind::kInvalid);
        return status.error().message;
    };
    CHECK(refused({{.name = "narrow", .partitions = 3}}) ==
          "topic narrow exists with 2 partitions, not 3: they cannot change");
    CHECK(refused({{.name = "keyed"}}) ==
          fmt::format("topic {}keyed exists with cleanup.policy=compact, not delete: change it",
                      prefix));
    CHECK(lines_with(harness, "topic does not fit") == 0);

    options.record_bytes_max = 1'000'000;
    options.replication_factor = 3;
    harness.open(options);
    const std::string several = refused({{.name = "narrow", .partitions = 3},
                                         {.name = "plain", .compacted = true},
                                         {.name = "new"}});
    CHECK(several ==
          "topic narrow exists with 2 partitions, not 3: they cannot change (and 5 "
          "more: the log has a line for each)");
    CHECK(lines_with(harness, "topic does not fit") == 6);
    CHECK(lines_with(harness, prefix + "plain exists with 1 replicas, not 3") == 1);
    CHECK(lines_with(harness, prefix + "plain exists with cleanup.policy=delete, not compact") ==
          1);
    CHECK(lines_with(harness, prefix + "narrow exists with max.message.bytes=") == 1);
    CHECK(lines_with(harness, prefix + "plain exists with max.message.bytes=") == 1);
    CHECK(harness.bus().partition_count("new").error().kind == ErrorKind::kNotFound);
}

}  // namespace vigie::streams
