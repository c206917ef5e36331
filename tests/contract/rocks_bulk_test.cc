#include <charconv>
#include <filesystem>

#include <catch2/catch.hpp>

#include "streams/worker.h"
#include "tests/contract/harness.h"

// Bulk state on the embedded log: its snapshots are files beside it.
namespace vigie::streams {

using namespace std::chrono_literals;

namespace {

// Counts records in memory and says the count of each.
class Counting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        context.emit(msg("", record.message.value + "=" + std::to_string(++count_), "out"));
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
    bool has_bulk_state() const override { return true; }
    std::string snapshot() const override { return std::to_string(count_); }
    Status restore(std::string_view snapshot) override {
        std::from_chars(snapshot.data(), snapshot.data() + snapshot.size(), count_);
        return {};
    }

private:
    int count_ = 0;
};

void count_to_end(RocksHarness& harness) {
    Worker::Options options;
    options.stage = "count";
    options.subscription = {"count", {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<Counting>(); };
    options.snapshot_records = 10;
    MemoryLog log;
    const auto worker = Worker::open(harness.bus(), options, harness.metrics, log, harness.clock);
    REQUIRE(worker.has_value());
    for (int idle = 0; idle < 3;) {
        const auto done = (*worker)->step({7, 0ms});
        REQUIRE(done.has_value());
        idle = *done == 0 ? idle + 1 : 0;
    }
}

void send(RocksHarness& harness, int from, int to) {
    for (int i = from; i < to; ++i) {
        REQUIRE(append_and_wait(harness.bus(), {msg("", std::to_string(i))}).has_value());
    }
}

std::size_t snapshots(const RocksHarness& harness) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(harness.options().path + "/bulk"), {}));
}

}  // namespace

TEST_CASE("rocks: bulk state continues from its last snapshot", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    send(harness, 0, 25);
    count_to_end(harness);
    CHECK(snapshots(harness) == 1);
    harness.reopen();
    send(harness, 25, 30);
    count_to_end(harness);
    const auto said = values_on(harness.bus(), "out");
    // Twenty were in the snapshot; five were said again, with the same counts.
    REQUIRE(said.size() == 35);
    CHECK(said[24] == "24=25");
    CHECK(said[25] == "20=21");
    CHECK(said[34] == "29=30");
}

TEST_CASE("rocks: without its snapshot a stage starts from the oldest record", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    send(harness, 0, 25);
    count_to_end(harness);
    harness.close();
    std::filesystem::remove_all(harness.options().path + "/bulk");
    harness.reopen();
    count_to_end(harness);
    const auto said = values_on(harness.bus(), "out");
    REQUIRE(said.size() == 50);
    CHECK(said[25] == "0=1");
    CHECK(said[49] == "24=25");
    CHECK(snapshots(harness) == 1);
}

}  // namespace vigie::streams
