#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/kafka/checkpoints.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/encoding.h"
#include "streams/store.h"

namespace vigie::streams::kafka {

// The rows of one group behind one partition, in memory: a copy of what the changelog holds.
class TableStore final : public Store {
public:
    // `unsaved`: changes that no checkpoint on disk has.
    TableStore(Checkpoints::Checkpoint checkpoint, std::size_t unsaved)
        : now_(std::move(checkpoint)), unsaved_(unsaved) {}

    Result<std::optional<std::string>> get(std::string_view key) const override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;

    // In how many records the row lies; 0: there is none.
    std::size_t parts_of(std::string_view key) const;
    // Changes that were committed `at` this time, and where the changelog goes on behind them.
    void apply(Changes changes, Offset next, WallTime at);

    // What a checkpoint of it is.
    const Checkpoints::Checkpoint& now() const { return now_; }
    Checkpoints::Checkpoint take() { return std::move(now_); }
    // Changes since the last checkpoint.
    std::size_t unsaved() const { return unsaved_; }
    void saved() { unsaved_ = 0; }

private:
    Checkpoints::Checkpoint now_;
    std::size_t unsaved_;
};

// The compacted topic that a group's state lies on. The rows of input partition i of any topic
// are on partition i modulo the number of its partitions.
class Changelog {
public:
    Changelog(const Cluster& cluster, const std::string& group, std::int32_t partitions)
        : cluster_(cluster),
          group_(group),
          partitions_(partitions),
          checkpoints_(std::make_unique<Checkpoints>(cluster, group)) {}

    // The records that these changes are.
    std::vector<Outgoing> encode(const Partition& input, const Changes& changes,
                                 const TableStore& store) const;

    // The rows of an input as far as they were read.
    struct Copy {
        Partition input;
        StateDecoder decoder;
        Offset next = 0;       // Below it everything is in the decoder.
        WallTime at;           // When that was all that the changelog had.
        std::size_t read = 0;  // Records since the last checkpoint.
    };
    using Copies = std::map<std::string, Copy, std::less<>>;  // By to_string(input).
    std::int32_t partitions() const { return partitions_; }
    Partition changelog_of(const Partition& input) const {
        return {state_topic(group_), input.index % partitions_};
    }
    // False: what was erased since may be missing in a changelog that has this range.
    bool usable(const Copy& copy, const Bus::Range& range) const;
    // With what the checkpoint has, or with nothing.
    Copy begin(const Partition& input, const Bus::Range& range) const;
    // Reads on up to the end of the range, or as long as `go_on`, asked with the next offset, says
    // so. Also when it fails the copies are usable, and have what was read. kUnavailable when
    // nothing comes any more, kCorrupt.
    using GoOn = std::function<bool(Offset next)>;
    Status catch_up(const Partition& changelog, const Bus::Range& range, Copies& copies,
                    Counter& records, const GoOn& go_on) const;

    // From `copies` on, the checkpoint, or the beginning, everything written up to now, and waits
    // for transactions under way: none of the old owner may be missed. Fails as catch_up().
    using Tables = std::map<Partition, std::unique_ptr<TableStore>>;
    Result<Tables> restore(std::span<const Partition> inputs, Copies copies) const;

    // Now, or when as much changed as makes it worth while.
    void save(const Partition& input, TableStore& store) const;
    void save_when_due(const Partition& input, TableStore& store) const;
    // What was read since the last checkpoint; nothing when a row was read only in part.
    void save(Copy copy) const;

private:
    Status catch_up_and_tell(const Partition& changelog, const Bus::Range& range,
                             Copies& copies) const;
    Status read(const Partition& changelog, const Bus::Range& range, Copies& copies,
                Counter& records, const GoOn& go_on, Offset& at) const;
    static Status add(const Partition& changelog, const rd_kafka_message_t& record, Copies& copies);

    const Cluster& cluster_;
    const std::string group_;
    const std::int32_t partitions_;
    std::unique_ptr<Checkpoints> checkpoints_;
};

}  // namespace vigie::streams::kafka
