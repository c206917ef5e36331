// The embedded log on a disk that takes nothing for a while: no test bus, no reopening.
#include <atomic>
#include <filesystem>
#include <thread>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <catch2/catch.hpp>

#include "streams/rocks/encoding.h"
#include "streams/rocks/metrics.h"
#include "tests/contract/copier.h"
#include "tests/contract/harness.h"
#include "tests/contract/raw_folder.h"

namespace vigie::streams::rocks {

using namespace std::chrono_literals;

namespace {

// The machine's files, which take no byte while `full`.
class FullDisk final : public rocksdb::FileSystemWrapper {
public:
    FullDisk() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
    const char* Name() const override { return "FullDisk"; }

    rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSWritableFile> real;
        const auto done = target()->NewWritableFile(path, options, &real, debug);
        if (done.ok()) *file = std::make_unique<File>(*this, std::move(real));
        return done;
    }

    // RocksDB looks for room after a write had none.
    rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                   std::uint64_t* free, rocksdb::IODebugContext* debug) override {
        const auto done = target()->GetFreeSpace(path, options, free, debug);
        if (full) {
            *free = 0;
        } else {
            room_seen += 1;
        }
        return done;
    }

    std::atomic<bool> full{false};
    std::atomic<int> room_seen{0};

private:
    class File final : public rocksdb::FSWritableFileOwnerWrapper {
    public:
        File(const FullDisk& disk, std::unique_ptr<rocksdb::FSWritableFile> file)
            : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk) {}
        rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override {
            if (disk_.full) return rocksdb::IOStatus::NoSpace("the disk is full");
            return target()->Append(data, options, debug);
        }
        rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                                 const rocksdb::DataVerificationInfo&,
                                 rocksdb::IODebugContext* debug) override {
            return Append(data, options, debug);
        }

    private:
        const FullDisk& disk_;
    };
};

struct OnFullDisk {
    OnFullDisk() {
        auto options = harness.options();
        options.env = env.get();
        harness.open(options);
    }
    ~OnFullDisk() { harness.close(); }

    std::shared_ptr<FullDisk> disk = std::make_shared<FullDisk>();
    std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    RocksHarness harness;
};

// Waits, in real time, until it holds: RocksDB looks every few seconds whether there is room.
bool comes_true(const std::function<bool()>& holds) {
    for (int i = 0; i < 600; ++i) {
        if (holds()) return true;
        std::this_thread::sleep_for(50ms);
    }
    return false;
}

}  // namespace

TEST_CASE(
    "rocks: when the disk fills amid a write the process lives, and goes on when there is room",
    "[contract]") {
    OnFullDisk on;
    Bus& bus = on.harness.bus();
    REQUIRE(make_topics(bus).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "before")}).has_value());
    MemoryLog log;
    auto worker = *Worker::open(bus, copier(), on.harness.metrics, log, on.harness.clock);
    REQUIRE(worker->step(kNow).has_value());

    on.disk->full = true;
    // The fate of the first is open; of the others nothing was written.
    CHECK(append_and_wait(bus, {msg("", "open")}).error().kind == ErrorKind::kUnavailable);
    for (int i = 0; i < 3; ++i) {
        CHECK(append_and_wait(bus, {msg("", "refused")}).error().kind == ErrorKind::kOverloaded);
    }
    CHECK(on.harness.metrics.counter(metrics::kWriteFailed).value() >= 1);
    CHECK(values_on(bus, "in").front() == "before");

    on.disk->full = false;
    REQUIRE(comes_true([&] { return append_and_wait(bus, {msg("", "after")}).has_value(); }));
    REQUIRE(comes_true([&] { return worker->step(kNow).has_value(); }));
    auto values = values_on(bus, "in");
    if (values.size() == 3) values.erase(values.begin() + 1);  // "open" may have been written.
    CHECK(values == std::vector<std::string>{"before", "after"});
    const auto copies = values_on(bus, "out").size();
    CHECK(copies == values_on(bus, "in").size());

    const auto all = values_on(bus, "in");
    worker.reset();
    on.harness.reopen();
    CHECK(values_on(on.harness.bus(), "in") == all);
}

