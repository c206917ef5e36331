#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "streams/bus.h"

namespace vigie::sim {

// A bus with a bug, to see that the simulator finds it: a step commits its position first and
// its state and outputs after that. A crash or a refusal in between loses them.
class PlantedBus final : public streams::Bus {
public:
    // `bus` must outlive it.
    explicit PlantedBus(streams::Bus& bus) : bus_(bus) {}

    Status ensure_topics(std::span<const streams::TopicOptions> topics) override {
        return bus_.ensure_topics(topics);
    }
    Result<std::unique_ptr<streams::Consumer>> subscribe(
        const streams::Subscription& subscription, streams::AssignmentListener& listener) override {
        VIGIE_TRY_ASSIGN(auto consumer, bus_.subscribe(subscription, listener));
        return std::make_unique<PlantedConsumer>(std::move(consumer));
    }
    void append(std::vector<streams::Message> messages, AppendDone done) override {
        bus_.append(std::move(messages), std::move(done));
    }
    Result<std::vector<streams::Record>> read(const streams::Partition& partition,
                                              streams::Offset from,
                                              const streams::PollLimits& limits) const override {
        return bus_.read(partition, from, limits);
    }
    Result<Range> range(const streams::Partition& partition) const override {
        return bus_.range(partition);
    }
    Result<std::int32_t> partition_count(std::string_view topic) const override {
        return bus_.partition_count(topic);
    }
    std::size_t message_bytes_max() const override { return bus_.message_bytes_max(); }
    Result<streams::Offset> group_position(std::string_view group,
                                           const streams::Partition& partition) const override {
        return bus_.group_position(group, partition);
    }

private:
    class PlantedConsumer final : public streams::Consumer {
    public:
        explicit PlantedConsumer(std::unique_ptr<streams::Consumer> consumer)
            : consumer_(std::move(consumer)) {}

        Result<std::vector<streams::Record>> poll(const streams::PollLimits& limits) override {
            return consumer_->poll(limits);
        }
        const streams::Store& store(const streams::Partition& partition) const override {
            return consumer_->store(partition);
        }
        Result<streams::Offset> position(const streams::Partition& partition) const override {
            return consumer_->position(partition);
        }
        Status commit(streams::Step step) override {
            VIGIE_TRY(consumer_->commit({step.input, step.next, {}, {}}));
            step.next.reset();
            return consumer_->commit(std::move(step));
        }

    private:
        std::unique_ptr<streams::Consumer> consumer_;
    };

    streams::Bus& bus_;
};

}  // namespace vigie::sim
