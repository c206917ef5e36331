// The promise of streams/bus.h, kept by every bus.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "streams/runtime.h"
#include "tests/contract/buses.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

CONTRACT("bus: records of one partition come back as sent, in order, at ascending offsets") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    const std::string binary("\0\xff\n\x80", 4);
    Message rich{"in",
                 binary,
                 binary + "v",
                 {{"content-type", "x"}, {"", binary}, {"e", ""}},
                 event_time_from_micros(-5)};
    REQUIRE(append_and_wait(bus, {rich, msg("", ""), msg("k", "2")}).has_value());
    REQUIRE(append_and_wait(bus, {msg("k", "3")}).has_value());
    REQUIRE(append_and_wait(bus, {}).has_value());
    harness.reopen();

    const auto records = harness.bus().read({"in", 0}, 0, kNow);
    REQUIRE(records.has_value());
    REQUIRE(records->size() == 4);
    CHECK((*records)[0].message == rich);
    CHECK((*records)[1].message == msg("", ""));
    CHECK(values_of(*records) == Values{binary + "v", "", "2", "3"});
    for (std::size_t i = 0; i < 4; ++i) {
        const Offset at_least = i == 0 ? 0 : (*records)[i - 1].offset + 1;
        CHECK((*records)[i].offset >= at_least);
        if (TestType::kDense) CHECK((*records)[i].offset == at_least);
        CHECK((*records)[i].partition == Partition{"in", 0});
    }
}

CONTRACT("bus: a key always goes to the partition of Kafka's hash, in order") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 4).has_value());
    std::vector<Message> messages;
    for (int i = 0; i < 200; ++i)
        messages.push_back(msg("key" + std::to_string(i % 17), std::to_string(i)));
    REQUIRE(append_and_wait(bus, messages).has_value());

    std::map<std::string, int> last;
    std::size_t total = 0;
    for (std::int32_t index = 0; index < 4; ++index) {
        for (const Record& record : records_on(bus, "in", index)) {
            CHECK(partition_of(record.message.key, 4) == index);
            const int number = std::stoi(record.message.value);
            const auto before = last.find(record.message.key);
            if (before != last.end()) CHECK(before->second < number);
            last[record.message.key] = number;
            ++total;
        }
    }
    CHECK(total == 200);
}

CONTRACT("bus: read starts anywhere, respects its limit, and leaves no trace") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    for (int i = 0; i < 10; i += 2) {
        REQUIRE(append_and_wait(bus, {msg("", std::to_string(i)), msg("", std::to_string(i + 1))})
                    .has_value());
    }
    const auto all = records_on(bus, "in");
    REQUIRE(all.size() == 10);
    CHECK(values_of(*bus.read({"in", 0}, all[3].offset, {.records_max = 4, .wait_max = 0ms})) ==
          Values{"3", "4", "5", "6"});
    CHECK(values_of(*bus.read({"in", 0}, all[9].offset, kNow)) == Values{"9"});
    CHECK(bus.read({"in", 0}, all[9].offset + 1, kNow)->empty());
    CHECK(bus.read({"in", 0}, 1000, kNow)->empty());
    CHECK(values_of(*bus.read({"in", 0}, -5, {.records_max = 1, .wait_max = 0ms})) == Values{"0"});
    const auto range = bus.range({"in", 0});
    CHECK(range->begin == 0);
    CHECK(range->end > all[9].offset);
    if (TestType::kDense) CHECK(range->end == 10);
    CHECK(*bus.group_position("g", {"in", 0}) == 0);
}

