#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/message.h"
#include "http/router.h"
#include "ingest/receivers.h"
#include "schemas/events.h"
#include "streams/bus.h"
#include "streams/memory/memory_bus.h"

namespace vigie::ingest {

// Stands still until it is moved.
class TestClock final : public Clock {
public:
    WallTime wall() const override { return now_; }
    SteadyTime steady() const override {
        return SteadyTime{std::chrono::nanoseconds{now_.time_since_epoch()}};
    }
    void set(std::string_view rfc3339);
    void advance(std::chrono::milliseconds by) { now_ += by; }

private:
    WallTime now_{};
};

// A bus whose appends become durable when the test says so.
class HeldBus final : public streams::Bus {
public:
    explicit HeldBus(streams::Bus& bus) : bus_(bus) {}

    void append(std::vector<streams::Message> messages, AppendDone done) override {
        held_.emplace_back(std::move(messages), std::move(done));
    }
    void release();
    std::size_t held() const { return held_.size(); }
    std::size_t scanned() const { return scanned_; }  // Records

    Status ensure_topics(std::span<const streams::TopicOptions> topics) override {
        return bus_.ensure_topics(topics);
    }
    Result<std::unique_ptr<streams::Consumer>> subscribe(
        const streams::Subscription& subscription, streams::AssignmentListener& listener) override {
        return bus_.subscribe(subscription, listener);
    }
    Result<std::vector<streams::Record>> read(const streams::Partition& partition,
                                              streams::Offset from,
                                              const streams::PollLimits& limits) const override {
        return bus_.read(partition, from, limits);
    }
    Status scan(const streams::Partition& partition, streams::Offset from,
                const streams::PollLimits& limits, const Visitor& visit) const override {
        return bus_.scan(partition, from, limits, [&](const streams::RecordView& record) {
            ++scanned_;
            return visit(record);
        });
    }
    Result<Range> range(const streams::Partition& partition) const override {
        return bus_.range(partition);
    }
    Result<std::int32_t> partition_count(std::string_view topic) const override {
        return bus_.partition_count(topic);
    }
    Result<streams::Offset> group_position(std::string_view group,
                                           const streams::Partition& partition) const override {
        return bus_.group_position(group, partition);
    }

private:
    streams::Bus& bus_;
    mutable std::size_t scanned_ = 0;
    std::vector<std::pair<std::vector<streams::Message>, AppendDone>> held_;
};

// All receivers on one router, over a bus in memory. The clock starts just after the payloads
// were sent.
struct Fixture {
    Fixture() : Fixture(Receivers::Options{}) {}
    explicit Fixture(Receivers::Options options, bool hold = false);

    // Dispatches and returns the answer; status 0 when there is none yet.
    http::Response post(std::string path, std::string body,
                        std::vector<std::pair<std::string, std::string>> headers);
    // The same as a call of gRPC, whose message is `body`.
    http::Response call(std::string path, std::string body, std::string_view coding = {});
    http::Response get(std::string path);

    std::vector<streams::Record> on(std::string_view topic) const { return bus.records(topic); }
    std::vector<schemas::Event> events_on(std::string_view topic) const;
    double metric(std::string_view line_start) const;  // 0 when there is no such line

    TestClock clock;
    // Before the bus: appends that it still holds at the end use them.
    MetricsRegistry metrics;
    MemoryLog log;
    streams::MemoryBus bus;
    HeldBus held{bus};
    http::Router router;
    std::unique_ptr<Receivers> receivers;
};

std::string payload(std::string_view name);  // "remote_write" of payloads/remote_write.body
std::string header_of(const streams::Message& message, std::string_view name);
EventTime at(std::string_view rfc3339);

inline const std::vector<std::pair<std::string, std::string>> kJsonHeaders{
    {"content-type", "application/json"}};

}  // namespace vigie::ingest
