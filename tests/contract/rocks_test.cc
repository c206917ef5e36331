// What only the embedded log promises: disks, processes and limits.
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>

#include <catch2/catch.hpp>

#include "core/rng.h"
#include "streams/rocks/encoding.h"
#include "streams/rocks/maintenance.h"
#include "streams/worker.h"
#include "tests/contract/child.h"
#include "tests/contract/copier.h"
#include "tests/contract/harness.h"
#include "tests/contract/polling.h"
#include "tests/contract/raw_folder.h"

namespace vigie::streams::rocks {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

namespace {

using Change = std::function<void(rocksdb::DB&, rocksdb::ColumnFamilyHandle* in)>;

// Lets `change` write into the closed log, as often as there are column families of this name:
// once or never.
void tamper(const std::string& path, const Change& change, std::string_view family = "topic:in") {
    with_families(path, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle& handle) {
        if (handle.GetName() == family) change(db, &handle);
    });
}

// Appends numbers from `first` on, says each acknowledged one on `pipe`, and copies them with
// a worker, until it is killed. With each number the clock goes on by `tick`.
[[noreturn]] void append_until_killed(const RocksBus::Options& options, std::int64_t first,
                                      int pipe, std::chrono::milliseconds tick) {
    // The clock of the parent: for another one everything would be past its retention.
    TestClock clock;
    MetricsRegistry metrics;
    const auto log = make_stderr_log(LogLevel::kError);
    auto bus = RocksBus::open(options, clock, metrics);
    VIGIE_ASSERT(bus.has_value());
    auto worker = Worker::open(**bus, copier(), metrics, *log, clock);
    VIGIE_ASSERT(worker.has_value());
    for (std::int64_t number = first;; ++number) {
        (*bus)->append({msg("", std::to_string(number))}, [number, pipe](Status status) {
            if (status) VIGIE_ASSERT(write(pipe, &number, sizeof number) == sizeof number);
        });
        clock.advance(tick);
        if (number % 16 == 0) VIGIE_ASSERT((*worker)->step(kNow).has_value());
    }
}

}  // namespace

// The other process of the two tests below; alone it does nothing.
TEST_CASE("rocks: child that appends until it is killed", "[.]") {
    const char* folder = std::getenv("VIGIE_TEST_FOLDER");
    if (folder == nullptr) return;
    RocksBus::Options options;
    options.path = folder;
    append_until_killed(options, std::stoll(std::getenv("VIGIE_TEST_FIRST")),
                        std::stoi(std::getenv("VIGIE_TEST_PIPE")),
                        std::chrono::milliseconds{std::stoi(std::getenv("VIGIE_TEST_TICK_MS"))});
}

TEST_CASE("rocks: child that holds the folder", "[.]") {
    const char* folder = std::getenv("VIGIE_TEST_FOLDER");
    if (folder == nullptr) return;
    RocksBus::Options options;
    options.path = folder;
    const TestClock clock;
    MetricsRegistry metrics;
    const auto bus = RocksBus::open(options, clock, metrics);
    char byte = bus ? 'y' : 'n';
    VIGIE_ASSERT(write(std::stoi(std::getenv("VIGIE_TEST_PIPE")), &byte, 1) == 1);
    // Until the other side closes.
    VIGIE_ASSERT(read(std::stoi(std::getenv("VIGIE_TEST_HOLD")), &byte, 1) == 0);
}

namespace {

// Runs the appending child and kills it after a random number of answers. The highest number
// that was acknowledged.
std::int64_t run_and_kill(const std::string& folder, std::int64_t first, int tick_ms, Rng& rng) {
    Pipe pipe;
    Child child("rocks: child that appends until it is killed",
                {{"VIGIE_TEST_FOLDER", folder},
                 {"VIGIE_TEST_FIRST", std::to_string(first)},
                 {"VIGIE_TEST_TICK_MS", std::to_string(tick_ms)},
                 {"VIGIE_TEST_PIPE", std::to_string(pipe.write_end)}},
                {pipe.write_end});
    Pipe::close_end(pipe.write_end);
    std::int64_t acknowledged = -1;
    std::int64_t number = 0;
    const auto kill_after = static_cast<std::int64_t>(1 + rng.below(300));
    for (std::int64_t seen = 0; read(pipe.read_end, &number, sizeof number) == sizeof number;) {
        acknowledged = std::max(acknowledged, number);
        if (++seen == kill_after) child.kill();
    }
    REQUIRE(WIFSIGNALED(child.wait()));
    REQUIRE(acknowledged >= first);
    return acknowledged;
}

}  // namespace