CONTRACT("bus: a scan visits what a read gives, and ends when the visitor has enough") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    Message first = msg(std::string("k\0", 2), "value");
    first.headers = {{"kind", "tick"}, {"", std::string("\xff\0", 2)}};
    REQUIRE(
        append_and_wait(bus, {first, msg("", ""), msg("b", std::string(3000, 'x'))}).has_value());
    const auto all = records_on(bus, "in");
    REQUIRE(all.size() == 3);

    std::size_t at = 0;
    const auto compare = [&](const RecordView& record) {
        CHECK(record.partition == all[at].partition);
        CHECK(record.offset == all[at].offset);
        CHECK(record.message() == all[at].message);
        CHECK(record.bytes() == bytes_of(all[at].message));
        return ++at < 3;
    };
    REQUIRE(bus.scan({"in", 0}, 0, kNow, compare).has_value());
    CHECK(at == 3);
    at = 1;
    REQUIRE(bus.scan({"in", 0}, all[1].offset, {.records_max = 1, .wait_max = 0ms}, compare)
                .has_value());
    CHECK(at == 2);
    std::size_t visits = 0;
    const auto enough = [&](const RecordView&) { return ++visits < 2; };
    REQUIRE(bus.scan({"in", 0}, 0, kNow, enough).has_value());
    CHECK(visits == 2);
    REQUIRE(bus.scan({"in", 0}, all[2].offset + 1, kNow, enough).has_value());
    CHECK(visits == 2);
    CHECK(bus.scan({"no", 0}, 0, kNow, enough).error().kind == ErrorKind::kNotFound);
}

CONTRACT("bus: the first record from a time on is found, whatever the order of times") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    const auto at = [](int seconds) { return EventTime{std::chrono::seconds{seconds}}; };
    CHECK(*find_offset(bus, {"in", 0}, at(0)) == bus.range({"in", 0})->end);
    std::vector<Message> messages;
    for (const int seconds : {10, 30, 20, 40}) {
        messages.push_back(msg("", std::to_string(seconds)));
        messages.back().event_time = at(seconds);
    }
    REQUIRE(append_and_wait(bus, messages).has_value());
    const auto all = records_on(bus, "in");
    REQUIRE(all.size() == 4);
    CHECK(*find_offset(bus, {"in", 0}, at(0)) == all[0].offset);
    CHECK(*find_offset(bus, {"in", 0}, at(10)) == all[0].offset);
    CHECK(*find_offset(bus, {"in", 0}, at(11)) == all[1].offset);
    CHECK(*find_offset(bus, {"in", 0}, at(20)) == all[1].offset);
    CHECK(*find_offset(bus, {"in", 0}, at(40)) == all[3].offset);
    CHECK(*find_offset(bus, {"in", 0}, at(41)) > all[3].offset);
    CHECK(find_offset(bus, {"no", 0}, at(0)).error().kind == ErrorKind::kNotFound);
    const auto records = bus.read({"in", 0}, *find_offset(bus, {"in", 0}, at(35)), kNow);
    CHECK(values_of(*records) == Values{"40"});
}

CONTRACT("bus: what does not exist is kNotFound") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    TestListener listener;
    for (const Partition& missing : {Partition{"no", 0}, Partition{"in", 1}, Partition{"in", -1}}) {
        CHECK(bus.read(missing, 0, kNow).error().kind == ErrorKind::kNotFound);
        CHECK(bus.range(missing).error().kind == ErrorKind::kNotFound);
        CHECK(bus.group_position("g", missing).error().kind == ErrorKind::kNotFound);
    }
    CHECK(bus.partition_count("no").error().kind == ErrorKind::kNotFound);
    const auto subscribed = bus.subscribe({"g", {"in", "no"}}, listener);
    REQUIRE_FALSE(subscribed.has_value());
    CHECK(subscribed.error().kind == ErrorKind::kNotFound);
    CHECK(subscribed.error().message.find("no") != std::string::npos);
    // All or nothing: the message for the topic that exists is not written either.
    const Status status = append_and_wait(bus, {msg("", "1"), msg("", "2", "no")});
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().kind == ErrorKind::kNotFound);
    CHECK(bus.range({"in", 0})->end == 0);
}

