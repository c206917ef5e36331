#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/log.h"
#include "core/system_clock.h"
#include "streams/kafka/kafka_bus.h"
#include "tests/broker/broker.h"
#include "tests/contract/harness.h"

namespace vigie::streams {

// A bus on the shared broker, with names of its own.
class KafkaHarness {
public:
    static constexpr bool kDense = false;
    static constexpr std::chrono::milliseconds kPatience{30'000};
    static constexpr std::chrono::milliseconds kQuiet{500};

    explicit KafkaHarness(Broker& broker = Broker::shared());
    kafka::KafkaBus& bus() { return *bus_; }
    kafka::KafkaBus::Options options() const;
    void reopen() { open(options()); }
    void open(const kafka::KafkaBus::Options& options);
    // On a machine that has no copies of state.
    void reopen_elsewhere();
    void close() { bus_.reset(); }
    // Has the brokers compact a topic, or remove what is over its limits, as early as they can.
    void compact_soon(const std::string& topic);
    void forget_soon(const std::string& topic);
    void let_time_pass() {}
    // Of the topics on Kafka.
    const std::string& prefix() const { return prefix_; }

    const SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;

private:
    void configure(const std::string& topic, const std::map<std::string, std::string>& values);

    Broker& broker_;
    const TempFolder state_folder_;  // So everything is tested with checkpoints.
    const TempFolder elsewhere_;
    const std::string prefix_;
    std::unique_ptr<kafka::KafkaBus> bus_;
};

}  // namespace vigie::streams