TEST_CASE("rocks: after kill -9 everything acknowledged is there, once, and copied once",
          "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.close();
    Rng rng(7);
    std::int64_t first = 0;
    for (int round = 0; round < 6; ++round) {
        const std::int64_t acknowledged = run_and_kill(harness.options().path, first, 0, rng);

        harness.reopen();
        const auto range = *harness.bus().range({"in", 0});
        CHECK(range.begin == 0);
        CHECK(range.end > acknowledged);
        const auto records = records_on(harness.bus(), "in");
        REQUIRE(static_cast<Offset>(records.size()) == range.end);
        for (std::size_t i = 0; i < records.size(); ++i) {
            REQUIRE(records[i].offset == static_cast<Offset>(i));
            REQUIRE(records[i].message.value == std::to_string(i));
        }
        first = range.end;

        MemoryLog log;
        auto worker = *Worker::open(harness.bus(), copier(), harness.metrics, log, harness.clock);
        while (true) {
            const auto done = worker->step({.records_max = 97, .wait_max = 0ms});
            if (!done) FAIL(done.error().message);
            if (*done == 0) break;
        }
        const auto copies = records_on(harness.bus(), "out");
        REQUIRE(copies.size() == records.size());
        for (std::size_t i = 0; i < copies.size(); ++i) {
            REQUIRE(copies[i].message.value == std::to_string(i) + "=" + std::to_string(i + 1));
        }
        worker.reset();
        harness.close();
    }
    CHECK(first >= 6);
}

TEST_CASE("rocks: kill -9 amid retention leaves a log without holes", "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{
        {.name = "in", .retention_bytes = 5'000},
        {.name = "out", .retention_bytes = 5'000, .retention = 100s},
        {.name = "vigie.deadletter"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    harness.close();
    Rng rng(8);
    std::int64_t first = 0;
    for (int round = 0; round < 6; ++round) {
        const std::int64_t acknowledged = run_and_kill(harness.options().path, first, 1000, rng);
        harness.reopen();
        const auto range = *harness.bus().range({"in", 0});
        CHECK(range.end > acknowledged);
        const auto records = records_on(harness.bus(), "in");
        REQUIRE(static_cast<Offset>(records.size()) == range.end - range.begin);
        for (const Record& record : records) {
            REQUIRE(record.message.value == std::to_string(record.offset));
        }
        const auto copied = *harness.bus().range({"out", 0});
        REQUIRE(static_cast<Offset>(records_on(harness.bus(), "out").size()) ==
                copied.end - copied.begin);
        first = range.end;
        harness.close();
    }
    harness.reopen();
    CHECK(harness.bus().range({"in", 0})->begin > 0);
}

TEST_CASE("rocks: a damaged record is kCorrupt and names its place", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "aaaa"), msg("", "bbbb")}).has_value());
    harness.close();
    tamper(harness.options().path, [](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* in) {
        std::string chunk;
        REQUIRE(db.Get({}, in, chunk_key(0, 0), &chunk).ok());
        chunk[chunk.find("bbbb")] = 'c';
        REQUIRE(db.Put({}, in, chunk_key(0, 0), chunk).ok());
    });
    harness.reopen();
    const auto read = harness.bus().read({"in", 0}, 0, kNow);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().kind == ErrorKind::kCorrupt);
    CHECK(read.error().message == "in/0@1: the record fails its check");
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    // The record before it can still be had.
    CHECK(values_of(*consumer->poll(kNow)) == Values{"aaaa"});
    CHECK(consumer->poll(kNow).error().kind == ErrorKind::kCorrupt);
    CHECK(values_of(*harness.bus().read({"in", 0}, 0, {.records_max = 1, .wait_max = 0ms})) ==
          Values{"aaaa"});
}

TEST_CASE("rocks: a torn chunk and a missing chunk are kCorrupt", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    for (const char* value : {"one", "two", "three"}) {
        REQUIRE(append_and_wait(harness.bus(), {msg("", value)}).has_value());
    }
    harness.close();
    tamper(harness.options().path, [](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* in) {
        std::string chunk;
        REQUIRE(db.Get({}, in, chunk_key(0, 2), &chunk).ok());
        chunk.pop_back();
        REQUIRE(db.Put({}, in, chunk_key(0, 2), chunk).ok());
        REQUIRE(db.Delete({}, in, chunk_key(0, 1)).ok());
    });
    harness.reopen();
    const auto torn = harness.bus().read({"in", 0}, 2, kNow);
    REQUIRE_FALSE(torn.has_value());
    CHECK(torn.error().kind == ErrorKind::kCorrupt);
    CHECK(torn.error().message == "in/0@2: the chunk is cut short");
    const auto missing = harness.bus().read({"in", 0}, 0, kNow);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().kind == ErrorKind::kCorrupt);
    CHECK(missing.error().message == "in/0@1: records are missing");
}

