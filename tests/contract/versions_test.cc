// What a newer version of Vigie wrote is refused in words, and left as it is. The other direction,
// a folder of an older version, is in tests/app/previous_version_test.cc.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "streams/worker.h"
#include "tests/contract/harness.h"
#include "tests/contract/raw_folder.h"

namespace vigie::streams {

namespace {

constexpr char kNewer = 9;

// Family, then key: every row of the folder.
using Rows = std::map<std::string, std::map<std::string, std::string>>;

Rows rows_of(const std::string& path) {
    Rows rows;
    with_families(path, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle& family) {
        const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator({}, &family));
        for (at->SeekToFirst(); at->Valid(); at->Next()) {
            rows[family.GetName()][at->key().ToString()] = at->value().ToString();
        }
    });
    return rows;
}

void put(const std::string& path, const std::string& family, const std::string& key,
         const std::string& value) {
    with_families(path, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle& at) {
        if (at.GetName() == family) VIGIE_ASSERT(db.Put({}, &at, key, value).ok());
    });
}

// Everything that a process reads when it goes on.
Status read_all(const RocksHarness& harness) {
    MetricsRegistry metrics;
    VIGIE_TRY_ASSIGN(const auto bus,
                     rocks::RocksBus::open(harness.options(), harness.clock, metrics));
    VIGIE_TRY(bus->read({"in", 0}, 0, kNow));
    VIGIE_TRY(bus->group_position("g", {"in", 0}));
    TestListener listener;
    VIGIE_TRY_ASSIGN(const auto consumer, bus->subscribe({"g", {"in"}}, listener));
    VIGIE_TRY(consumer->poll(kNow));
    VIGIE_TRY(consumer->position({"in", 0}));
    return consumer->store({"in", 0}).scan("", [](auto, auto) { return true; });
}

}  // namespace

TEST_CASE("versions: any row of a newer format is kCorrupt, and nothing is touched", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "1"), msg("", "2")}).has_value());
    {
        TestListener listener;
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        REQUIRE(consumer->poll(kNow)->size() == 2);
        REQUIRE(consumer->commit({{"in", 0}, 1, {{"k", "v"}}, {}}).has_value());
    }
    harness.close();
    REQUIRE(read_all(harness).has_value());
    const std::string path = harness.options().path;
    const Rows before = rows_of(path);
    std::size_t refused = 0;
    for (const auto& [family, rows] : before) {
        for (const auto& [key, value] : rows) {
            CAPTURE(family, key);
            REQUIRE_FALSE(value.empty());
            put(path, family, key, kNewer + value.substr(1));
            const Rows tampered = rows_of(path);
            const Status status = read_all(harness);
            REQUIRE_FALSE(status.has_value());
            CHECK(status.error().kind == ErrorKind::kCorrupt);
            CHECK_THAT(status.error().message,
                       Catch::Contains("format") || Catch::Contains("another version of Vigie"));
            CHECK(rows_of(path) == tampered);
            put(path, family, key, value);
            ++refused;
        }
    }
    // The folder, three topics, a segment, a chunk, a position and a row of state at least.
    CHECK(refused >= 8);
    CHECK(read_all(harness).has_value());
}

TEST_CASE("versions: a worker's row of a newer format stops it, and nothing is touched",
          "[contract]") {
    class Nothing final : public Processor {
        Status on_record(const Record&, Context&) override { return {}; }
        Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
    };
    // The watermark, a timer, and the end of a row.
    const std::string row = GENERATE(std::string("w"), std::string("tname"), std::string("erow"));
    MemoryBus bus;
    REQUIRE(make_topics(bus).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "1")}).has_value());
    const Changes newer{{row, std::string(1, kNewer) + "12345678"}};
    {
        TestListener listener;
        const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
        REQUIRE(consumer->poll(kNow)->size() == 1);
        REQUIRE(consumer->commit({{"in", 0}, 0, newer, {}}).has_value());
    }
    Worker::Options options;
    options.stage = "stage";
    options.subscription = {"g", {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<Nothing>(); };
    MetricsRegistry metrics;
    MemoryLog log;
    const TestClock clock;
    const auto worker = Worker::open(bus, options, metrics, log, clock);
    REQUIRE(worker.has_value());
    const auto done = (*worker)->step(kNow);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == ErrorKind::kCorrupt);
    CHECK_THAT(done.error().message, Catch::Contains("'" + row + "' is not a time of format 1"));
    CHECK(bus.state("g", {"in", 0}) == std::map<std::string, std::string>{{row, *newer.at(row)}});
    CHECK(*bus.group_position("g", {"in", 0}) == 0);
}

}  // namespace vigie::streams
