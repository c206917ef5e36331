#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/rocks/committer.h"
#include "streams/rocks/engine.h"

namespace vigie::streams::rocks {

// Rows of one group and partition in the state family.
class RocksStore final : public Store {
public:
    RocksStore(Engine& engine, std::string_view group, const Partition& partition)
        : engine_(engine), prefix_(group_prefix(group, partition) + 's') {}

    Result<std::optional<std::string>> get(std::string_view key) const override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;

private:
    Engine& engine_;
    const std::string prefix_;
};

class RocksConsumer final : public Consumer {
public:
    RocksConsumer(Engine& engine, Committer& committer, std::string group, Groups::MemberId member,
                  AssignmentListener& listener);
    ~RocksConsumer() override;

    Result<std::vector<Record>> poll(const PollLimits& limits) override;
    const Store& store(const Partition& partition) const override;
    Result<Offset> position(const Partition& partition) const override;
    Status commit(Step step) override;
    Result<std::string> save_bulk(const Partition& partition, std::string_view bytes) override;
    Result<std::string> load_bulk(const Partition& partition, std::string_view reference) override;
    void keep_bulk(const Partition& partition, std::string_view reference) override;

private:
    struct Held {
        Groups::Epoch epoch = 0;
        Offset next = 0;
        std::unique_ptr<RocksStore> store;
    };
    Status follow_assignment();
    Status take_over(const std::map<Partition, Groups::Epoch>& assigned);
    std::string owner_of(const Partition& partition) const;
    bool ready() const;  // With the engine's lock held.
    Result<std::vector<Record>> collect(std::size_t records_max);

    Engine& engine_;
    Committer& committer_;
    const std::string group_;
    const Groups::MemberId member_;
    AssignmentListener& listener_;
    std::map<Partition, Held> held_;
    std::uint64_t version_seen_ = 0;
    std::size_t first_ = 0;  // Which partition is served first, so that none starves.
    bool broken_ = false;    // A commit's fate is unknown: only a new consumer may go on.
};

}  // namespace vigie::streams::rocks