CONTRACT("bus: ensure_topics keeps what is there and refuses another partition count") {
    TestType harness;
    REQUIRE(make_topics(harness.bus(), 3).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("k", "1")}).has_value());
    harness.reopen();
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 3).has_value());
    CHECK(*bus.partition_count("in") == 3);
    CHECK(values_on(bus, "in", partition_of("k", 3)) == Values{"1"});

    const std::vector<TopicOptions> wrong{{.name = "fresh"}, {.name = "in", .partitions = 2}};
    CHECK(bus.ensure_topics(wrong).error().kind == ErrorKind::kInvalid);
    CHECK(bus.partition_count("fresh").error().kind == ErrorKind::kNotFound);
    for (const TopicOptions& bad : {TopicOptions{.name = ""}, TopicOptions{.name = "a/b"},
                                    TopicOptions{.name = "x", .partitions = 0},
                                    TopicOptions{.name = "x", .retention_bytes = -1}}) {
        CHECK(bus.ensure_topics(std::vector{bad}).error().kind == ErrorKind::kInvalid);
    }
}

CONTRACT("bus: a record at the size limit is taken, one byte more is kInvalid") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    CHECK(bus.message_bytes_max() == kTestMessageBytesMax);
    const std::string large(kTestMessageBytesMax - 3, 'x');
    REQUIRE(append_and_wait(bus, {msg("key", large), msg("key", large)}).has_value());
    const Status status = append_and_wait(bus, {msg("", "small"), msg("key+", large)});
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().kind == ErrorKind::kInvalid);
    harness.reopen();
    const auto records = harness.bus().read({"in", 0}, 0, kNow);
    REQUIRE(records->size() == 2);
    CHECK((*records)[1].message.value == large);
}

CONTRACT("bus: poll gives each record once, in order, in batches of the asked size") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 3).has_value());
    std::vector<Message> messages;
    for (int i = 0; i < 100; ++i) messages.push_back(msg(std::to_string(i), std::to_string(i)));
    REQUIRE(append_and_wait(bus, messages).has_value());
    TestListener listener;
    const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
    std::map<Partition, Offset> next;
    std::set<std::string> seen;
    const Waiting waiting(TestType::kPatience);
    while (true) {
        const auto records = consumer->poll({.records_max = 7, .wait_max = 0ms});
        REQUIRE(records.has_value());
        CHECK(records->size() <= 7);
        if (records->empty() && (seen.size() == 100 || waiting.over())) break;
        for (const Record& record : *records) {
            CHECK(record.offset >= next[record.partition]);
            if (TestType::kDense) CHECK(record.offset == next[record.partition]);
            next[record.partition] = record.offset + 1;
            CHECK(seen.insert(record.message.value).second);
        }
    }
    CHECK(seen.size() == 100);
    CHECK(stays_empty<TestType>(*consumer));
    CHECK(listener.owned == std::vector<std::int32_t>{0, 1, 2});
}

CONTRACT("bus: a step is durable as a whole: state, outputs, position") {
    TestType harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    REQUIRE(append_and_wait(harness.bus(), {msg("", "1"), msg("", "2"), msg("", "3")}).has_value());
    const Partition in{"in", 0};
    Offset next = 0;
    {
        TestListener listener;
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        const auto records = poll_records<TestType>(*consumer, 3);
        REQUIRE(records.size() == 3);
        next = records[1].offset + 1;
        const std::string binary("\0\xff", 2);
        REQUIRE(consumer
                    ->commit({.input = in,
                              .next = next,
                              .state = {{"a", "1"}, {binary, binary}, {"gone", "x"}},
                              .outputs = {msg("", "o1", "out"), msg("", "o2", "out")}})
                    .has_value());
        REQUIRE(consumer
                    ->commit({.input = in,
                              .next = std::nullopt,
                              .state = {{"gone", std::nullopt}, {"never", std::nullopt}},
                              .outputs = {msg("", "o3", "out")}})
                    .has_value());
    }
    harness.reopen();
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    CHECK(values_of(poll_records<TestType>(*consumer, 1)) == Values{"3"});
    CHECK(*consumer->position(in) == next);
    CHECK(*harness.bus().group_position("g", in) == next);
    CHECK(*harness.bus().group_position("other", in) == 0);
    CHECK(values_on(harness.bus(), "out") == Values{"o1", "o2", "o3"});
    const Store& store = consumer->store(in);
    CHECK(*store.get("a") == "1");
    CHECK(*store.get("gone") == std::nullopt);
    Values keys;
    REQUIRE(store
                .scan("",
                      [&](std::string_view key, std::string_view value) {
                          keys.push_back(std::string(key) + "=" + std::string(value));
                          return true;
                      })
                .has_value());
    const std::string binary("\0\xff", 2);
    CHECK(keys == Values{binary + "=" + binary, "a=1"});
}

