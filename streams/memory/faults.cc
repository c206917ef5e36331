#include "streams/memory/faults.h"

#include <algorithm>

namespace vigie::streams {

std::string_view to_string(Fault fault) {
    switch (fault) {
        case Fault::kPollFailed: return "poll_failed";
        case Fault::kCommitLost: return "commit_lost";
        case Fault::kCommitAnswerLost: return "commit_answer_lost";
        case Fault::kAppendLost: return "append_lost";
        case Fault::kAppendAnswerLost: return "append_answer_lost";
        case Fault::kDiskFull: return "disk_full";
        case Fault::kShortBatch: return "short_batch";
        case Fault::kSlowCommit: return "slow_commit";
        case Fault::kLateAnswer: return "late_answer";
        case Fault::kUnreachable: return "unreachable";
        case Fault::kUnreachableOnlyInPart: return "unreachable_only_in_part";
        case Fault::kStall: return "stall";
        case Fault::kFenced: return "fenced";
        case Fault::kCrashInCall: return "crash_in_call";
        case Fault::kCrashInCommit: return "crash_in_commit";
        case Fault::kTornWrite: return "torn_write";
    }
    return "unknown";
}

void FaultSource::set(const Faults& faults) {
    faults_ = faults;
    full_left_ = 0;
    slow_left_ = 0;
    unreachable_left_.clear();
}

void FaultSource::next_call() {
    if (full_left_ > 0) --full_left_;
    if (slow_left_ > 0) --slow_left_;
    for (auto& [partition, left] : unreachable_left_) --left;
    std::erase_if(unreachable_left_, [](const auto& entry) { return entry.second == 0; });
}

bool FaultSource::strikes(Fault fault, std::uint32_t per_mille) {
    if (!rng_.chance(per_mille)) return false;
    count(fault);
    return true;
}

bool FaultSource::lasts(std::size_t& left, std::uint32_t per_mille) {
    if (left == 0 && rng_.chance(per_mille)) {
        left = 1 + rng_.below(std::max(faults_.while_calls_max, 1U));
    }
    return left > 0;
}

bool FaultSource::disk_full() {
    if (!lasts(full_left_, faults_.disk_full)) return false;
    count(Fault::kDiskFull);
    return true;
}

bool FaultSource::disk_slow() {
    return lasts(slow_left_, faults_.disk_slow);
}

bool FaultSource::unreachable(std::span<const Partition> touched) {
    if (touched.empty()) return false;
    if (rng_.chance(faults_.unreachable)) {
        lasts(unreachable_left_[touched[rng_.below(touched.size())]], 1000);
    }
    const auto gone = std::count_if(touched.begin(), touched.end(),
                                    [this](const auto& p) { return is_unreachable(p); });
    if (gone == 0) return false;
    count(Fault::kUnreachable);
    if (static_cast<std::size_t>(gone) < touched.size()) count(Fault::kUnreachableOnlyInPart);
    return true;
}

bool FaultSource::is_unreachable(const Partition& partition) const {
    return unreachable_left_.contains(partition);
}

}  // namespace vigie::streams
