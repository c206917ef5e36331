#pragma once

#include <atomic>
#include <memory>

#include "core/system_clock.h"
#include "streams/kafka/kafka_bus.h"
#include "tests/broker/harness.h"
#include "tests/contract/polling.h"

namespace vigie::streams {

// A wall clock that can be set ahead.
class Shifted final : public Clock {
public:
    WallTime wall() const override { return real_.wall() + by_.load(); }
    SteadyTime steady() const override { return real_.steady(); }
    void set_ahead(std::chrono::milliseconds by) { by_ = by; }

private:
    const SystemClock real_;
    std::atomic<std::chrono::milliseconds> by_ = std::chrono::milliseconds{0};
};

// One process of an installation: a member of the group "g" on the topic "in".
struct Life {
    explicit Life(const kafka::KafkaBus::Options& options, std::chrono::milliseconds ahead = {}) {
        clock.set_ahead(ahead);
        auto opened = kafka::KafkaBus::open(options, clock, numbers, log);
        if (!opened) FAIL(opened.error().message);
        bus = *std::move(opened);
        auto subscribed = bus->subscribe({"g", {"in"}}, listener);
        if (!subscribed) FAIL(subscribed.error().message);
        member = *std::move(subscribed);
    }

    void commit(const Partition& input, Changes changes) {
        const auto done =
            member->commit({.input = input, .next = 0, .state = std::move(changes), .outputs = {}});
        if (!done) FAIL(done.error().message);
    }
    std::uint64_t count(const MetricName& name, MetricLabels more = {}) {
        more.insert(more.begin(), {"group", "g"});
        return numbers.counter(name, std::move(more)).value();
    }

    Shifted clock;
    MetricsRegistry numbers;
    MemoryLog log;
    TestListener listener;
    std::unique_ptr<kafka::KafkaBus> bus;
    std::unique_ptr<Consumer> member;
};

}  // namespace vigie::streams