CONTRACT("bus: a step with a bad output writes nothing") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    TestListener listener;
    const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_until<TestType>({consumer.get()}, [&] { return listener.assigned == 1; }));
    Step step{.input = {"in", 0}, .next = 5, .state = {{"k", "v"}}, .outputs = {}};
    step.outputs = {msg("", "ok", "out"),
                    msg("", std::string(kTestMessageBytesMax + 1, 'x'), "out")};
    CHECK(consumer->commit(step).error().kind == ErrorKind::kInvalid);
    step.outputs = {msg("", "ok", "out"), msg("", "x", "missing")};
    CHECK(consumer->commit(step).error().kind == ErrorKind::kNotFound);
    CHECK(bus.range({"out", 0})->end == 0);
    CHECK(*consumer->store({"in", 0}).get("k") == std::nullopt);
    CHECK(*consumer->position({"in", 0}) == 0);
}

CONTRACT("bus: state is scanned in key order, by prefix, until told to stop") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    TestListener listener;
    const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_until<TestType>({consumer.get()}, [&] { return listener.assigned == 1; }));
    const std::string high = "p\xff";
    REQUIRE(consumer
                ->commit({.input = {"in", 0},
                          .next = std::nullopt,
                          .state = {{"o", ""},
                                    {"p", ""},
                                    {"p1", ""},
                                    {high, ""},
                                    {high + "\xff", ""},
                                    {high + "a", ""},
                                    {"q", ""}},
                          .outputs = {}})
                .has_value());
    const auto scan = [&](const std::string& prefix, std::size_t max) {
        Values keys;
        const auto status = consumer->store({"in", 0}).scan(prefix, [&](auto key, auto) {
            keys.emplace_back(key);
            return keys.size() < max;
        });
        REQUIRE(status.has_value());
        return keys;
    };
    CHECK(scan("p", 99) == Values{"p", "p1", high, high + "a", high + "\xff"});
    CHECK(scan(high, 99) == Values{high, high + "a", high + "\xff"});
    CHECK(scan("", 99).size() == 7);
    CHECK(scan("p", 2) == Values{"p", "p1"});
    CHECK(scan("zz", 99).empty());
}

CONTRACT("bus: groups and partitions do not see each other's state") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 2).has_value());
    TestListener listener_a;
    TestListener listener_b;
    const auto a = *bus.subscribe({"a", {"in"}}, listener_a);
    const auto b = *bus.subscribe({"b", {"in"}}, listener_b);
    REQUIRE(poll_until<TestType>(
        {a.get(), b.get()}, [&] { return listener_a.assigned == 2 && listener_b.assigned == 2; }));
    REQUIRE(a->commit({.input = {"in", 0}, .next = 7, .state = {{"k", "a0"}}, .outputs = {}})
                .has_value());
    CHECK(*a->store({"in", 0}).get("k") == "a0");
    CHECK(*a->store({"in", 1}).get("k") == std::nullopt);
    CHECK(*b->store({"in", 0}).get("k") == std::nullopt);
    CHECK(*b->position({"in", 0}) == 0);
    CHECK(*a->position({"in", 1}) == 0);
}

