#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "streams/bulk_files.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/encoding.h"

namespace vigie::streams::kafka {

// Copies of one group's state in KafkaBus::Options::state_folder, so that a takeover reads only
// what the changelog got since. A hint, never the truth: without one that can be trusted the
// changelog is read whole, and metrics::kCheckpointsUnused says why. Safe from any thread.
class Checkpoints {
public:
    // Of any copy: a row erased since then must still have its tombstone in the changelog, which
    // brokers keep for delete.retention.ms: a day, which topics.cc asks for.
    static constexpr std::chrono::hours kAgeMax{12};

    Checkpoints(const Cluster& cluster, std::string group);

    // `rows` has every change that the changelog holds below `next`, and may have later ones:
    // they are read again.
    struct Checkpoint {
        Offset next = 0;
        WallTime at;  // When the rows were all that the changelog had.
        StateDecoder::Rows rows;
    };

    // nullopt: there is none for this input, or it is damaged, of another cluster or too old.
    std::optional<Checkpoint> load(const Partition& input) const;
    // Counts that one was loaded in vain.
    void unused(std::string_view why) const;
    // In place of the one before. When that fails the log says so and the one before stays.
    void save(const Partition& input, const Checkpoint& checkpoint);

private:
    std::string owner_of(const Partition& input) const;

    const Cluster& cluster_;
    const std::string group_;
    BulkFiles files_;
};

}  // namespace vigie::streams::kafka