TEST_CASE("rocks: a folder of a newer format is refused", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.close();
    tamper(harness.options().path, [](rocksdb::DB& db, rocksdb::ColumnFamilyHandle*) {
        REQUIRE(db.Put({}, std::string(kFormatKey), std::string(1, kLayout + 1)).ok());
    });
    const auto opened = RocksBus::open(harness.options(), harness.clock, harness.metrics);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::kCorrupt);
}

TEST_CASE("rocks: the folder belongs to one bus at a time", "[contract]") {
    RocksHarness harness;
    const auto second = RocksBus::open(harness.options(), harness.clock, harness.metrics);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().kind == ErrorKind::kConflict);
    harness.close();

    Pipe ready;
    Pipe hold;
    Child child("rocks: child that holds the folder",
                {{"VIGIE_TEST_FOLDER", harness.options().path},
                 {"VIGIE_TEST_PIPE", std::to_string(ready.write_end)},
                 {"VIGIE_TEST_HOLD", std::to_string(hold.read_end)}},
                {ready.write_end, hold.read_end});
    char byte = 0;
    REQUIRE(read(ready.read_end, &byte, 1) == 1);
    CHECK(byte == 'y');
    const auto third = RocksBus::open(harness.options(), harness.clock, harness.metrics);
    REQUIRE_FALSE(third.has_value());
    CHECK(third.error().kind == ErrorKind::kConflict);
    Pipe::close_end(hold.write_end);
    CHECK(child.wait() == 0);
    CHECK(RocksBus::open(harness.options(), harness.clock, harness.metrics).has_value());
}

TEST_CASE("rocks: a folder that cannot be made is kUnavailable", "[contract]") {
    RocksHarness harness;
    auto options = harness.options();
    options.path = "/dev/null/vigie";
    const auto opened = RocksBus::open(options, harness.clock, harness.metrics);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::kUnavailable);
}

namespace {

// Retention runs after a commit, once a second of the clock has passed. Two rounds, because
// the answer may come before the pass.
void run_retention(RocksHarness& harness, const std::function<bool()>& done) {
    for (int i = 0; i < 1000 && !done(); ++i) {
        harness.clock.advance(1s);
        REQUIRE(append_and_wait(harness.bus(), {msg("", "tick", "out")}).has_value());
    }
    REQUIRE(done());
}

}  // namespace