TEST_CASE("rocks: retention that the disk does not take leaves a log that opens", "[contract]") {
    OnFullDisk on;
    const auto numbers = [&] { return *on.harness.bus().range({"in", 0}); };
    const TopicOptions in{.name = "in", .retention_bytes = 16'000, .retention = 0s};
    REQUIRE(on.harness.bus().ensure_topics(std::vector<TopicOptions>{in}).has_value());
    const auto append_some = [&](std::string value) {
        return append_and_wait(on.harness.bus(), {msg("", std::move(value))}).has_value();
    };
    // A segment is a sixteenth: each append makes one, and some are too many.
    const auto retained = [&](Offset begin) {
        on.harness.clock.advance(2s);
        return comes_true([&] {
            on.harness.clock.advance(2s);
            return numbers().begin >= begin;
        });
    };
    for (int i = 0; i < 20; ++i) REQUIRE(append_some(std::string(1000, 'a')));
    REQUIRE(retained(1));

    auto& failed = on.harness.metrics.counter(metrics::kWriteFailed);
    for (int i = 0; i < 4; ++i) REQUIRE(append_some(std::string(1000, 'b')));
    on.disk->full = true;
    const auto before = failed.value();
    CHECK(comes_true([&] {
        on.harness.clock.advance(2s);
        return failed.value() > before;
    }));
    // By itself RocksDB goes on before the next append does.
    on.disk->room_seen = 0;
    on.disk->full = false;
    REQUIRE(comes_true([&] { return on.disk->room_seen > 0; }));
    std::this_thread::sleep_for(200ms);
    REQUIRE(comes_true([&] { return append_some(std::string(1000, 'c')); }));
    const Offset begin = numbers().begin;
    for (int i = 0; i < 4; ++i) REQUIRE(append_some(std::string(1000, 'd')));
    REQUIRE(retained(begin + 1));
    const auto range = numbers();
    on.harness.reopen();
    CHECK(numbers().begin >= range.begin);
    CHECK(numbers().end == range.end);
}

TEST_CASE("rocks: what is whole before a damaged record is given out, and other partitions too",
          "[contract]") {
    RocksHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    const auto key_of = [](std::int32_t partition) {
        for (int i = 0;; ++i) {
            if (partition_of(std::to_string(i), 2) == partition) return std::to_string(i);
        }
    };
    for (const char* value : {"0", "1", "2"}) {
        REQUIRE(append_and_wait(harness.bus(), {msg(key_of(0), value)}).has_value());
        REQUIRE(append_and_wait(harness.bus(), {msg(key_of(1), value)}).has_value());
    }
    harness.close();
    with_families(harness.options().path, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle& in) {
        if (in.GetName() != "topic:in") return;
        std::string chunk;
        REQUIRE(db.Get({}, &in, chunk_key(0, 2), &chunk).ok());
        chunk.back() = static_cast<char>(chunk.back() ^ 1);
        REQUIRE(db.Put({}, &in, chunk_key(0, 2), chunk).ok());
    });
    harness.reopen();

    TestListener listener;
    const auto member = *harness.bus().subscribe({"g", {"in"}}, listener);
    std::size_t given = 0;
    for (auto polled = member->poll(kNow); polled; polled = member->poll(kNow)) {
        REQUIRE_FALSE(polled->empty());
        given += polled->size();
    }
    CHECK(given == 5);
    const auto failed = member->poll(kNow);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().kind == ErrorKind::kCorrupt);
    CHECK(failed.error().message.find("in/0@2") != std::string::npos);
    REQUIRE(append_and_wait(harness.bus(), {msg(key_of(1), "3")}).has_value());
    CHECK(values_of(*member->poll(kNow)) == std::vector<std::string>{"3"});
}

}  // namespace vigie::streams::rocks
