#include "app/migrate.h"

#include <algorithm>
#include <filesystem>

#include <catch2/catch.hpp>

#include "core/system_clock.h"
#include "streams/memory/memory_bus.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/worker.h"
#include "tests/contract/harness.h"

namespace {

namespace streams = vigie::streams;
using streams::MemoryBus;
using streams::Partition;
using vigie::ErrorKind;
using vigie::app::migrate;
using vigie::app::Reader;

const std::vector<streams::TopicOptions> kTopics{
    {.name = "in", .partitions = 2}, {.name = "out"}, {.name = "vigie.deadletter"}};
const std::vector<Reader> kReaders{{"count", {"in"}}, {"idle", {"out"}}};

// Counts its records in keyed state, and all bytes in bulk state, and has a timer.
class Counter final : public streams::Processor {
    vigie::Status on_record(const streams::Record& record, streams::Context& context) override {
        VIGIE_TRY_ASSIGN(const auto count, context.get("count"));
        context.put("count", std::to_string(count ? std::stoi(*count) + 1 : 1));
        context.set_timer("end of time", vigie::EventTime::max());
        context.emit({"out", record.message.key, record.message.value, {}, {}});
        bytes_ += record.message.value;
        return {};
    }
    vigie::Status on_timer(std::string_view, vigie::EventTime, streams::Context&) override {
        return {};
    }
    bool has_bulk_state() const override { return true; }
    std::string snapshot() const override { return bytes_; }
    vigie::Status restore(std::string_view snapshot) override {
        bytes_ = snapshot;
        return {};
    }

    std::string bytes_;
};

class Site {
public:
    Site() { REQUIRE(from.ensure_topics(kTopics)); }

    void append(int first, int end) { append(from, first, end); }
    static void append(streams::Bus& bus, int first, int end) {
        for (int i = first; i < end; ++i) {
            const std::string key = "key" + std::to_string(i % 5);
            const vigie::EventTime time{std::chrono::seconds{i}};
            REQUIRE(streams::append_and_wait(
                bus, {{"in", key, std::to_string(i), {{"header", "\x01"}}, time}}));
        }
    }

    // One pass of the stage over what it has not seen, with a snapshot.
    void work(streams::Bus& bus) {
        streams::Worker::Options options;
        options.stage = "count";
        options.subscription = {"count", {"in"}};
        options.make_processor = [](const Partition&) { return std::make_unique<Counter>(); };
        options.snapshot_records = 1;
        auto worker = streams::Worker::open(bus, options, metrics, log, clock);
        REQUIRE(worker);
        for (int i = 0; i < 4; ++i) {
            REQUIRE(
                (*worker)->step({.records_max = 100, .wait_max = std::chrono::milliseconds{0}}));
        }
    }

    MemoryBus from;
    MemoryBus to;
    vigie::MetricsRegistry metrics;
    vigie::MemoryLog log;
    const vigie::SystemClock clock;
};

// All that a partition holds, without offsets.
std::vector<std::string> said(const MemoryBus& bus, const Partition& partition) {
    std::vector<std::string> lines;
    const auto records = bus.read(partition, 0, {1000, std::chrono::milliseconds{0}});
    REQUIRE(records);
    for (const auto& record : *records) {
        const auto& message = record.message;
        lines.push_back(message.key + "=" + message.value + "@" +
                        std::to_string(vigie::micros_of(message.event_time)) +
                        message.headers.at(0).second);
    }
    return lines;
}

// Hears what a move tells, and does not wait between its attempts.
vigie::app::MigrateOptions impatient(std::vector<std::string>& told) {
    vigie::app::MigrateOptions options;
    options.tell = [&told](const std::string& sentence) { told.push_back(sentence); };
    options.patience = std::chrono::minutes{1};
    options.settle_wait = std::chrono::milliseconds{0};
    return options;
}

void require_moved(const Site& site) {
    for (const std::int32_t index : {0, 1}) {
        const Partition in{"in", index};
        CHECK(said(site.to, in) == said(site.from, in));
        CHECK(site.to.state("count", in) == site.from.state("count", in));
        CHECK(*site.to.group_position("count", in) == *site.from.group_position("count", in));
    }
}

// A log in a folder, with snapshots in files.
std::unique_ptr<streams::Bus> worked_on(Site& site, const streams::TempFolder& folder) {
    streams::rocks::RocksBus::Options options;
    options.path = folder.path() + "/bus";
    options.disk_free_bytes_min = 0;
    auto bus = streams::rocks::RocksBus::open(options, site.clock, site.metrics);
    REQUIRE(bus);
    REQUIRE((*bus)->ensure_topics(kTopics));
    Site::append(**bus, 0, 40);
    site.work(**bus);
    return *std::move(bus);
}

}  // namespace