TEST_CASE("rocks: retention by size removes the oldest and keeps what was asked for",
          "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{
        {.name = "in", .retention_bytes = 10'000},
        {.name = "out"},
        {.name = "kept", .retention_bytes = 10'000, .compacted = true}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    for (int i = 0; i < 300; ++i) {
        const std::string value = std::to_string(i) + std::string(90, '.');
        REQUIRE(
            append_and_wait(harness.bus(), {msg("", value), msg("", value, "kept")}).has_value());
    }
    run_retention(harness, [&] { return harness.bus().range({"in", 0})->begin > 200; });
    const auto range = *harness.bus().range({"in", 0});
    CHECK(range.end == 300);
    CHECK(range.begin <= 223);  // 77 records of 129 bytes are 10,000 bytes.
    CHECK(harness.bus().range({"kept", 0})->begin == 0);

    TestListener listener;
    {
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        const auto records = *consumer->poll(kNow);
        REQUIRE_FALSE(records.empty());
        CHECK(records.front().offset == range.begin);
        CHECK(static_cast<Offset>(records.size()) == range.end - range.begin);
    }
    harness.reopen();
    CHECK(harness.bus().range({"in", 0})->begin == range.begin);
    const auto records = records_on(harness.bus(), "in");
    CHECK(records.front().offset == range.begin);
    CHECK(records.front().message.value.starts_with(std::to_string(range.begin)));
}

TEST_CASE("rocks: retention by time may empty a partition, and offsets go on", "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{{.name = "in", .retention = 100s}, {.name = "out"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "0"), msg("", "1")}).has_value());
    harness.clock.advance(60s);
    REQUIRE(append_and_wait(harness.bus(), {msg("", "2")}).has_value());
    harness.clock.advance(60s);
    run_retention(harness, [&] { return harness.bus().range({"in", 0})->begin == 2; });
    CHECK(values_on(harness.bus(), "in") == Values{"2"});
    harness.clock.advance(100s);
    run_retention(harness, [&] { return harness.bus().range({"in", 0})->begin == 3; });
    CHECK(values_on(harness.bus(), "in").empty());

    harness.reopen();
    CHECK(harness.bus().range({"in", 0})->begin == 3);
    CHECK(harness.bus().range({"in", 0})->end == 3);
    REQUIRE(append_and_wait(harness.bus(), {msg("", "3")}).has_value());
    const auto records = records_on(harness.bus(), "in");
    REQUIRE(records.size() == 1);
    CHECK(records[0].offset == 3);
    CHECK_THAT(harness.metrics.expose(),
               Catch::Contains("vigie_streams_log_records_expired_total 3"));
}

namespace {

// A key of this partition out of two.
std::string key_of(std::int32_t partition) {
    std::string key = "a";
    while (partition_of(key, 2) != partition) ++key.back();
    return key;
}

}  // namespace

TEST_CASE("rocks: files of chunks are moved, not written again", "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{{.name = "in", .partitions = 2}, {.name = "out"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    // Opening writes what the log file holds into files, one for each family.
    constexpr std::size_t kFiles = 12;
    for (std::size_t i = 0; i < kFiles; ++i) {
        REQUIRE(
            append_and_wait(harness.bus(), {msg(key_of(0), "0"), msg(key_of(1), "1")}).has_value());
        harness.reopen();
    }
    // RocksDB merges four files that overlap, on a thread of its own: give it the time.
    std::map<std::string, std::size_t> files;
    harness.close();
    for (const char* family : {"topic:in", "topic:in/1"}) {
        const Change count = [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
            const Waiting waiting(10s);
            std::uint64_t pending = 1;
            std::uint64_t running = 1;
            while (pending + running != 0 && !waiting.over()) {
                REQUIRE(db.GetIntProperty(handle, "rocksdb.compaction-pending", &pending));
                REQUIRE(db.GetIntProperty("rocksdb.num-running-compactions", &running));
            }
            CHECK(pending + running == 0);
            rocksdb::ColumnFamilyMetaData meta;
            db.GetColumnFamilyMetaData(handle, &meta);
            files[family] = meta.file_count;
            CHECK(meta.levels[0].files.size() < kFiles);
        };
        tamper(harness.options().path, count, family);
    }
    CHECK(files ==
          std::map<std::string, std::size_t>{{"topic:in", kFiles}, {"topic:in/1", kFiles}});
}

TEST_CASE("rocks: many small files become few, and their records stay", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    const auto files = [&] {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(harness.options().path)) {
            if (entry.path().extension() == ".sst") ++count;
        }
        return count;
    };
    constexpr std::size_t kStarts = 3 * Maintenance::kFilesMin;
    std::size_t most = 0;
    Values expected;
    for (std::size_t i = 0; i < kStarts; ++i) {
        expected.push_back(std::to_string(i));
        REQUIRE(append_and_wait(harness.bus(), {msg("", expected.back())}).has_value());
        harness.reopen();
        most = std::max(most, files());
    }
    CHECK(most > Maintenance::kFilesMin);
    const Waiting waiting(20s);
    while (files() >= Maintenance::kFilesMin + 8 && !waiting.over()) wait_for(10ms, {});
    CHECK(files() < Maintenance::kFilesMin + 8);
    CHECK(values_on(harness.bus(), "in") == expected);
    harness.reopen();
    CHECK(values_on(harness.bus(), "in") == expected);
}

