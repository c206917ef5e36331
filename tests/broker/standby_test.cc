// Copies of the state that other members own, and what a takeover then still reads.
#include <algorithm>

#include <catch2/catch.hpp>

#include "streams/kafka/metrics.h"
#include "tests/broker/life.h"
#include "tests/support/process.h"

namespace vigie::streams {

using namespace std::chrono_literals;
namespace metrics = kafka::metrics;
using test::eventually;

namespace {

constexpr int kRows = 500;

kafka::KafkaBus::Options following(const KafkaHarness& harness,
                                   std::chrono::milliseconds answer_wait_max = 10s) {
    auto options = harness.options();
    options.state_folder.clear();  // So nothing but the copies spares it the changelog.
    options.standby = true;
    options.answer_wait_max = answer_wait_max;
    return options;
}

Changes many_rows(const std::string& value) {
    Changes rows;
    for (int i = 0; i < kRows; ++i) rows["row" + std::to_string(i)] = value;
    rows["large"] = std::string(1'200'000, value[0]);
    return rows;
}

// Those that the members hold between them, one each.
struct Halves {
    Partition first;
    Partition second;
};
Halves halves(const Life& first, const Life& second) {
    REQUIRE(first.listener.owned.size() == 1);
    REQUIRE(second.listener.owned.size() == 1);
    return {{"in", first.listener.owned[0]}, {"in", second.listener.owned[0]}};
}

}  // namespace

TEST_CASE("kafka: with standby copies a takeover reads next to nothing", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    auto first = std::make_unique<Life>(following(harness));
    REQUIRE(poll_until<KafkaHarness>({first->member.get()},
                                     [&] { return first->listener.owned.size() == 2; }));
    for (const std::int32_t index : {0, 1}) first->commit({"in", index}, many_rows("1"));
    auto second = std::make_unique<Life>(following(harness));
    const auto both = [&] {
        return first->listener.owned.size() == 1 && second->listener.owned.size() == 1;
    };
    REQUIRE(poll_until<KafkaHarness>({first->member.get(), second->member.get()}, both));
    const Halves own = halves(*first, *second);

    // What was ours once is followed from where we left it, what never was from the beginning.
    first->commit(own.first, {{"row1", "2"}, {"row2", std::nullopt}, {"large", "small"}});
    second->commit(own.second, {{"row3", "2"}, {"row4", std::nullopt}, {"large", std::nullopt}});
    Changes of_first = many_rows("1");
    of_first["row1"] = "2";
    of_first["large"] = "small";
    of_first.erase("row2");
    Changes of_second = many_rows("1");
    of_second["row3"] = "2";
    of_second.erase("row4");
    of_second.erase("large");
    // Three rows, of which one had three parts.
    REQUIRE(poll_until<KafkaHarness>({first->member.get(), second->member.get()}, [&] {
        return first->count(metrics::kStandbyRecords) == 5 &&
               second->count(metrics::kStandbyRecords) >= kRows + 3 + 5;
    }));

    SECTION("by one that never had it") {
        const std::uint64_t before = second->count(metrics::kRestored);
        first.reset();
        REQUIRE(poll_until<KafkaHarness>({second->member.get()},
                                         [&] { return second->listener.owned.size() == 2; }));
        CHECK(rows_of(second->member->store(own.first)) == of_first);
        CHECK(rows_of(second->member->store(own.second)) == of_second);
        CHECK(second->count(metrics::kRestored) == before);
    }
    SECTION("by one that had it before") {
        const std::uint64_t before = first->count(metrics::kRestored);
        second.reset();
        REQUIRE(poll_until<KafkaHarness>({first->member.get()},
                                         [&] { return first->listener.owned.size() == 2; }));
        CHECK(rows_of(first->member->store(own.first)) == of_first);
        CHECK(rows_of(first->member->store(own.second)) == of_second);
        CHECK(first->count(metrics::kRestored) == before);
    }
    SECTION("but not from one so old that what was erased since may be forgotten") {
        const std::uint64_t before = first->count(metrics::kStandbyRecords);
        first->clock.set_ahead(13h);
        CHECK(eventually([&] { return first->count(metrics::kStandbyRecords) >= before + kRows; }));
    }
}

TEST_CASE("kafka: standby copies fall behind without a broker, and catch up", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    Life first(following(harness));
    REQUIRE(poll_until<KafkaHarness>({first.member.get()},
                                     [&] { return first.listener.owned.size() == 2; }));
    Life second(following(harness, 1s));
    REQUIRE(poll_until<KafkaHarness>({first.member.get(), second.member.get()}, [&] {
        return first.listener.owned.size() == 1 && second.listener.owned.size() == 1;
    }));
    const Partition followed = halves(first, second).first;

    Broker::shared().pause(0);
    CHECK(eventually([&] { return second.count(metrics::kStandbyFailures) > 0; }));
    Broker::shared().resume(0);
    first.commit(followed, {{"row", "1"}});
    CHECK(eventually([&] { return second.count(metrics::kStandbyRecords) == 1; }));
    CHECK(eventually([&] {
        return std::ranges::any_of(second.log.lines(), [](const std::string& line) {
            return line.find("standby copies of state catch up") != std::string::npos;
        });
    }));

    Broker::shared().pause(0);
    const SteadyTime closing = harness.clock.steady();
    second.member.reset();
    CHECK(harness.clock.steady() - closing < 8s);
    Broker::shared().resume(0);
}

}  // namespace vigie::streams
