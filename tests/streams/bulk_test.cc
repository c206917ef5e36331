#include <charconv>
#include <set>

#include <catch2/catch.hpp>

#include "tests/streams/fixture.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

namespace {

// Sums values in memory; says the sum for each record, sets a timer to 10 s after every fifth,
// keeps the number of timers in keyed state. Everything it does must survive a restart.
class Summing final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        if (record.message.value == "bad") return fail(ErrorKind::kInvalid, "bad");
        sum_ += std::stoll(record.message.value);
        context.emit(message("", record.message.value + ":" + std::to_string(sum_), 0, "out"));
        if (sum_ % 5 == 0) context.set_timer("t", record.message.event_time + 10s);
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context& context) override {
        VIGIE_TRY_ASSIGN(const auto before, context.get("timers"));
        const std::string timers = std::to_string(before ? std::stoi(*before) + 1 : 1);
        context.put("timers", timers);
        sum_ += 1000;
        context.emit(message("", "timer " + timers + ":" + std::to_string(sum_), 0, "out"));
        return {};
    }
    bool has_bulk_state() const override { return true; }
    std::string snapshot() const override { return std::to_string(sum_); }
    Status restore(std::string_view snapshot) override {
        const auto [end, error] =
            std::from_chars(snapshot.data(), snapshot.data() + snapshot.size(), sum_);
        if (error != std::errc{} || end != snapshot.data() + snapshot.size()) {
            return fail(ErrorKind::kInvalid, "not a number");
        }
        return {};
    }

private:
    long long sum_ = 0;
};

Worker::Options summing(Fixture& f) {
    auto options = f.options({});
    options.make_processor = [](const Partition&) { return std::make_unique<Summing>(); };
    options.snapshot_records = 10;
    options.snapshot_interval = 1h;
    return options;
}

std::vector<Message> numbers(int from, int to) {
    std::vector<Message> messages;
    for (int i = from; i < to; ++i) {
        messages.push_back(message("", i % 17 == 16 ? "bad" : std::to_string(i), 100 + 3 * i));
    }
    return messages;
}

}  // namespace

TEST_CASE("bulk: the position moves only with a snapshot, outputs at once", "[streams]") {
    Fixture f;
    f.send(numbers(0, 9));
    const auto worker = f.open(summing(f));
    Fixture::drain(*worker);
    CHECK(*f.bus.group_position("test", {"in", 0}) == 0);
    CHECK(f.bus.state("test", {"in", 0}).empty());
    CHECK(f.values("out").size() == 10);  // Nine records and one timer.
    f.send(numbers(9, 12));
    Fixture::drain(*worker);
    CHECK(*f.bus.group_position("test", {"in", 0}) == 10);
    CHECK(f.bus.state("test", {"in", 0}).contains("b"));
    CHECK_THAT(f.metrics.expose(),
               Catch::Contains("vigie_streams_snapshots_total{stage=\"test\"} 1"));
}

TEST_CASE("bulk: after a restart at any record the outputs repeat exactly and go on", "[streams]") {
    const auto expected = [] {
        Fixture f;
        f.send(numbers(0, 60));
        Fixture::drain(*f.open(summing(f)));
        return std::pair{f.values("out"), f.values("vigie.deadletter")};
    }();
    REQUIRE(expected.first.size() > 60);
    REQUIRE(expected.second.size() == 3);
    for (std::size_t crash_after = 1; crash_after < 60; ++crash_after) {
        for (const std::size_t records_max : {1U, 4U, 100U}) {
            Fixture f;
            f.send(numbers(0, static_cast<int>(crash_after)));
            Fixture::drain(*f.open(summing(f)), records_max);
            const auto before = f.values("out");
            const auto position = *f.bus.group_position("test", {"in", 0});
            CHECK(position == static_cast<Offset>(crash_after / 10 * 10));
            f.send(numbers(static_cast<int>(crash_after), 60));
            Fixture::drain(*f.open(summing(f)), records_max);
            const auto all = f.values("out");
            // What came before the crash is a beginning of the truth, what came after an end
            // of it, and together they leave nothing out.
            const Values after(all.begin() + static_cast<std::ptrdiff_t>(before.size()), all.end());
            REQUIRE(std::equal(before.begin(), before.end(), expected.first.begin()));
            REQUIRE(after.size() + before.size() >= expected.first.size());
            REQUIRE(std::equal(after.rbegin(), after.rend(), expected.first.rbegin()));
            const auto letters = f.values("vigie.deadletter");
            CHECK(letters.size() >= expected.second.size());
        }
    }
}