CONTRACT("bus: two members share the partitions, and the rest moves when one leaves") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 3).has_value());
    TestListener first_listener;
    TestListener second_listener;
    const std::vector<std::int32_t> all{0, 1, 2};
    auto first = *bus.subscribe({"g", {"in"}}, first_listener);
    REQUIRE(poll_until<TestType>({first.get()}, [&] { return first_listener.owned == all; }));

    auto second = *bus.subscribe({"g", {"in"}}, second_listener);
    REQUIRE(poll_until<TestType>({second.get(), first.get()}, [&] {
        return first_listener.owned.size() == 2 && second_listener.owned.size() == 1;
    }));
    std::set<std::int32_t> together(first_listener.owned.begin(), first_listener.owned.end());
    together.insert(second_listener.owned.begin(), second_listener.owned.end());
    CHECK(together.size() == 3);
    CHECK(first_listener.assigned == 3);  // What stays is not assigned again.

    const Partition kept{"in", first_listener.owned.front()};
    REQUIRE(first->commit({.input = kept, .next = 4, .state = {{"k", "v"}}, .outputs = {}})
                .has_value());
    first.reset();
    REQUIRE(poll_until<TestType>({second.get()}, [&] { return second_listener.owned == all; }));
    CHECK(*second->position(kept) == 4);
    CHECK(*second->store(kept).get("k") == "v");
}

CONTRACT("bus: a member without partitions waits its turn and cannot commit") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 1).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "1")}).has_value());
    TestListener owner_listener;
    TestListener idle_listener;
    auto owner = *bus.subscribe({"g", {"in"}}, owner_listener);
    const auto records = poll_records<TestType>(*owner, 1);
    REQUIRE(records.size() == 1);
    const auto idle = *bus.subscribe({"g", {"in"}}, idle_listener);
    for (int i = 0; i < 3; ++i) {
        CHECK(stays_empty<TestType>(*idle));
        CHECK(stays_empty<TestType>(*owner));
    }
    CHECK(idle_listener.owned.empty());
    const Offset next = records[0].offset + 1;
    const Step step{
        .input = {"in", 0}, .next = next, .state = {{"k", "v"}}, .outputs = {msg("", "o", "out")}};
    CHECK(idle->commit(step).error().kind == ErrorKind::kConflict);
    CHECK(bus.range({"out", 0})->end == 0);
    CHECK(*bus.group_position("g", {"in", 0}) == 0);
    REQUIRE(owner->commit(step).has_value());  // The newcomer took nothing away.

    owner.reset();
    REQUIRE(poll_until<TestType>({idle.get()}, [&] { return idle_listener.assigned == 1; }));
    CHECK(*idle->store({"in", 0}).get("k") == "v");
}

CONTRACT("bus: a position may be set back: the records come again after reopening") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    REQUIRE(append_and_wait(bus, {msg("", "1"), msg("", "2")}).has_value());
    for (int round = 0; round < 2; ++round) {
        TestListener listener;
        const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
        CHECK(values_of(poll_records<TestType>(*consumer, 2)) == Values{"1", "2"});
        CHECK(stays_empty<TestType>(*consumer));
        REQUIRE(consumer->commit({.input = {"in", 0}, .next = 2, .state = {}, .outputs = {}})
                    .has_value());
        REQUIRE(consumer->commit({.input = {"in", 0}, .next = 0, .state = {}, .outputs = {}})
                    .has_value());
    }
}