TEST_CASE("migrate: records, positions and state are the same on the other bus", "[app]") {
    Site site;
    site.append(0, 40);
    site.work(site.from);
    site.append(40, 50);
    const auto done = migrate(site.from, site.to, kTopics, kReaders);
    if (!done) FAIL(done.error().message);
    REQUIRE(done->parts.size() == 4);
    CHECK(done->parts[0].records + done->parts[1].records == 50);
    CHECK(done->parts[2].records == 40);
    CHECK(done->positions == 3);
    require_moved(site);
    // The stage goes on there as it would have here.
    site.work(site.from);
    site.work(site.to);
    for (const std::int32_t index : {0, 1}) {
        CHECK(site.to.state("count", {"in", index}) == site.from.state("count", {"in", index}));
    }
    CHECK(site.to.records("out").size() == 50);
}

TEST_CASE("migrate: a snapshot that lies in a file is carried along", "[app]") {
    const streams::TempFolder folder;
    Site site;
    const auto from = worked_on(site, folder);
    const auto done = migrate(*from, site.to, kTopics, kReaders);
    if (!done) FAIL(done.error().message);
    for (const std::int32_t index : {0, 1}) {
        const Partition in{"in", index};
        std::string all;
        for (const auto& record : streams::records_on(site.to, "in", index)) {
            all += record.message.value;
        }
        REQUIRE_FALSE(all.empty());
        // The bytes themselves: the folder's reference would mean nothing there.
        CHECK(site.to.state("count", in).at("b") == "\x02i" + all);
        CHECK(*site.to.group_position("count", in) == *from->group_position("count", in));
    }
}

TEST_CASE("migrate: nothing is written to topics that are not empty", "[app]") {
    Site site;
    site.append(0, 4);
    REQUIRE(site.to.ensure_topics(kTopics));
    REQUIRE(streams::append_and_wait(site.to, {{"out", "", "theirs", {}, {}}}));
    const auto refused = migrate(site.from, site.to, kTopics, kReaders);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::kConflict);
    CHECK_THAT(refused.error().message, Catch::Contains("out/0 has records already"));
    CHECK(site.to.records("in").empty());
}

TEST_CASE("migrate: another number of partitions is refused before anything is made", "[app]") {
    Site site;
    auto topics = kTopics;
    topics[0].partitions = 3;
    const auto refused = migrate(site.from, site.to, topics, kReaders);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message ==
          "in has 2 partitions, and would have 3: set bus.partitions to 2");
    CHECK_FALSE(site.to.partition_count("in"));
}

TEST_CASE("migrate: a copy that lacks a record is found", "[app]") {
    // Its retention takes what was copied.
    Site site;
    site.append(0, 40);
    auto topics = kTopics;
    topics[0].retention_bytes = 100;
    vigie::app::MigrateOptions options;
    options.settle_wait = std::chrono::milliseconds{0};
    const auto differs = migrate(site.from, site.to, topics, kReaders, options);
    REQUIRE_FALSE(differs);
    CHECK(differs.error().kind == ErrorKind::kCorrupt);
    CHECK_THAT(differs.error().message, Catch::Contains("is not the same after the copy"));
}

