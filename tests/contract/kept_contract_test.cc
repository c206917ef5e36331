// What every bus forgets, refuses and keeps: retention, back-pressure, snapshots of bulk state.
#include <atomic>
#include <future>

#include <catch2/catch.hpp>

#include "streams/runtime.h"
#include "tests/contract/buses.h"

namespace vigie::streams {

namespace {

const Partition kIn{"in", 0};

// Bytes that no compression makes small, the same for the same seed.
std::string noise(std::size_t size, std::uint64_t seed) {
    std::string bytes;
    bytes.reserve(size + 8);
    while (bytes.size() < size) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        for (int shift = 24; shift < 64; shift += 8) {
            bytes.push_back(static_cast<char>(seed >> shift));
        }
    }
    bytes.resize(size);
    return bytes;
}

template <class Harness>
struct Member {
    explicit Member(Harness& harness)
        : consumer(*harness.bus().subscribe({"g", {"in"}}, listener)) {
        REQUIRE(poll_until<Harness>({consumer.get()}, [&] { return listener.assigned > 0; }));
    }
    TestListener listener;
    std::unique_ptr<Consumer> consumer;
};

}  // namespace

CONTRACT("bus: retention by size forgets the oldest, keeps the newest, and tells a late reader") {
    TestType harness;
    const std::vector<TopicOptions> topics{{.name = "in", .retention_bytes = 10'000},
                                           {.name = "out"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    harness.forget_soon("in");
    const auto append = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
            const std::string value = std::to_string(i) + std::string(90, '.');
            REQUIRE(append_and_wait(harness.bus(), {msg("", value)}).has_value());
        }
    };
    append(0, 10);
    Offset stands_at = 0;
    {
        TestListener listener;
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        const auto first = poll_records<TestType>(*consumer, 10);
        REQUIRE(first.size() == 10);
        stands_at = first[4].offset + 1;
        REQUIRE(consumer->commit({.input = kIn, .next = stands_at, .state = {}, .outputs = {}})
                    .has_value());
    }
    append(10, 310);
    const Waiting waiting(std::chrono::seconds{30});
    while (harness.bus().range(kIn)->begin <= stands_at && !waiting.over()) harness.let_time_pass();
    const auto range = *harness.bus().range(kIn);
    REQUIRE(range.begin > stands_at);
    CHECK(range.end >= 310);

    const auto kept = records_on(harness.bus(), "in");
    REQUIRE(kept.size() >= 50);  // 10,000 bytes of records of 129, about 165 as batches of Kafka.
    CHECK(kept.front().offset >= range.begin);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        const auto number = std::to_string(310 - kept.size() + i);
        CHECK(kept[i].message.value.starts_with(number + "."));
    }
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    const auto rest = poll_records<TestType>(*consumer, kept.size());
    REQUIRE_FALSE(rest.empty());
    CHECK(rest.front().offset >= range.begin);
    CHECK(rest.front().removed_before >= range.begin - stands_at);
    CHECK(rest.back().removed_before == 0);
}

CONTRACT_OF_QUEUES("bus: a full queue refuses appends, and what was taken is still written") {
    TestType harness;
    auto options = harness.options();
    options.append_queue_max = 3;
    harness.open(options);
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    // Holds the thread that appends inside an answer while the queue fills.
    std::promise<void> inside;
    std::promise<void> release;
    bus.append({msg("", "first")}, [&](Status) {
        inside.set_value();
        release.get_future().wait();
    });
    inside.get_future().wait();
    std::atomic<int> acknowledged{0};
    const auto count = [&](Status status) { acknowledged += status ? 1 : 0; };
    bus.append({msg("", "1"), msg("", "2")}, count);
    bus.append({msg("", "3")}, count);
    std::promise<Status> refusal;
    bus.append({msg("", "4"), msg("", "4", "out")},
               [&](Status status) { refusal.set_value(std::move(status)); });
    release.set_value();
    const Status refused = refusal.get_future().get();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::kOverloaded);
    CHECK_FALSE(refused.error().message.empty());
    const Waiting waiting(std::chrono::seconds{30});
    while (acknowledged < 2 && !waiting.over()) wait_for(std::chrono::milliseconds{1}, {});
    REQUIRE(append_and_wait(bus, {msg("", "5")}).has_value());
    CHECK(values_on(bus, "in") == std::vector<std::string>{"first", "1", "2", "3", "5"});
    CHECK(values_on(bus, "out").empty());
    CHECK_THAT(harness.metrics.expose(), Catch::Contains("refused_total{reason=\"queue_full\"} 1"));
}

CONTRACT("bus: a snapshot of any size is there for whoever takes the partition over") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1000}, std::size_t{9} << 20U}) {
        TestType harness;
        REQUIRE(make_topics(harness.bus()).has_value());
        const std::string first = noise(size, 1);
        const std::string second = noise(size, 2);
        std::string reference;
        {
            const Member<TestType> member(harness);
            const auto save = [&](const std::string& bytes) {
                const auto saved = member.consumer->save_bulk(kIn, bytes);
                if (!saved) FAIL(saved.error().message);
                return *saved;
            };
            const std::string older = save(first);
            member.consumer->keep_bulk(kIn, older);
            reference = save(second);
            member.consumer->keep_bulk(kIn, reference);
            // Not committed: the owner dies before the step that would name it.
            save(first);
        }
        harness.reopen_elsewhere();
        const Member<TestType> member(harness);
        const auto loaded = member.consumer->load_bulk(kIn, reference);
        if (!loaded) FAIL(loaded.error().message);
        CHECK((*loaded == second));
        // And it can go on from there.
        const auto next = member.consumer->save_bulk(kIn, first);
        REQUIRE(next.has_value());
        CHECK((*member.consumer->load_bulk(kIn, reference) == second));
        CHECK((*member.consumer->load_bulk(kIn, *next) == first));
        CHECK(member.consumer->load_bulk(kIn, "?").error().kind == ErrorKind::kInvalid);
    }
}

}  // namespace vigie::streams
