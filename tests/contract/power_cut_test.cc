// The embedded log after power cuts: at any change that it makes to its disk, also while it opens.
#include <fmt/format.h>
#include <rocksdb/env.h>
#include <catch2/catch.hpp>

#include "streams/worker.h"
#include "tests/contract/copier.h"
#include "tests/contract/harness.h"
#include "tests/contract/polling.h"
#include "tests/contract/power_cut.h"

namespace vigie::streams::rocks {

using namespace std::chrono_literals;

namespace {

// Appends numbers from `first` on, in batches, and copies them, until the disk takes no more. Every
// number below the answer was acknowledged.
std::int64_t append_until_cut(RocksBus& bus, std::int64_t first, Rng& rng, const Clock& clock) {
    MetricsRegistry metrics;
    MemoryLog log;
    auto worker = Worker::open(bus, copier(), metrics, log, clock);
    std::int64_t acknowledged = first;
    for (std::int64_t next = first; worker;) {
        std::vector<Message> batch;
        for (auto count = 1 + rng.below(20); count > 0; --count) {
            batch.push_back(msg("", std::to_string(next++)));
        }
        if (!append_and_wait(bus, std::move(batch))) break;
        acknowledged = next;
        if (rng.below(3) == 0 && !(*worker)->step(kNow)) break;
    }
    return acknowledged;
}

void copy_the_rest(RocksHarness& harness) {
    MemoryLog log;
    auto worker = *Worker::open(harness.bus(), copier(), harness.metrics, log, harness.clock);
    while (true) {
        const auto done = worker->step(kNow);
        if (!done) FAIL(done.error().message);
        if (*done == 0) return;
    }
}

}  // namespace

TEST_CASE("rocks: after a power cut everything acknowledged is there, once, and copied once",
          "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.close();
    const auto disk = std::make_shared<PowerCutDisk>();
    const auto env = rocksdb::NewCompositeEnv(disk);
    Rng rng(GENERATE(1U, 2U, 3U));
    std::int64_t first = 0;
    int never_opened = 0;
    for (int round = 0; round < 20; ++round) {
        // Every third early, when the log is being opened.
        disk->cut_after(1 + rng.below(round % 3 == 0 ? 15 : 300));
        std::int64_t acknowledged = first;
        {
            auto options = harness.options();
            options.env = env.get();
            auto bus = RocksBus::open(options, harness.clock, harness.metrics);
            if (bus) acknowledged = append_until_cut(**bus, first, rng, harness.clock);
            never_opened += bus ? 0 : 1;
        }
        CHECK(disk->is_cut());
        disk->restore(rng);

        INFO("round " << round);
        harness.reopen();
        const auto range = *harness.bus().range({"in", 0});
        REQUIRE(range.end >= acknowledged);
        const auto records = records_on(harness.bus(), "in");
        REQUIRE(static_cast<Offset>(records.size()) == range.end);
        for (std::size_t i = 0; i < records.size(); ++i) {
            REQUIRE(records[i].message.value == std::to_string(i));
        }
        copy_the_rest(harness);
        const auto copies = records_on(harness.bus(), "out");
        REQUIRE(copies.size() == records.size());
        for (std::size_t i = 0; i < copies.size(); ++i) {
            REQUIRE(copies[i].message.value == fmt::format("{}={}", i, i + 1));
        }
        first = range.end;
        harness.close();
    }
    // Both happened: cuts amid appends, and amid opening.
    CHECK(first > 200);
    CHECK(never_opened > 0);
    CHECK(never_opened < 15);
}

TEST_CASE("rocks: a step is there whole or not at all, at whatever change the power is cut",
          "[contract]") {
    Rng rng(7);
    int whole = 0;
    int changes = 1;
    // Until the disk takes all that the step changes.
    for (bool cut = true; cut; ++changes) {
        REQUIRE(changes < 200);
        RocksHarness harness;
        REQUIRE(make_topics(harness.bus()).has_value());
        REQUIRE(append_and_wait(harness.bus(), {msg("", "0"), msg("", "1")}).has_value());
        harness.close();
        const auto disk = std::make_shared<PowerCutDisk>();
        const auto env = rocksdb::NewCompositeEnv(disk);
        bool committed = false;
        {
            auto options = harness.options();
            options.env = env.get();
            auto bus = RocksBus::open(options, harness.clock, harness.metrics);
            REQUIRE(bus.has_value());
            MemoryLog log;
            auto worker = Worker::open(**bus, copier(), harness.metrics, log, harness.clock);
            REQUIRE(worker.has_value());
            disk->cut_after(static_cast<std::uint64_t>(changes));
            committed = (*worker)->step(kNow).has_value();
            cut = disk->is_cut();
            disk->cut_after(0);  // Closing writes nothing more.
        }
        disk->restore(rng);
        INFO("cut after " << changes);
        harness.reopen();
        const auto copies = values_on(harness.bus(), "out");
        const Offset position = *harness.bus().group_position("copy", {"in", 0});
        REQUIRE((copies.empty() ? position == 0 : position == 2));
        REQUIRE((copies.empty() || copies == std::vector<std::string>{"0=1", "1=2"}));
        if (committed) REQUIRE_FALSE(copies.empty());
        whole += copies.empty() ? 0 : 1;
        copy_the_rest(harness);
        REQUIRE(values_on(harness.bus(), "out") == std::vector<std::string>{"0=1", "1=2"});
    }
    CHECK(whole >= 1);
}

}  // namespace vigie::streams::rocks
