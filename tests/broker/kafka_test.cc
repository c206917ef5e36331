// What only the Kafka bus promises: what brokers refuse, what other clients see, state on a topic.
#include <algorithm>
#include <future>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <catch2/catch.hpp>

#include "core/rng.h"
#include "streams/kafka/client.h"
#include "tests/broker/harness.h"
#include "tests/contract/polling.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;
using kafka::KafkaBus;

namespace {

Result<std::unique_ptr<KafkaBus>> open_with(KafkaHarness& harness, const std::string& name,
                                            const std::string& value) {
    auto options = harness.options();
    options.properties[name] = value;
    return KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
}

// kcat with these arguments, line by line; `input` goes to its stdin.
Values kcat(std::vector<std::string> arguments, const Values& input = {}) {
    arguments.insert(arguments.begin(), {"/usr/bin/kcat", "-q", "-b", Broker::shared().servers()});
    auto process = test::Process::spawn(arguments);
    REQUIRE(process.has_value());
    for (const std::string& line : input) process->write_line(line);
    process->close_input();
    Values lines;
    while (true) {
        auto line = process->read_line(30s);
        if (!line) {
            REQUIRE(line.error().kind == ErrorKind::kNotFound);
            return lines;
        }
        lines.push_back(*std::move(line));
    }
}

std::string padded(std::size_t size, char filler) {
    return std::string(size, filler);
}

}  // namespace

TEST_CASE("kafka: properties that are unknown, wrong or ours are refused by name", "[broker]") {
    KafkaHarness harness;
    const auto why = [&](const std::string& name, const std::string& value) {
        const auto opened = open_with(harness, name, value);
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().kind == ErrorKind::kInvalid);
        return opened.error().message;
    };
    CHECK(why("ssl.kestore", "x") ==
          "kafka property ssl.kestore: No such configuration property: \"ssl.kestore\"");
    CHECK_THAT(why("security.protocol", "carrier-pigeon"),
               Catch::Contains("kafka property security.protocol"));
    CHECK_THAT(why("isolation.level", "read_uncommitted"), Catch::Contains("set by Vigie"));
    auto options = harness.options();
    options.properties.clear();
    const auto opened = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().message == "kafka property bootstrap.servers is missing");
}

TEST_CASE("kafka: a login that fails and a right that is missing are kRefused", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    auto options = harness.options();
    options.properties["bootstrap.servers"] = Broker::shared().sasl_servers();
    options.properties["security.protocol"] = "SASL_PLAINTEXT";
    options.properties["sasl.mechanisms"] = "PLAIN";
    options.properties["sasl.username"] = "limited";
    options.properties["sasl.password"] = "wrong";
    const auto wrong = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().kind == ErrorKind::kRefused);

    options.properties["sasl.password"] = "limited";
    {
        auto limited = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
        if (!limited) FAIL(limited.error().message);
        CHECK(append_and_wait(**limited, {msg("", "1")}).error().kind == ErrorKind::kRefused);
        CHECK((*limited)->read({"in", 0}, 0, kNow).error().kind == ErrorKind::kRefused);
        TestListener listener;
        CHECK((*limited)->subscribe({"g", {"in"}}, listener).error().kind == ErrorKind::kRefused);
    }
    options.properties["sasl.username"] = "admin";
    options.properties["sasl.password"] = "admin";
    auto admin = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
    REQUIRE(admin.has_value());
    REQUIRE(append_and_wait(**admin, {msg("", "2")}).has_value());
    CHECK(values_on(harness.bus(), "in") == Values{"2"});
}