TEST_CASE("migrate: one that was cut short goes on where it ended", "[app]") {
    Site site;
    site.append(0, 40);
    site.work(site.from);
    // The beginning of both partitions, and a row that is not to be there.
    REQUIRE(site.to.ensure_topics(kTopics));
    site.append(site.to, 0, 13);
    streams::TestListener listener;
    {
        const auto consumer = *site.to.subscribe({"count", {"in"}}, listener);
        REQUIRE(consumer->poll({1, std::chrono::milliseconds{0}}));
        REQUIRE(consumer->commit({{"in", 0}, {}, {{"stale", "1"}}, {}}));
    }
    std::vector<std::string> told;
    auto options = impatient(told);
    CHECK(migrate(site.from, site.to, kTopics, kReaders, options).error().kind ==
          ErrorKind::kConflict);
    options.resume = true;
    const auto done = migrate(site.from, site.to, kTopics, kReaders, options);
    if (!done) FAIL(done.error().message);
    CHECK(done->parts[0].records + done->parts[1].records == 40);
    require_moved(site);
}

TEST_CASE("migrate: what lies there and is not the log's beginning is not gone on with", "[app]") {
    Site site;
    site.append(0, 10);
    std::vector<std::string> told;
    auto options = impatient(told);
    options.resume = true;
    REQUIRE(site.to.ensure_topics(kTopics));
    SECTION("another record") {
        site.append(site.to, 1, 2);
    }
    SECTION("more records") {
        site.append(site.to, 0, 20);
    }
    const std::size_t before = site.to.records("in").size();
    const auto refused = migrate(site.from, site.to, kTopics, kReaders, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::kConflict);
    CHECK_THAT(refused.error().message, Catch::Contains("is not what the log has there"));
    CHECK(site.to.records("in").size() == before);
}

TEST_CASE("migrate: while the other side does not answer it is tried again", "[app]") {
    Site site;
    site.append(0, 40);
    site.work(site.from);
    site.append(40, 50);
    REQUIRE(site.to.ensure_topics(kTopics));
    streams::Faults faults;
    faults.append_lost_before = 300;
    faults.append_lost_after = 300;
    faults.commit_lost_before = 300;
    faults.commit_lost_after = 300;
    faults.unreachable = 50;
    faults.disk_full = 50;
    site.to.set_faults(faults);
    std::vector<std::string> told;
    auto options = impatient(told);
    const auto done = migrate(site.from, site.to, kTopics, kReaders, options);
    if (!done) FAIL(done.error().message);
    site.to.set_faults({});
    require_moved(site);
    CHECK(std::ranges::any_of(told, [](const std::string& sentence) {
        return sentence.find("trying again") != std::string::npos;
    }));
}

TEST_CASE("migrate: a side that stays away ends it, and it can be resumed", "[app]") {
    Site site;
    site.append(0, 40);
    REQUIRE(site.to.ensure_topics(kTopics));
    site.to.set_faults({.append_lost_before = 1000});
    std::vector<std::string> told;
    auto options = impatient(told);
    options.patience = std::chrono::milliseconds{20};
    const auto ended = migrate(site.from, site.to, kTopics, kReaders, options);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().kind == ErrorKind::kUnavailable);
    site.to.set_faults({});
    options.resume = true;
    REQUIRE(migrate(site.from, site.to, kTopics, kReaders, options));
    require_moved(site);
}

TEST_CASE("migrate: a stage whose snapshot cannot be read begins anew there, as it would here",
          "[app]") {
    const streams::TempFolder folder;
    Site site;
    const auto from = worked_on(site, folder);
    std::size_t damaged = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
        if (entry.path().string().find("/bulk/") == std::string::npos) continue;
        std::filesystem::resize_file(entry.path(), 10);
        ++damaged;
    }
    REQUIRE(damaged == 2);
    const auto done = migrate(*from, site.to, kTopics, kReaders);
    if (!done) FAIL(done.error().message);
    REQUIRE(done->begun_anew.size() == 2);
    CHECK_THAT(done->begun_anew[0], Catch::StartsWith("stage count begins in/0 anew: "));
    for (const std::int32_t index : {0, 1}) {
        CHECK(site.to.state("count", {"in", index}).empty());
        CHECK(*site.to.group_position("count", {"in", index}) == 0);
    }
}