TEST_CASE("bulk: a snapshot is also due by event time, changes and bytes", "[streams]") {
    const auto position_with = [](const std::function<void(Worker::Options&)>& change) {
        Fixture f;
        f.send(numbers(0, 9));
        auto options = summing(f);
        options.make_processor = [](const Partition&) {
            class Writing final : public Processor {
                Status on_record(const Record& record, Context& context) override {
                    context.put(record.message.value, "1234567890");
                    return {};
                }
                Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
                bool has_bulk_state() const override { return true; }
                std::string snapshot() const override { return std::string(50, 's'); }
                Status restore(std::string_view) override { return {}; }
            };
            return std::make_unique<Writing>();
        };
        change(options);
        Fixture::drain(*f.open(options));
        return *f.bus.group_position("test", {"in", 0});
    };
    CHECK(position_with([](Worker::Options&) {}) == 0);
    // Records come every 3 s: the sixth is 15 s after the first.
    CHECK(position_with([](Worker::Options& o) { o.snapshot_interval = 15s; }) == 6);
    CHECK(position_with([](Worker::Options& o) { o.snapshot_changes_max = 7; }) == 7);
    CHECK(position_with([](Worker::Options& o) { o.snapshot_records = 3; }) == 9);
    // The first one is as long as two that are cheap: from then on it takes nine records, not
    // three.
    const auto large = [](Worker::Options& o) {
        o.snapshot_records = 3;
        o.snapshot_bytes_cheap = 25;
    };
    CHECK(position_with(large) == 3);
    CHECK(position_with([](Worker::Options& o) { o.snapshot_bytes_max = 12 * 8; }) == 8);
}

TEST_CASE("bulk: a snapshot of an unknown format starts from the oldest record", "[streams]") {
    Fixture f;
    f.send(numbers(0, 25));
    Fixture::drain(*f.open(summing(f)));
    const auto first = f.values("out");
    auto options = summing(f);
    options.make_processor = [](const Partition&) {
        class Newer final : public Processor {
            Status on_record(const Record& record, Context& context) override {
                VIGIE_TRY_ASSIGN(const auto old, context.get("timers"));
                context.emit(message("", record.message.value + (old ? "old" : ""), 0, "out"));
                return {};
            }
            Status on_timer(std::string_view, EventTime, Context& context) override {
                context.emit(message("", "old timer", 0, "out"));
                return {};
            }
            bool has_bulk_state() const override { return true; }
            std::string snapshot() const override { return "newer"; }
            Status restore(std::string_view snapshot) override {
                if (snapshot == "newer") return {};
                return fail(ErrorKind::kInvalid, "unknown format");
            }
        };
        return std::make_unique<Newer>();
    };
    const auto worker = f.open(options);
    // The first step learns it and subscribes again.
    CHECK(*worker->step({.records_max = 500, .wait_max = 0ms}) == 0);
    Fixture::drain(*worker);
    const auto all = f.values("out");
    const Values after(all.begin() + static_cast<std::ptrdiff_t>(first.size()), all.end());
    REQUIRE(after.size() == 25);
    CHECK(after.front() == "0");
    CHECK(after.back() == "24");
    CHECK(*f.bus.group_position("test", {"in", 0}) == 20);
    CHECK_THAT(f.log.lines().back(), Catch::Contains("unknown format"));
}

}  // namespace vigie::streams
