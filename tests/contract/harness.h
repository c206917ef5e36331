#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/metrics.h"
#include "streams/memory/memory_bus.h"
#include "streams/rocks/rocks_bus.h"

namespace vigie::streams {

// A clock that stands still until told otherwise; buses read it from their own threads.
class TestClock final : public Clock {
public:
    WallTime wall() const override { return WallTime{std::chrono::milliseconds{now_ms_.load()}}; }
    SteadyTime steady() const override {
        return SteadyTime{std::chrono::milliseconds{now_ms_.load()}};
    }
    void advance(std::chrono::milliseconds duration) { now_ms_ += duration.count(); }

private:
    std::atomic<std::int64_t> now_ms_{1'700'000'000'000};
};

// A folder that is gone afterwards.
class TempFolder {
public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "vigie-XXXXXX").string();
        VIGIE_ASSERT(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// What the contract needs beyond Bus: a small message limit, coming back after a crash, there or
// elsewhere, retention and compaction that need not be waited for, and a bus that takes no more.
inline constexpr std::size_t kTestMessageBytesMax = 1'000'000;

class MemoryHarness {
public:
    // Offsets have no holes.
    static constexpr bool kDense = true;
    // How long what must come may take, and how long to look before nothing came.
    static constexpr std::chrono::milliseconds kPatience{0};
    static constexpr std::chrono::milliseconds kQuiet{0};

    Bus& bus() { return bus_; }
    void reopen() {}
    void reopen_elsewhere() {}
    void compact_soon(const std::string&) {}
    void forget_soon(const std::string&) {}
    void let_time_pass() {}
    void set_full(bool full) { bus_.set_faults(Faults{.disk_full = full ? 1000U : 0U}); }

private:
    MemoryBus bus_{
        MemoryBus::Options{.seed = 1, .faults = {}, .message_bytes_max = kTestMessageBytesMax}};
};

class RocksHarness {
public:
    static constexpr bool kDense = true;
    static constexpr std::chrono::milliseconds kPatience{0};
    static constexpr std::chrono::milliseconds kQuiet{0};

    RocksHarness() { open({}); }
    Bus& bus() { return *bus_; }
    rocks::RocksBus::Options options() const {
        rocks::RocksBus::Options options;
        options.path = folder_.path();
        options.record_bytes_max = kTestMessageBytesMax;
        options.disk_free_bytes_min = 0;
        return options;
    }
    void reopen() { open(options()); }
    void open(rocks::RocksBus::Options options) {
        if (options.path.empty()) options = this->options();
        bus_.reset();
        auto opened = rocks::RocksBus::open(std::move(options), clock, metrics);
        if (!opened) FAIL(opened.error().message);
        bus_ = *std::move(opened);
    }
    // On another machine, as far as that is possible: the folder belongs to one.
    void reopen_elsewhere() { reopen(); }
    void close() { bus_.reset(); }
    void compact_soon(const std::string&) {}
    void forget_soon(const std::string&) {}
    // Retention runs after a commit, once a second of the clock has passed.
    void let_time_pass() {
        clock.advance(std::chrono::seconds{1});
        const auto done = append_and_wait(*bus_, {{"out", "", "tick", {}, EventTime{}}});
        if (!done) FAIL(done.error().message);
    }
    void set_full(bool full) {
        auto changed = options();
        if (full) changed.disk_free_bytes_min = ~std::uint64_t{0};
        open(changed);
    }

    TestClock clock;
    MetricsRegistry metrics;

private:
    TempFolder folder_;
    std::unique_ptr<rocks::RocksBus> bus_;
};

class TestListener final : public AssignmentListener {
public:
    Status on_assigned(std::span<const Partition> partitions) override {
        for (const Partition& partition : partitions) {
            owned.push_back(partition.index);
            ++assigned;
        }
        std::sort(owned.begin(), owned.end());
        return {};
    }
    void on_revoked(std::span<const Partition> partitions) override {
        for (const Partition& partition : partitions) std::erase(owned, partition.index);
    }

    std::vector<std::int32_t> owned;
    int assigned = 0;
};

inline constexpr PollLimits kNow{.records_max = 1000, .wait_max = std::chrono::milliseconds{0}};

inline Message msg(std::string key, std::string value, std::string topic = "in") {
    return {std::move(topic), std::move(key), std::move(value), {}, EventTime{}};
}

inline Status make_topics(Bus& bus, std::int32_t partitions = 1) {
    const std::vector<TopicOptions> topics{
        {.name = "in", .partitions = partitions}, {.name = "out"}, {.name = "vigie.deadletter"}};
    return bus.ensure_topics(topics);
}

inline std::vector<std::string> values_of(const std::vector<Record>& records) {
    std::vector<std::string> values;
    for (const Record& record : records) values.push_back(record.message.value);
    return values;
}

inline std::vector<Record> records_on(const Bus& bus, const std::string& topic,
                                      std::int32_t index = 0) {
    auto records = bus.read({topic, index}, 0,
                            {.records_max = 1'000'000, .wait_max = std::chrono::milliseconds{0}});
    if (!records) FAIL(records.error().message);
    return *std::move(records);
}

inline std::vector<std::string> values_on(const Bus& bus, const std::string& topic,
                                          std::int32_t index = 0) {
    return values_of(records_on(bus, topic, index));
}

}  // namespace vigie::streams
