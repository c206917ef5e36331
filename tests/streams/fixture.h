#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

namespace vigie::streams {

class ManualClock final : public Clock {
public:
    WallTime wall() const override { return WallTime{now_}; }
    SteadyTime steady() const override { return SteadyTime{now_}; }
    void advance(std::chrono::milliseconds duration) { now_ += duration; }

private:
    std::chrono::milliseconds now_{1'000'000};
};

inline EventTime at(std::int64_t seconds) {
    return EventTime{std::chrono::seconds{seconds}};
}

inline Message message(std::string key, std::string value, std::int64_t seconds,
                       std::string topic = "in") {
    return {std::move(topic), std::move(key), std::move(value), {}, at(seconds)};
}

// A processor made of functions.
class TestProcessor : public Processor {
public:
    using OnRecord = std::function<Status(const Record&, Context&)>;
    using OnTimer = std::function<Status(std::string_view, EventTime, Context&)>;

    explicit TestProcessor(OnRecord on_record, OnTimer on_timer = {})
        : on_record_(std::move(on_record)), on_timer_(std::move(on_timer)) {}

    Status on_record(const Record& record, Context& context) override {
        return on_record_(record, context);
    }
    Status on_timer(std::string_view name, EventTime time, Context& context) override {
        return on_timer_ ? on_timer_(name, time, context) : Status{};
    }

private:
    OnRecord on_record_;
    OnTimer on_timer_;
};

// A bus with topics in, out and vigie.deadletter, and what a worker needs.
struct Fixture {
    explicit Fixture(std::int32_t partitions = 1, MemoryBus::Options options = {}) : bus(options) {
        const std::vector<TopicOptions> topics{{.name = "in", .partitions = partitions},
                                               {.name = "out"},
                                               {.name = "vigie.deadletter"}};
        VIGIE_ASSERT(bus.ensure_topics(topics).has_value());
    }

    Worker::Options options(TestProcessor::OnRecord on_record,
                            TestProcessor::OnTimer on_timer = {}) {
        Worker::Options options;
        options.stage = "test";
        options.subscription = {"test", {"in"}};
        options.make_processor = [=](const Partition&) {
            return std::make_unique<TestProcessor>(on_record, on_timer);
        };
        return options;
    }

    std::unique_ptr<Worker> open(Worker::Options options) {
        auto worker = Worker::open(bus, std::move(options), metrics, log, clock);
        VIGIE_ASSERT(worker.has_value());
        return *std::move(worker);
    }

    void send(std::vector<Message> messages) {
        VIGIE_ASSERT(append_and_wait(bus, std::move(messages)).has_value());
    }

    // Steps until nothing is left, at most `records_max` records at a time.
    static void drain(Worker& worker, std::size_t records_max = 500) {
        while (true) {
            const auto done =
                worker.step({.records_max = records_max, .wait_max = std::chrono::milliseconds{0}});
            VIGIE_ASSERT(done.has_value());
            if (*done == 0) return;
        }
    }

    std::vector<std::string> values(std::string_view topic) const {
        std::vector<std::string> values;
        for (const Record& record : bus.records(topic)) values.push_back(record.message.value);
        return values;
    }

    MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    ManualClock clock;
};

}  // namespace vigie::streams