TEST_CASE("kafka: what a broker finds too large is refused to its sender alone", "[broker]") {
    KafkaHarness harness;
    auto options = harness.options();
    options.record_bytes_max = 1000;
    harness.open(options);
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.reopen();
    // The topic takes some 650 KB now, and this bus believes in 1 MB.
    const Status unfit = make_topics(harness.bus());
    REQUIRE_FALSE(unfit.has_value());
    CHECK(unfit.error().kind == ErrorKind::kInvalid);
    CHECK_THAT(unfit.error().message, Catch::Contains("in exists with max.message.bytes="));

    // Bytes that compression cannot make small.
    std::string large = padded(900'000, 'x');
    Rng rng(1);
    for (char& c : large) c = static_cast<char>(rng.below(256));
    std::vector<std::promise<Status>> answers(9);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        harness.bus().append({msg("", i == 4 ? large : std::to_string(i))},
                             [&answers, i](Status status) { answers[i].set_value(status); });
    }
    Values expected;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Status status = answers[i].get_future().get();
        INFO(i << ": " << (status ? "taken" : status.error().message));
        CHECK(status.has_value() == (i != 4));
        if (!status) CHECK(status.error().kind == ErrorKind::kInvalid);
        if (i != 4) expected.push_back(std::to_string(i));
    }
    CHECK(values_on(harness.bus(), "in") == expected);

    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_records<KafkaHarness>(*consumer, 8).size() == 8);
    Step step{.input = {"in", 0}, .next = 1, .state = {{"k", "v"}}, .outputs = {}};
    step.outputs = {msg("", "fits", "out"), msg("", large, "out")};
    CHECK(consumer->commit(step).error().kind == ErrorKind::kInvalid);
    CHECK(*consumer->store({"in", 0}).get("k") == std::nullopt);
    step.outputs.pop_back();
    REQUIRE(consumer->commit(step).has_value());
    CHECK(values_on(harness.bus(), "out") == Values{"fits"});
}

TEST_CASE("kafka: a topic that exists with another clean-up policy is kInvalid", "[broker]") {
    KafkaHarness harness;
    const auto ensure = [&](TopicOptions topic) {
        return harness.bus().ensure_topics(std::vector{std::move(topic)});
    };
    REQUIRE(ensure({.name = "plain"}).has_value());
    REQUIRE(ensure({.name = "keyed", .compacted = true}).has_value());
    CHECK(ensure({.name = "keyed", .compacted = true}).has_value());
    const Status other = ensure({.name = "plain", .compacted = true});
    REQUIRE_FALSE(other.has_value());
    CHECK(other.error().kind == ErrorKind::kInvalid);
    CHECK_THAT(other.error().message, Catch::Contains("plain exists with cleanup.policy=delete"));
    CHECK(ensure({.name = "keyed"}).error().kind == ErrorKind::kInvalid);
    // Its retention belongs to whoever runs the cluster.
    CHECK(ensure({.name = "plain", .retention = 1h}).has_value());
    const auto lines = harness.log.lines();
    CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
        return line.find("topic keeps its own retention") != std::string::npos;
    }));
}

TEST_CASE("kafka: kcat reads what was committed, and its records are read", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 3).has_value());
    Message message = msg("ключ", "value 1");
    message.headers = {{"content-type", "text/plain"}};
    message.event_time = event_time_from_micros(1'700'000'000'123'456);
    REQUIRE(append_and_wait(harness.bus(), {message, msg("k2", "value 2")}).has_value());
    const std::string topic = harness.prefix() + "in";
    auto lines = kcat({"-C", "-t", topic, "-e", "-f", "%p %k %s %h\n"});
    std::sort(lines.begin(), lines.end());
    Values expected{
        fmt::format("{} ключ value 1 content-type=text/plain,vigie.event_time=1700000000123456",
                    partition_of("ключ", 3)),
        fmt::format("{} k2 value 2 vigie.event_time=0", partition_of("k2", 3))};
    std::sort(expected.begin(), expected.end());
    CHECK(lines == expected);

    const auto before = to_event_time(harness.clock.wall());
    kcat({"-P", "-t", topic, "-p", "1", "-K", ":", "-H", "h=v"}, {"other:from kcat"});
    const auto records = records_on(harness.bus(), "in", 1);
    const auto theirs = std::find_if(records.begin(), records.end(), [](const Record& record) {
        return record.message.value == "from kcat";
    });
    REQUIRE(theirs != records.end());
    CHECK(theirs->message.key == "other");
    CHECK(theirs->message.headers == Headers{{"h", "v"}});
    // Without an event time of its own it has Kafka's, in whole milliseconds.
    CHECK(theirs->message.event_time >= before - 1ms);
    CHECK(theirs->message.event_time <= to_event_time(harness.clock.wall()));
}

