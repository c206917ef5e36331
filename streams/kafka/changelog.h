#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/kafka/cluster.h"
#include "streams/kafka/encoding.h"
#include "streams/store.h"

namespace vigie::streams::kafka {

// The rows of one group behind one partition, in memory: a copy of what the changelog holds.
class TableStore final : public Store {
public:
    explicit TableStore(StateDecoder::Rows rows) : rows_(std::move(rows)) {}

    Result<std::optional<std::string>> get(std::string_view key) const override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;

    // In how many records the row lies; 0: there is none.
    std::size_t parts_of(std::string_view key) const;
    void apply(Changes changes);

private:
    StateDecoder::Rows rows_;
};

// The compacted topic that a group's state lies on. The rows of input partition i of any topic
// are on partition i modulo the number of its partitions.
class Changelog {
public:
    Changelog(const Cluster& cluster, std::string group, std::int32_t partitions)
        : cluster_(cluster), group_(std::move(group)), partitions_(partitions) {}

    // The records that these changes are.
    std::vector<Outgoing> encode(const Partition& input, const Changes& changes,
                                 const TableStore& store) const;

    // Reads everything written up to now, and waits for transactions under way: none of the
    // old owner may be missed. kUnavailable when nothing comes any more, kCorrupt.
    using Tables = std::map<Partition, std::unique_ptr<TableStore>>;
    Result<Tables> restore(std::span<const Partition> inputs) const;

private:
    std::int32_t partition_of(const Partition& input) const { return input.index % partitions_; }
    using Decoders = std::map<std::string, StateDecoder, std::less<>>;
    Status read(std::int32_t partition, Decoders& decoders) const;

    const Cluster& cluster_;
    const std::string group_;
    const std::int32_t partitions_;
};

}  // namespace vigie::streams::kafka
