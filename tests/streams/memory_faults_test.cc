// Each fault of the bus in memory by itself: that it is what its name says, and no more.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "tests/streams/fixture.h"

namespace vigie::streams {

using namespace std::chrono_literals;

namespace {

constexpr PollLimits kAll{.records_max = 500, .wait_max = 0ms};

class Silent final : public AssignmentListener {
public:
    Status on_assigned(std::span<const Partition> partitions) override {
        assigned += partitions.size();
        return {};
    }
    void on_revoked(std::span<const Partition> partitions) override {
        revoked += partitions.size();
    }
    std::size_t assigned = 0;
    std::size_t revoked = 0;
};

// The answers of appends with the values "0", "1", ….
struct Sender {
    explicit Sender(MemoryBus& to) : bus(to) {}

    void send(std::string key = {}) {
        const std::size_t n = sent++;
        bus.append({message(std::move(key), std::to_string(n), 0)}, [this, n](Status status) {
            CHECK(answers.emplace(n, std::move(status)).second);
        });
    }

    MemoryBus& bus;
    std::size_t sent = 0;
    std::map<std::size_t, Status> answers;
};

// A key of partition `index` out of two.
std::string key_of(std::int32_t index) {
    for (int i = 0;; ++i) {
        if (partition_of(std::to_string(i), 2) == index) return std::to_string(i);
    }
}

}  // namespace

TEST_CASE("memory faults: a full disk stays full for a while, then has room", "[streams]") {
    Fixture f;
    f.bus.set_faults({.disk_full = 100, .while_calls_max = 20});
    Sender sender(f.bus);
    int longest = 0;
    int now = 0;
    for (int i = 0; i < 500; ++i) {
        sender.send();
        const Status& answer = sender.answers.at(sender.sent - 1);
        now = answer ? 0 : now + 1;
        longest = std::max(longest, now);
        if (!answer) CHECK(answer.error().kind == ErrorKind::kOverloaded);
    }
    CHECK(longest >= 10);
    const auto written = static_cast<std::size_t>(
        std::ranges::count_if(sender.answers, [](const auto& a) { return a.second.has_value(); }));
    CHECK(written > 100);
    CHECK(f.values("in").size() == written);
}

TEST_CASE("memory faults: a slow disk answers late, in order, and many at once", "[streams]") {
    Fixture f;
    f.bus.set_faults({.disk_slow = 1000, .while_calls_max = 1000});
    Sender sender(f.bus);
    for (int i = 0; i < 3; ++i) sender.send();
    CHECK(sender.answers.empty());
    CHECK(f.values("in").empty());
    f.bus.sync();
    CHECK(sender.answers.size() == 3);
    CHECK(f.values("in") == std::vector<std::string>{"0", "1", "2"});
    CHECK(f.bus.counted(Fault::kLateAnswer) == 3);

    // A step is synced with what came before it, and takes its time.
    sender.send();
    Silent listener;
    const auto consumer = *f.bus.subscribe({"g", {"in"}}, listener);
    REQUIRE(consumer->poll(kAll)->size() == 3);
    std::vector<MemoryBus::Pause> pauses;
    f.bus.set_pause([&](MemoryBus::Pause pause) { pauses.push_back(pause); });
    CHECK(consumer->commit({{"in", 0}, 3, {}, {message("", "out", 0)}}));
    CHECK(pauses == std::vector{MemoryBus::Pause::kSlowDisk});
    CHECK(sender.answers.size() == 4);
    CHECK(f.values("in") == std::vector<std::string>{"0", "1", "2", "3", "out"});
}

TEST_CASE("memory faults: a crash keeps a beginning of what waited and tells nobody", "[streams]") {
    std::set<std::size_t> kept;
    std::size_t torn = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        Fixture f(1, {.seed = seed, .faults = {.disk_slow = 1000, .while_calls_max = 1000}});
        Sender sender(f.bus);
        for (int i = 0; i < 3; ++i) sender.send();
        f.bus.crash();
        CHECK(f.bus.crashed());
        CHECK(f.bus.range({"in", 0}).error().kind == ErrorKind::kUnavailable);
        REQUIRE(sender.answers.size() == 3);
        for (const auto& [n, answer] : sender.answers) {
            CHECK(answer.error().kind == ErrorKind::kUnavailable);
        }
        const auto values = f.values("in");
        for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i] == std::to_string(i));
        kept.insert(values.size());
        torn += f.bus.counted(Fault::kTornWrite);
        f.bus.recover();
        CHECK(f.bus.range({"in", 0}).has_value());
    }
    CHECK(kept == std::set<std::size_t>{0, 1, 2, 3});
    CHECK(torn > 20);
}

