#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/memory/memory_bus.h"

namespace vigie::streams {

// Rows of one group and partition. Reads under the bus's lock and visits without it.
class MemoryStore final : public Store {
public:
    MemoryStore(const MemoryBus& bus, MemoryBus::GroupKey key) : bus_(bus), key_(std::move(key)) {}

    Result<std::optional<std::string>> get(std::string_view key) const override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;

private:
    const MemoryBus& bus_;
    const MemoryBus::GroupKey key_;
};

class MemoryConsumer final : public Consumer {
public:
    // Joined as `member`; joins again by itself when the group took it for dead.
    MemoryConsumer(MemoryBus& bus, Subscription subscription, Groups::MemberId member,
                   AssignmentListener& listener);
    ~MemoryConsumer() override;

    Result<std::vector<Record>> poll(const PollLimits& limits) override;
    const Store& store(const Partition& partition) const override;
    Result<Offset> position(const Partition& partition) const override;
    Status commit(Step step) override;

private:
    struct Held {
        Groups::Epoch epoch = 0;
        Offset next = 0;
        std::unique_ptr<MemoryStore> store;
    };
    Status follow_assignment();
    // Before a commit: what only time and other members see.
    void pause();
    // Those with `Answers` collect what was answered meanwhile.
    Status apply(Step step, MemoryBus::Answers& answers);
    void write(Step step);
    // With the bus's lock held.
    bool ready() const;
    Status begin_poll(MemoryBus::Answers& answers);
    std::vector<Record> collect(std::size_t records_max);

    MemoryBus& bus_;
    const Subscription subscription_;
    Groups::MemberId member_;
    AssignmentListener& listener_;
    std::map<Partition, Held> held_;
    std::uint64_t version_seen_ = 0;
    bool broken_ = false;  // A commit's fate is unknown: only a new consumer may go on.
};

}  // namespace vigie::streams
