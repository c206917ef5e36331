#include "tests/broker/harness.h"

#include <librdkafka/rdkafka.h>

#include "streams/kafka/client.h"

namespace vigie::streams {

namespace {

std::string next_prefix() {
    static int count = 0;
    return "t" + std::to_string(++count) + ".";
}

}  // namespace

KafkaHarness::KafkaHarness(Broker& broker) : broker_(broker), prefix_(next_prefix()) {
    reopen();
}

kafka::KafkaBus::Options KafkaHarness::options() const {
    kafka::KafkaBus::Options options;
    options.properties = {{"bootstrap.servers", broker_.servers()},
                          // So that a rebalance takes no seconds.
                          {"heartbeat.interval.ms", "300"},
                          {"session.timeout.ms", "6000"}};
    options.prefix = prefix_;
    options.state_folder = state_folder_.path();
    options.record_bytes_max = kTestMessageBytesMax;
    return options;
}

void KafkaHarness::open(const kafka::KafkaBus::Options& options) {
    bus_.reset();
    auto opened = kafka::KafkaBus::open(options, clock, metrics, log);
    if (!opened) FAIL(opened.error().message);
    bus_ = *std::move(opened);
}

void KafkaHarness::reopen_elsewhere() {
    auto there = options();
    there.state_folder = elsewhere_.path();
    open(there);
}

void KafkaHarness::compact_soon(const std::string& topic) {
    configure(topic, {{"cleanup.policy", "compact"},
                      {"segment.ms", "100"},
                      {"min.cleanable.dirty.ratio", "0.01"},
                      {"max.message.bytes", "2000000"}});
}

void KafkaHarness::forget_soon(const std::string& topic) {
    configure(topic, {{"cleanup.policy", "delete"},
                      {"segment.bytes", "2000"},
                      {"retention.bytes", "10000"},
                      {"retention.ms", "-1"},
                      {"file.delete.delay.ms", "100"},
                      {"max.message.bytes", "2000000"}});
}

void KafkaHarness::configure(const std::string& topic,
                             const std::map<std::string, std::string>& values) {
    using namespace kafka;
    Hooks hooks(log);
    const Handle handle =
        *open_handle(RD_KAFKA_PRODUCER, {{"bootstrap.servers", broker_.servers()}}, {}, hooks);
    const Owned<rd_kafka_ConfigResource_t> resource(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, (prefix_ + topic).c_str()));
    for (const auto& [name, value] : values) {
        rd_kafka_ConfigResource_set_config(resource.get(), name.c_str(), value.c_str());
    }
    const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(handle.get()));
    rd_kafka_ConfigResource_t* list = resource.get();
    rd_kafka_AlterConfigs(handle.get(), &list, 1, nullptr, queue.get());
    const Owned<rd_kafka_event_t> answer(rd_kafka_queue_poll(queue.get(), 20'000));
    REQUIRE(answer != nullptr);
    std::size_t count = 0;
    const auto* resources = rd_kafka_AlterConfigs_result_resources(
        rd_kafka_event_AlterConfigs_result(answer.get()), &count);
    REQUIRE(count == 1);
    REQUIRE(rd_kafka_ConfigResource_error(resources[0]) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

}  // namespace vigie::streams
