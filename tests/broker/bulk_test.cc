// Bulk state on Kafka: where its large snapshots lie, and who may write them.
#include <charconv>
#include <fstream>

#include <catch2/catch.hpp>

#include "streams/kafka/bulk_topic.h"
#include "streams/kafka/metrics.h"
#include "streams/runtime.h"
#include "streams/worker.h"
#include "tests/broker/life.h"

namespace vigie::streams {

using namespace std::chrono_literals;
namespace metrics = kafka::metrics;

namespace {

const Partition kIn{"in", 0};
constexpr std::size_t kLarge = std::size_t{6} << 20U;

kafka::KafkaBus::Options on_machine(const KafkaHarness& harness, const TempFolder& folder) {
    auto options = harness.options();
    options.state_folder = folder.path();
    return options;
}

// A process that has the partition.
struct Owner : Life {
    explicit Owner(const kafka::KafkaBus::Options& options) : Life(options) {
        REQUIRE(poll_until<KafkaHarness>({member.get()}, [&] { return listener.assigned == 1; }));
    }
};

// Counts records in memory and says the count of each; its snapshot is large.
class Counting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        context.emit(msg("", record.message.value + "=" + std::to_string(++count_), "out"));
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
    bool has_bulk_state() const override { return true; }
    std::string snapshot() const override {
        std::string bytes = std::to_string(count_) + " ";
        bytes.resize(kLarge, 'x');
        return bytes;
    }
    Status restore(std::string_view snapshot) override {
        if (snapshot.size() != kLarge) return fail(ErrorKind::kInvalid, "not whole");
        std::from_chars(snapshot.data(), snapshot.data() + snapshot.size(), count_);
        return {};
    }

private:
    int count_ = 0;
};

// One process of a stage, until `said` outputs are there.
void count_to(KafkaHarness& harness, const TempFolder& folder, std::size_t said) {
    harness.open(on_machine(harness, folder));
    Worker::Options options;
    options.stage = "count";
    options.subscription = {"count", {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<Counting>(); };
    options.snapshot_records = 10;
    const auto worker =
        Worker::open(harness.bus(), options, harness.metrics, harness.log, harness.clock);
    if (!worker) FAIL(worker.error().message);
    const Waiting waiting(KafkaHarness::kPatience);
    while (values_on(harness.bus(), "out").size() < said && !waiting.over()) {
        const auto done = (*worker)->step({.records_max = 7, .wait_max = 100ms});
        if (!done) FAIL(done.error().message);
    }
    REQUIRE(values_on(harness.bus(), "out").size() == said);
}

void send(KafkaHarness& harness, int from, int to) {
    std::vector<Message> messages;
    for (int i = from; i < to; ++i) messages.push_back(msg("", std::to_string(i)));
    REQUIRE(append_and_wait(harness.bus(), std::move(messages)).has_value());
}

}  // namespace

TEST_CASE("kafka: a stage with large bulk state goes on where it was, on another machine",
          "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    const TempFolder elsewhere;
    REQUIRE(make_topics(harness.bus()).has_value());
    send(harness, 0, 25);
    count_to(harness, here, 25);
    send(harness, 25, 30);
    // Twenty were in the snapshot; five are said again, with the same counts.
    count_to(harness, elsewhere, 35);
    const auto said = values_on(harness.bus(), "out");
    CHECK(said[24] == "24=25");
    CHECK(said[25] == "20=21");
    CHECK(said[34] == "29=30");
    // And back to where an older file lies.
    send(harness, 30, 45);
    count_to(harness, here, 50);
    CHECK(values_on(harness.bus(), "out").back() == "44=45");
    const auto read = harness.metrics.counter(metrics::kBulkRead, {{"group", "count"}}).value();
    CHECK(read == 2 * kLarge);
}

TEST_CASE("kafka: where its own file is, a large snapshot is not read from Kafka", "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    REQUIRE(make_topics(harness.bus()).has_value());
    send(harness, 0, 25);
    count_to(harness, here, 25);
    count_to(harness, here, 30);
    CHECK(harness.metrics.counter(metrics::kBulkRead, {{"group", "count"}}).value() == 0);
    CHECK(harness.metrics.counter(metrics::kBulkWritten, {{"group", "count"}}).value() ==
          2 * kLarge);
}

TEST_CASE("kafka: a snapshot that is not there as its reference says is kInvalid and says why",
          "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    REQUIRE(make_topics(harness.bus()).has_value());
    const Owner life(on_machine(harness, here));
    const std::string bytes(kLarge, 'a');
    const auto saved = life.member->save_bulk(kIn, bytes);
    REQUIRE(saved.has_value());
    const auto good = *kafka::decode_bulk_reference(*saved);
    CHECK(good.bytes == kLarge);
    const auto load = [&](const auto& change) {
        auto reference = good;
        reference.file.clear();
        change(reference);
        return life.member->load_bulk(kIn, kafka::encode_bulk_reference(reference));
    };
    using Reference = kafka::BulkReference;
    REQUIRE(load([](Reference&) {}).has_value());
    const auto why = [&](const auto& change) {
        const auto loaded = load(change);
        REQUIRE_FALSE(loaded.has_value());
        CHECK(loaded.error().kind == ErrorKind::kInvalid);
        return loaded.error().message;
    };
    using Catch::Contains;
    CHECK_THAT(why([](Reference& r) { r.check += 1; }), Contains("fails its check"));
    CHECK_THAT(why([](Reference& r) { r.bytes += 1; }), Contains("bytes"));
    CHECK_THAT(why([](Reference& r) { r.first += 1000; }), Contains("created anew"));
    CHECK_THAT(why([](Reference& r) { r.first += 1; }), Contains("lacks a part"));
    CHECK_THAT(why([](Reference& r) { r.slot ^= 1U; }), Contains("has 0 of"));
    for (std::size_t size = 0; size < saved->size(); ++size) {
        CHECK_FALSE(kafka::decode_bulk_reference(saved->substr(0, size)).has_value());
    }
}

TEST_CASE("kafka: who lost the partition cannot write a snapshot over the new owner's",
          "[broker]") {
    KafkaHarness harness;
    auto options = harness.options();
    options.state_folder.clear();
    options.properties["session.timeout.ms"] = "1500";
    options.properties["max.poll.interval.ms"] = "2000";
    REQUIRE(make_topics(harness.bus()).has_value());
    Owner old_owner(options);
    const std::string theirs(kLarge, 'o');
    const std::string ours(kLarge, 'n');
    const auto first = old_owner.member->save_bulk(kIn, theirs);
    REQUIRE(first.has_value());
    old_owner.member->keep_bulk(kIn, *first);

    // It polls no more: the other gets the partition.
    Owner new_owner(options);
    CHECK((*new_owner.member->load_bulk(kIn, *first) == theirs));
    const auto second = new_owner.member->save_bulk(kIn, ours);
    REQUIRE(second.has_value());
    new_owner.member->keep_bulk(kIn, *second);

    const auto stale = old_owner.member->save_bulk(kIn, theirs);
    REQUIRE_FALSE(stale.has_value());
    CHECK(stale.error().kind == ErrorKind::kConflict);
    CHECK((*new_owner.member->load_bulk(kIn, *second) == ours));
}

TEST_CASE("kafka: a topic that does not take snapshots costs the copy on Kafka, not the stage",
          "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    REQUIRE(make_topics(harness.bus()).has_value());
    // Somebody made it, and did not read what it must be.
    const std::vector<TopicOptions> theirs{{.name = kafka::bulk_topic("g"), .partitions = 1}};
    REQUIRE(harness.bus().ensure_topics(theirs).has_value());
    Owner life(on_machine(harness, here));
    const std::string bytes(kLarge, 'a');
    const auto saved = life.member->save_bulk(kIn, bytes);
    REQUIRE(saved.has_value());
    CHECK(life.count(metrics::kBulkFailed) == 1);
    CHECK((*life.member->load_bulk(kIn, *saved) == bytes));
    auto elsewhere = *kafka::decode_bulk_reference(*saved);
    CHECK(elsewhere.partition == -1);
    elsewhere.file += "0";
    const auto missing = life.member->load_bulk(kIn, kafka::encode_bulk_reference(elsewhere));
    CHECK(missing.error().kind == ErrorKind::kInvalid);
}

TEST_CASE("kafka: a state folder that takes no file costs that copy, not the stage", "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    REQUIRE(make_topics(harness.bus()).has_value());
    // A file where the folder should be.
    std::ofstream(here.path() + "/bulk") << "in the way";
    Owner life(on_machine(harness, here));
    const std::string bytes(kLarge, 'a');
    const auto saved = life.member->save_bulk(kIn, bytes);
    REQUIRE(saved.has_value());
    CHECK(life.count(metrics::kBulkFailed) == 1);
    CHECK((*life.member->load_bulk(kIn, *saved) == bytes));
}

TEST_CASE(
    "kafka: inputs that share a partition of the bulk topic keep their snapshots, also when "
    "brokers compact it",
    "[broker]") {
    KafkaHarness harness;
    auto options = harness.options();
    options.state_folder.clear();
    REQUIRE(make_topics(harness.bus()).has_value());
    harness.open(options);
    const Partition other{"out", 0};
    TestListener listener;
    const auto member = *harness.bus().subscribe({"g", {"in", "out"}}, listener);
    REQUIRE(poll_until<KafkaHarness>({member.get()}, [&] { return listener.assigned == 2; }));
    const auto save = [&](const Partition& input, char what) {
        auto saved = member->save_bulk(input, std::string(kLarge, what));
        if (!saved) FAIL(saved.error().message);
        member->keep_bulk(input, *saved);
        return *saved;
    };
    save(kIn, 'a');
    harness.compact_soon(kafka::bulk_topic("g"));
    save(other, 'b');
    save(kIn, 'c');
    save(other, 'd');
    const std::string one = save(kIn, 'e');
    const std::string two = save(other, 'f');
    const Partition bulk{kafka::bulk_topic("g"), 0};
    // Each snapshot is 12 records and a mark; of the older ones compaction leaves two slots each.
    const Waiting waiting(KafkaHarness::kPatience);
    const auto kept = [&] { return records_on(harness.bus(), bulk.topic).size(); };
    while (kept() > 48 && !waiting.over()) wait_for(100ms, {});
    CHECK(kept() <= 48);
    CHECK((*member->load_bulk(kIn, one) == std::string(kLarge, 'e')));
    CHECK((*member->load_bulk(other, two) == std::string(kLarge, 'f')));
}

TEST_CASE("kafka: a snapshot that an older Vigie left as a file is still read", "[broker]") {
    KafkaHarness harness;
    const TempFolder here;
    REQUIRE(make_topics(harness.bus()).has_value());
    const Owner life(on_machine(harness, here));
    const std::string bytes(kLarge, 'a');
    const auto saved = life.member->save_bulk(kIn, bytes);
    REQUIRE(saved.has_value());
    const std::string file = kafka::decode_bulk_reference(*saved)->file;
    CHECK((*life.member->load_bulk(kIn, "f" + file) == bytes));
    CHECK(life.member->load_bulk(kIn, "f" + file + "0").error().kind == ErrorKind::kInvalid);
}

}  // namespace vigie::streams