TEST_CASE("rocks: a topic whose partitions share a column family stays readable", "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{{.name = "in", .partitions = 2, .retention = 100s},
                                           {.name = "out"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    harness.close();
    // As the first version made it.
    const Change drop = [](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
        VIGIE_ASSERT(db.DropColumnFamily(handle).ok());
    };
    tamper(harness.options().path, drop, "topic:in/1");
    harness.reopen();
    const auto append = [&](const std::string& value) {
        REQUIRE(append_and_wait(harness.bus(), {msg(key_of(0), value), msg(key_of(1), value)})
                    .has_value());
    };
    append("old");
    harness.clock.advance(60s);
    append("new");
    harness.clock.advance(60s);
    run_retention(harness, [&] { return harness.bus().range({"in", 1})->begin == 1; });
    harness.reopen();
    for (std::int32_t index = 0; index < 2; ++index) {
        const auto records = *harness.bus().read({"in", index}, 0, kNow);
        REQUIRE(records.size() == 1);
        CHECK(records[0].message.value == "new");
        CHECK(records[0].offset == 1);
    }
}

TEST_CASE("rocks: a folder of an older layout becomes the newest when it is opened to write",
          "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "1")}).has_value());
    harness.close();
    const std::string path = harness.options().path;
    const auto layout = [&](std::optional<char> wanted) {
        std::string found;
        const Change look = [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
            if (wanted) {
                VIGIE_ASSERT(
                    db.Put({}, handle, std::string(kFormatKey), std::string(1, *wanted)).ok());
            }
            VIGIE_ASSERT(db.Get({}, handle, std::string(kFormatKey), &found).ok());
        };
        tamper(path, look, "default");
        return found;
    };
    CHECK(layout({}) == std::string(1, kLayout));
    for (const char older : {kLayoutOldest, char{2}}) {
        layout(older);
        auto options = harness.options();
        options.read_only = true;
        REQUIRE(RocksBus::open(options, harness.clock, harness.metrics).has_value());
        CHECK(layout({}) == std::string(1, older));
        REQUIRE(RocksBus::open(harness.options(), harness.clock, harness.metrics).has_value());
        CHECK(layout({}) == std::string(1, kLayout));
    }
    harness.reopen();
    CHECK(values_on(harness.bus(), "in") == Values{"1"});
}

TEST_CASE("rocks: packed chunks are read from their middle", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    std::vector<Message> batch;
    for (int i = 0; i < 100; ++i)
        batch.push_back(msg("", std::to_string(i) + std::string(90, '.')));
    REQUIRE(append_and_wait(harness.bus(), batch).has_value());
    harness.reopen();
    for (Offset from = 0; from < 100; ++from) {
        const auto records = *harness.bus().read({"in", 0}, from, kNow);
        REQUIRE(static_cast<Offset>(records.size()) == 100 - from);
        CHECK(records.front().offset == from);
        CHECK(records.front().message.value == batch[static_cast<std::size_t>(from)].value);
    }
    harness.close();
    bool packed = false;
    tamper(harness.options().path, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
        std::string chunk;
        REQUIRE(db.Get({}, family, chunk_key(0, 0), &chunk).ok());
        packed = chunk.front() == kPacked && chunk.size() < 2000;
    });
    CHECK(packed);
}

TEST_CASE("rocks: a poll is bounded over all partitions", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus(), 4).has_value());
    constexpr std::size_t kBytes = 900'000;
    for (int i = 0; i < 40; ++i) {
        const Message message = msg("key" + std::to_string(i), std::string(kBytes, 'x'));
        REQUIRE(append_and_wait(harness.bus(), {message}).has_value());
    }
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    std::size_t seen = 0;
    while (seen < 40) {
        const auto records = poll_once(*consumer);
        REQUIRE_FALSE(records.empty());
        CHECK(records.size() * kBytes <= (std::size_t{16} << 20U) + kBytes);
        seen += records.size();
    }
    CHECK(seen == 40);
}

TEST_CASE("rocks: without retention nothing is removed, however old it is", "[contract]") {
    RocksHarness harness;
    const std::vector<TopicOptions> topics{{.name = "in", .retention = 100s}, {.name = "out"}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "old")}).has_value());
    auto options = harness.options();
    options.retain = false;
    harness.open(options);
    for (int i = 0; i < 10; ++i) {
        harness.clock.advance(1000s);
        REQUIRE(append_and_wait(harness.bus(), {msg("", "tick", "out")}).has_value());
    }
    CHECK(values_on(harness.bus(), "in") == Values{"old"});
    harness.reopen();
    run_retention(harness, [&] { return harness.bus().range({"in", 0})->begin == 1; });
}

TEST_CASE("rocks: closing answers everything that waits", "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    std::atomic<int> acknowledged{0};
    for (int i = 0; i < 500; ++i) {
        harness.bus().append({msg("", std::to_string(i))},
                             [&](Status status) { acknowledged += status ? 1 : 0; });
    }
    harness.close();
    CHECK(acknowledged == 500);
    harness.reopen();
    CHECK(harness.bus().range({"in", 0})->end == 500);
}

}  // namespace vigie::streams::rocks
