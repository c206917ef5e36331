#include "tests/broker/harness.h"

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

}  // namespace vigie::streams