TEST_CASE("memory faults: a crash in a commit keeps the step whole or not at all", "[streams]") {
    int whole = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        Fixture f(1, {.seed = seed});
        f.send({message("", "in", 0)});
        Silent listener;
        const auto consumer = *f.bus.subscribe({"g", {"in"}}, listener);
        REQUIRE(consumer->poll(kAll)->size() == 1);
        f.bus.set_faults({.commit_crash = 1000});
        const Status done = consumer->commit({{"in", 0}, 1, {{"row", "1"}}, {message("", "2", 0)}});
        CHECK(done.error().kind == ErrorKind::kUnavailable);
        CHECK(f.bus.crashed());
        f.bus.recover();
        const bool there = f.values("in").size() == 2;
        CHECK((f.bus.state("g", {"in", 0}).size() == 1) == there);
        CHECK((*f.bus.group_position("g", {"in", 0}) == 1) == there);
        whole += there ? 1 : 0;
    }
    CHECK(whole > 20);
    CHECK(whole < 80);
}

TEST_CASE("memory faults: a stalled member is fenced, and joins again at its next poll",
          "[streams]") {
    Fixture f;
    f.send({message("", "in", 0)});
    Silent listener;
    const auto zombie = *f.bus.subscribe({"g", {"in"}}, listener);
    Silent listener_of_other;
    const auto other = *f.bus.subscribe({"g", {"in"}}, listener_of_other);
    REQUIRE(zombie->poll(kAll)->size() == 1);
    REQUIRE(other->poll(kAll)->empty());
    f.bus.set_pause([&](MemoryBus::Pause pause) {
        CHECK(pause == MemoryBus::Pause::kStalled);
        f.bus.set_faults({});
        REQUIRE(other->poll(kAll)->size() == 1);
        CHECK(other->commit({{"in", 0}, 1, {{"row", "other"}}, {}}));
    });
    f.bus.set_faults({.stall = 1000});
    const Status done = zombie->commit({{"in", 0}, 1, {{"row", "zombie"}}, {}});
    CHECK(done.error().kind == ErrorKind::kConflict);
    CHECK(f.bus.counted(Fault::kFenced) == 1);
    CHECK(f.bus.state("g", {"in", 0}).at("row") == "other");

    f.send({message("", "next", 0)});
    CHECK(zombie->poll(kAll)->empty());
    CHECK(listener.revoked == 1);
    CHECK(other->poll(kAll)->size() == 1);
}

TEST_CASE("memory faults: only the partition that cannot be reached is", "[streams]") {
    Fixture f(2);
    Sender sender(f.bus);
    sender.send(key_of(0));
    sender.send(key_of(1));
    f.bus.set_faults({.unreachable = 1000, .while_calls_max = 1000});
    sender.send(key_of(1));
    CHECK(sender.answers.at(2).error().kind == ErrorKind::kUnavailable);
    CHECK(f.bus.range({"in", 0}).has_value());
    CHECK(f.bus.range({"in", 1}).error().kind == ErrorKind::kUnavailable);
    CHECK(f.bus.read({"in", 1}, 0, kAll).error().kind == ErrorKind::kUnavailable);

    f.bus.set_faults({});
    sender.send(key_of(1));
    CHECK(sender.answers.at(3).has_value());
}

TEST_CASE("memory faults: with one partition out of reach an append is not done in part",
          "[streams]") {
    Fixture f(2);
    f.bus.set_faults({.unreachable = 1000, .while_calls_max = 1000});
    bool called = false;
    f.bus.append({message(key_of(0), "a", 0), message(key_of(1), "b", 0)}, [&](const Status& done) {
        called = true;
        CHECK(done.error().kind == ErrorKind::kUnavailable);
    });
    CHECK(called);
    CHECK(f.bus.counted(Fault::kUnreachableOnlyInPart) == 1);
    CHECK(f.values("in").empty());
}

}  // namespace vigie::streams
