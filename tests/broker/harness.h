#pragma once

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
    void close() { bus_.reset(); }
    // Has the brokers compact a topic as early as they can.
    void compact_soon(const std::string& topic);
    // Of the topics on Kafka.
    const std::string& prefix() const { return prefix_; }

    const SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;

private:
    Broker& broker_;
    const TempFolder state_folder_;  // So everything is tested with checkpoints.
    const std::string prefix_;
    std::unique_ptr<kafka::KafkaBus> bus_;
};

}  // namespace vigie::streams
