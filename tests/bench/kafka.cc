// Exactly-once steps on a real Kafka against the same work done at least once, in batches of
// 1,000: see tools/bench.py. Both are timed from their first batch on, without the time that it
// takes to connect and to join a group. Needs Java and Kafka's jars (`./dev kafka fetch`).
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <librdkafka/rdkafka.h>

#include "core/log.h"
#include "core/metrics.h"
#include "streams/kafka/kafka_bus.h"
#include "streams/runtime.h"
#include "streams/worker.h"
#include "tests/bench/measure.h"
#include "tests/support/process.h"

namespace {

using namespace vigie;
using namespace vigie::streams;
using namespace vigie::bench;

constexpr int kRounds = 5;
constexpr std::size_t kRecords = 200'000;
constexpr std::size_t kBatch = 1000;
constexpr std::size_t kValueBytes = 200;
constexpr int kWaitMs = 10'000;

// --- at least once, with librdkafka alone --------------------------------------------------------

rd_kafka_conf_t* configuration(const std::string& servers,
                               const std::map<std::string, std::string>& more) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::string why(512, '\0');
    const auto set = [&](const std::string& name, const std::string& value) {
        VIGIE_ASSERT(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) ==
                     RD_KAFKA_CONF_OK);
    };
    set("bootstrap.servers", servers);
    for (const auto& [name, value] : more) set(name, value);
    return conf;
}

struct Ended {
    void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
    void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Client = std::unique_ptr<rd_kafka_t, Ended>;

Client client(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
    std::string why(512, '\0');
    Client made(rd_kafka_new(type, conf, why.data(), why.size()));
    VIGIE_ASSERT(made != nullptr);
    return made;
}

// The seconds from the first batch to the last.
class Stretch {
public:
    void batch_done() {
        last_ = g_clock.steady();
        if (!first_) first_ = last_;
    }
    double seconds() const { return std::chrono::duration<double>(last_ - *first_).count(); }

private:
    std::optional<SteadyTime> first_;
    SteadyTime last_;
};

// Copies `in` to `out`: each batch is produced, flushed, and then its position is committed.
double copy_at_least_once(const std::string& servers, const std::string& group) {
    const Client producer =
        client(RD_KAFKA_PRODUCER,
               configuration(servers, {{"enable.idempotence", "true"}, {"linger.ms", "0"}}));
    const Client consumer =
        client(RD_KAFKA_CONSUMER, configuration(servers, {{"group.id", group},
                                                          {"auto.offset.reset", "earliest"},
                                                          {"enable.auto.commit", "false"},
                                                          {"isolation.level", "read_committed"}}));
    rd_kafka_poll_set_consumer(consumer.get());
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, "in", RD_KAFKA_PARTITION_UA);
    VIGIE_ASSERT(rd_kafka_subscribe(consumer.get(), topics) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    Stretch stretch;
    for (std::size_t copied = 0; copied < kRecords;) {
        std::size_t batch = 0;
        while (batch < kBatch && copied + batch < kRecords) {
            const std::unique_ptr<rd_kafka_message_t, Ended> message(
                rd_kafka_consumer_poll(consumer.get(), 100));
            if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
            VIGIE_ASSERT(rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("out"),
                                           RD_KAFKA_V_KEY(message->key, message->key_len),
                                           RD_KAFKA_V_VALUE(message->payload, message->len),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
            ++batch;
        }
        VIGIE_ASSERT(rd_kafka_flush(producer.get(), kWaitMs) == RD_KAFKA_RESP_ERR_NO_ERROR);
        VIGIE_ASSERT(rd_kafka_commit(consumer.get(), nullptr, 0) == RD_KAFKA_RESP_ERR_NO_ERROR);
        copied += batch;
        stretch.batch_done();
    }
    rd_kafka_consumer_close(consumer.get());
    return stretch.seconds();
}

// --- exactly once, with ours ---------------------------------------------------------------------

class Copier final : public Processor {
    Status on_record(const Record& record, Context& context) override {
        Message out = record.message;
        out.topic = "out";
        context.emit(std::move(out));
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
};

double copy_exactly_once(Bus& bus, const std::string& group, MetricsRegistry& metrics, Log& log) {
    Worker::Options options;
    options.stage = group;
    options.subscription = {group, {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<Copier>(); };
    auto worker = Worker::open(bus, options, metrics, log, g_clock);
    VIGIE_ASSERT(worker.has_value());
    Stretch stretch;
    for (std::size_t copied = 0; copied < kRecords;) {
        const auto done =
            (*worker)->step({.records_max = kBatch, .wait_max = std::chrono::milliseconds{100}});
        VIGIE_ASSERT(done.has_value());
        copied += *done;
        if (*done > 0) stretch.batch_done();
    }
    return stretch.seconds();
}

void fill(Bus& bus) {
    const std::vector<TopicOptions> topics{
        {.name = "in"}, {.name = "out"}, {.name = "vigie.deadletter"}};
    VIGIE_ASSERT(bus.ensure_topics(topics).has_value());
    for (std::size_t i = 0; i < kRecords; i += kBatch) {
        std::vector<Message> batch;
        for (std::size_t n = i; n < i + kBatch; ++n) {
            batch.push_back({"in", std::to_string(n), std::string(kValueBytes, 'v'), {}, {}});
        }
        VIGIE_ASSERT(append_and_wait(bus, std::move(batch)).has_value());
    }
}

void measure(const std::string& servers) {
    MetricsRegistry metrics;
    const auto log = make_stderr_log(LogLevel::kError);
    kafka::KafkaBus::Options options;
    options.properties["bootstrap.servers"] = servers;
    auto bus = kafka::KafkaBus::open(options, g_clock, metrics, *log);
    VIGIE_ASSERT(bus.has_value());
    fill(**bus);
    std::vector<double> slower;
    std::vector<double> rates;
    for (int round = 0; round < kRounds; ++round) {
        const std::string name = std::to_string(round);
        const double least = copy_at_least_once(servers, "least" + name);
        const double exact = copy_exactly_once(**bus, "exact" + name, metrics, *log);
        slower.push_back(100 * (exact / least - 1));
        rates.push_back((kRecords - kBatch) / exact);
    }
    say("exactly_once_copied_on_kafka", median(rates), "records/s", "");
    say("exactly_once_slower_than_at_least_once", median(slower), "%", "<= 25");
}

}  // namespace

int main() {
    const std::string source = VIGIE_SOURCE_DIR;
    std::string folder = (std::filesystem::temp_directory_path() / "vigie-bench-XXXXXX").string();
    VIGIE_ASSERT(mkdtemp(folder.data()) != nullptr);
    {
        auto broker = test::Process::spawn(
            {"/usr/bin/python3", source + "/tools/kafka.py", "run", "--dir", folder});
        VIGIE_ASSERT(broker.has_value());
        const auto line = broker->read_line(std::chrono::seconds{120});
        if (line) measure(line->substr(0, line->find(' ')));
        if (!line) fmt::print("Kafka does not start: {}\n", line.error().message);
        broker->close_input();
        while (broker->read_line(std::chrono::seconds{20})) {
        }
    }
    std::filesystem::remove_all(folder);
    return 0;
}
