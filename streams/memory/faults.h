#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>

#include "core/rng.h"
#include "streams/record.h"

namespace vigie::streams {

// What may go wrong with a MemoryBus, each with its chance per thousand calls, drawn from its
// seed. Nothing here is worse than what a disk, a broker or a process can do.
struct Faults {
    std::uint32_t poll_unavailable = 0;
    std::uint32_t commit_lost_before = 0;  // kUnavailable; nothing was written.
    std::uint32_t commit_lost_after = 0;   // kUnavailable; everything was written.
    std::uint32_t append_lost_before = 0;
    std::uint32_t append_lost_after = 0;
    // For a while appends and commits are kOverloaded; nothing is written.
    std::uint32_t disk_full = 0;
    std::uint32_t short_batch = 0;    // poll returns fewer records than there are.
    bool shuffle_partitions = false;  // poll serves partitions in a random order.
    // For a while appends wait for a sync that answers many of them, and commits are paused.
    std::uint32_t disk_slow = 0;
    // For a while one partition cannot be reached: poll leaves it out, all else is kUnavailable.
    std::uint32_t unreachable = 0;
    // A member is paused before it commits, so long that the group takes it for dead.
    std::uint32_t stall = 0;
    std::uint32_t crash = 0;            // The process dies in a poll or append: MemoryBus::crash.
    std::uint32_t commit_crash = 0;     // As crash, in a commit.
    std::uint32_t while_calls_max = 1;  // "A while" is 1 to so many calls.
};

// What went wrong. kFenced and kTornWrite follow from others.
enum class Fault : std::uint8_t {
    kPollFailed,
    kCommitLost,
    kCommitAnswerLost,
    kAppendLost,
    kAppendAnswerLost,  // It is written, and its sender sends it again.
    kDiskFull,
    kShortBatch,
    kSlowCommit,
    kLateAnswer,  // Of an append
    kUnreachable,
    kUnreachableOnlyInPart,  // Other partitions of the same append or commit could be reached.
    kStall,
    kFenced,
    kCrashInCall,
    kCrashInCommit,
    kTornWrite,  // A crash kept some of the appends that waited, and not all.
};
inline constexpr std::size_t kFaultKinds = 16;
std::string_view to_string(Fault fault);  // "disk_full"

// Draws the faults of one bus, remembers what lasts for a while, and counts. Not thread-safe.
class FaultSource {
public:
    FaultSource(std::uint64_t seed, const Faults& faults) : rng_(seed), faults_(faults) {}

    // What lasted for a while is over.
    void set(const Faults& faults);
    const Faults& faults() const { return faults_; }
    Rng& rng() { return rng_; }

    // A poll, append or commit begins: what lasts for a while is one call nearer to its end.
    void next_call();

    // True when `fault`, whose chance is `per_mille`, happens now.
    bool strikes(Fault fault, std::uint32_t per_mille);
    void count(Fault fault) { ++counts_.at(static_cast<std::size_t>(fault)); }
    std::size_t counted(Fault fault) const { return counts_.at(static_cast<std::size_t>(fault)); }

    // These begin it by chance, or find that it lasts.
    bool disk_full();
    bool disk_slow();
    // True when one of the partitions that a call touches cannot be reached.
    bool unreachable(std::span<const Partition> touched);

    // These only look.
    bool is_slow() const { return slow_left_ > 0; }
    bool is_unreachable(const Partition& partition) const;

private:
    bool lasts(std::size_t& left, std::uint32_t per_mille);

    Rng rng_;
    Faults faults_;
    std::array<std::size_t, kFaultKinds> counts_{};
    // How many calls each has left.
    std::size_t full_left_ = 0;
    std::size_t slow_left_ = 0;
    std::map<Partition, std::size_t> unreachable_left_;
};

}  // namespace vigie::streams