CONTRACT("bus: a waiting poll and a waiting read wake up at the append") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    TestListener listener;
    const auto consumer = *bus.subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_until<TestType>({consumer.get()}, [&] { return listener.assigned == 1; }));
    std::atomic<int> waiting{0};
    // Far longer than the test may take: only waking up ends these waits.
    const PollLimits patient{.records_max = 10, .wait_max = 60s};
    Values read;
    std::jthread reader([&] {
        ++waiting;
        read = values_of(*bus.read({"in", 0}, 0, patient));
    });
    std::jthread writer([&] {
        while (waiting.load() == 0) std::this_thread::yield();
        const Status status = append_and_wait(bus, {msg("", "1")});
        VIGIE_ASSERT(status.has_value());
    });
    CHECK(values_of(*consumer->poll(patient)) == Values{"1"});
    reader.join();
    CHECK(read == Values{"1"});
}

CONTRACT("bus: many threads append, every answer is true, and nothing is lost or doubled") {
    TestType harness;
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus, 2).has_value());
    constexpr int kThreads = 4;
    constexpr int kEach = 100;
    std::atomic<int> acknowledged{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < kEach; ++i) {
                    const std::string name = std::to_string(t) + "/" + std::to_string(i);
                    bus.append({msg(std::to_string(t), name)},
                               [&](Status status) { acknowledged += status ? 1 : 0; });
                }
                const Status last = append_and_wait(bus, {msg(std::to_string(t), "last")});
                VIGIE_ASSERT(last.has_value());
            });
        }
    }
    CHECK(acknowledged == kThreads * kEach);
    std::map<std::string, int> next;
    for (std::int32_t index = 0; index < 2; ++index) {
        for (const Record& record : records_on(bus, "in", index)) {
            if (record.message.value == "last") continue;
            const std::string expected =
                record.message.key + "/" + std::to_string(next[record.message.key]++);
            CHECK(record.message.value == expected);
        }
    }
    for (int t = 0; t < kThreads; ++t) CHECK(next[std::to_string(t)] == kEach);
}

CONTRACT("bus: a compacted topic keeps the newest record of each key and its offset") {
    TestType harness;
    const std::vector<TopicOptions> topics{{.name = "in", .compacted = true}};
    REQUIRE(harness.bus().ensure_topics(topics).has_value());
    harness.compact_soon("in");
    std::map<std::string, std::string> expected;
    int number = 0;
    const auto append = [&](int count) {
        std::vector<Message> messages;
        for (int i = 0; i < count; ++i, ++number) {
            const std::string key = "key" + std::to_string(number % 7);
            messages.push_back(msg(key, std::to_string(number)));
            expected[key] = messages.back().value;
        }
        REQUIRE(append_and_wait(harness.bus(), std::move(messages)).has_value());
    };
    for (int i = 0; i < 15; ++i) append(100);
    const Waiting waiting(90s);
    std::vector<Record> records;
    do {
        append(1);  // What is being written to is not compacted by Kafka.
        records = records_on(harness.bus(), "in");
        if (records.size() > 1000) wait_for(100ms, {});
    } while (records.size() > 1000 && !waiting.over());
    CHECK(records.size() < 1000);

    harness.reopen();
    // It may go on while we look: whoever reads finds the newest of each key, in order.
    const auto check = [&](const std::vector<Record>& found) {
        std::map<std::string, std::string> newest;
        Offset last = -1;
        for (const Record& record : found) {
            CHECK(record.offset > last);
            last = record.offset;
            if (TestType::kDense) CHECK(record.message.value == std::to_string(record.offset));
            CHECK(record.removed_before == 0);
            newest[record.message.key] = record.message.value;
        }
        CHECK(newest == expected);
    };
    records = records_on(harness.bus(), "in");
    check(records);
    const auto range = *harness.bus().range({"in", 0});
    CHECK(range.begin == 0);
    CHECK(range.end >= number);
    // A group, too; and from the middle of a hole.
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    check(poll_records<TestType>(*consumer, records.size()));
    const auto rest = harness.bus().read({"in", 0}, 1, kNow);
    REQUIRE(rest.has_value());
    check(*rest);
}

}  // namespace vigie::streams