TEST_CASE("kafka: large rows of state come back whole, also smaller, also erased", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 3).has_value());
    const Partition in{"in", 2};
    const std::vector<Changes> rounds{
        {{"large", padded(1'700'000, 'a')}, {"even", padded(2U << 19U, 'b')}, {"small", "1"}},
        {{"large", padded(600'000, 'c')}, {"empty", ""}},
        {{"large", "now small"}, {"even", std::nullopt}},
        {{"large", std::nullopt}, {"even", padded(512U << 10U, 'd')}}};
    Changes expected;
    for (const Changes& changes : rounds) {
        TestListener listener;
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        REQUIRE(poll_until<KafkaHarness>({consumer.get()}, [&] { return listener.assigned == 3; }));
        for (const auto& [key, value] : expected) CHECK(*consumer->store(in).get(key) == value);
        REQUIRE(consumer->commit({.input = in, .next = 0, .state = changes, .outputs = {}})
                    .has_value());
        for (const auto& [key, value] : changes) expected[key] = value;
        for (const auto& [key, value] : expected) CHECK(*consumer->store(in).get(key) == value);
        CHECK(*consumer->store({"in", 1}).get("small") == std::nullopt);
    }
    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    REQUIRE(poll_until<KafkaHarness>({consumer.get()}, [&] { return listener.assigned == 3; }));
    std::erase_if(expected, [](const auto& row) { return !row.second.has_value(); });
    CHECK(rows_of(consumer->store(in)) == expected);
}

TEST_CASE("kafka: what retention removed before it was read is said", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus()).has_value());
    for (int i = 0; i < 4; ++i) {
        const Status status = append_and_wait(harness.bus(), {msg("", std::to_string(i))});
        if (!status) FAIL(status.error().message);
    }
    const auto records = records_on(harness.bus(), "in");
    REQUIRE(records.size() == 4);
    {
        TestListener listener;
        const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
        REQUIRE(poll_records<KafkaHarness>(*consumer, 4).size() == 4);
        REQUIRE(
            consumer
                ->commit(
                    {.input = {"in", 0}, .next = records[0].offset + 1, .state = {}, .outputs = {}})
                .has_value());
    }
    // As retention does it, now.
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char reason[256];
    REQUIRE(rd_kafka_conf_set(conf, "bootstrap.servers", Broker::shared().servers().c_str(), reason,
                              sizeof reason) == RD_KAFKA_CONF_OK);
    const kafka::Handle admin(rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason));
    REQUIRE(admin);
    const auto before = kafka::make_list();
    rd_kafka_topic_partition_list_add(before.get(), (harness.prefix() + "in").c_str(), 0)->offset =
        records[2].offset;
    rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(before.get());
    const kafka::Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(admin.get()));
    rd_kafka_DeleteRecords(admin.get(), &request, 1, nullptr, queue.get());
    const kafka::Owned<rd_kafka_event_t> answer(rd_kafka_queue_poll(queue.get(), 20'000));
    rd_kafka_DeleteRecords_destroy(request);
    REQUIRE(answer);
    REQUIRE(rd_kafka_event_error(answer.get()) == RD_KAFKA_RESP_ERR_NO_ERROR);

    TestListener listener;
    const auto consumer = *harness.bus().subscribe({"g", {"in"}}, listener);
    const auto rest = poll_records<KafkaHarness>(*consumer, 2);
    REQUIRE(values_of(rest) == Values{"2", "3"});
    CHECK(rest[0].removed_before == records[2].offset - records[0].offset - 1);
    CHECK(rest[1].removed_before == 0);
    CHECK(harness.bus().range({"in", 0})->begin == records[2].offset);
    CHECK(values_of(*harness.bus().read({"in", 0}, 0, kNow)) == Values{"2", "3"});
}

}  // namespace vigie::streams
