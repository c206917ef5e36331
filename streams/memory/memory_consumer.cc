#include "streams/memory/memory_consumer.h"

#include <algorithm>

#include <fmt/format.h>

namespace vigie::streams {

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) const {
    const std::scoped_lock lock(bus_.mutex_);
    const auto state = bus_.group_states_.find(key_);
    if (state == bus_.group_states_.end()) return std::nullopt;
    const auto row = state->second.rows.find(key);
    if (row == state->second.rows.end()) return std::nullopt;
    return row->second;
}

Status MemoryStore::scan(std::string_view prefix, const Visitor& visit) const {
    std::vector<std::pair<std::string, std::string>> found;
    {
        const std::scoped_lock lock(bus_.mutex_);
        const auto state = bus_.group_states_.find(key_);
        if (state == bus_.group_states_.end()) return {};
        const auto& rows = state->second.rows;
        for (auto row = rows.lower_bound(prefix);
             row != rows.end() && row->first.starts_with(prefix); ++row) {
            found.emplace_back(*row);
        }
    }
    for (const auto& [key, value] : found) {
        if (!visit(key, value)) break;
    }
    return {};
}

MemoryConsumer::MemoryConsumer(MemoryBus& bus, Subscription subscription, Groups::MemberId member,
                               AssignmentListener& listener)
    : bus_(bus), subscription_(std::move(subscription)), member_(member), listener_(listener) {}

MemoryConsumer::~MemoryConsumer() {
    {
        const std::scoped_lock lock(bus_.mutex_);
        bus_.groups_.leave(member_);
    }
    bus_.changed_.notify_all();
}

Status MemoryConsumer::follow_assignment() {
    AssignmentDiff diff;
    {
        const std::scoped_lock lock(bus_.mutex_);
        if (!bus_.groups_.knows(member_)) member_ = bus_.join(subscription_);
        if (version_seen_ == bus_.groups_.version()) return {};
        std::map<Partition, Groups::Epoch> known;
        for (const auto& [partition, held] : held_) known.emplace(partition, held.epoch);
        diff = diff_assignment(known, bus_.groups_.owned(member_));
        version_seen_ = bus_.groups_.version();
    }
    if (!diff.revoked.empty()) listener_.on_revoked(diff.revoked);
    for (const Partition& partition : diff.revoked) held_.erase(partition);
    if (diff.assigned.empty()) return {};
    std::vector<Partition> assigned;
    {
        const std::scoped_lock lock(bus_.mutex_);
        for (const auto& [partition, epoch] : diff.assigned) {
            MemoryBus::GroupKey key{subscription_.group, partition};
            const Offset next = bus_.group_states_[key].position;
            held_[partition] = Held{epoch, next, std::make_unique<MemoryStore>(bus_, key)};
            assigned.push_back(partition);
        }
    }
    Status status = listener_.on_assigned(assigned);
    if (!status) broken_ = true;
    return status;
}

bool MemoryConsumer::ready() const {
    if (version_seen_ != bus_.groups_.version()) return true;
    return std::any_of(held_.begin(), held_.end(), [this](const auto& entry) {
        return entry.second.next < bus_.find_log(entry.first)->end();
    });
}

Result<std::vector<Record>> MemoryConsumer::poll(const PollLimits& limits) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    MemoryBus::Answers answers;
    std::unique_lock lock(bus_.mutex_);
    const Status begun = begin_poll(answers);
    lock.unlock();
    MemoryBus::give(answers);
    VIGIE_TRY(begun);
    VIGIE_TRY(follow_assignment());
    lock.lock();
    if (limits.wait_max.count() > 0 && !ready()) {
        bus_.changed_.wait_for(lock, limits.wait_max, [this] { return ready(); });
    }
    if (version_seen_ != bus_.groups_.version()) {
        lock.unlock();
        VIGIE_TRY(follow_assignment());
        lock.lock();
    }
    return collect(limits.records_max);
}

Status MemoryConsumer::begin_poll(MemoryBus::Answers& answers) {
    VIGIE_TRY(bus_.check_alive());
    FaultSource& source = bus_.faults_;
    source.next_call();
    if (!source.is_slow()) bus_.sync(answers);
    if (source.strikes(Fault::kCrashInCall, source.faults().crash)) {
        bus_.crash(answers, {});
        return bus_.check_alive();
    }
    if (source.strikes(Fault::kPollFailed, source.faults().poll_unavailable)) {
        return fail(ErrorKind::kUnavailable, "injected: the bus does not answer");
    }
    std::vector<Partition> partitions;
    partitions.reserve(held_.size());
    for (const auto& [partition, held] : held_) partitions.push_back(partition);
    source.unreachable(partitions);  // Only what can be reached is fetched.
    return {};
}

std::vector<Record> MemoryConsumer::collect(std::size_t records_max) {
    std::vector<Partition> order;
    order.reserve(held_.size());
    for (const auto& [partition, held] : held_) {
        if (!bus_.faults_.is_unreachable(partition)) order.push_back(partition);
    }
    const Faults& faults = bus_.faults_.faults();
    Rng& rng = bus_.faults_.rng();
    if (faults.shuffle_partitions) {
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    }
    if (records_max > 1 && bus_.faults_.strikes(Fault::kShortBatch, faults.short_batch)) {
        records_max = 1 + rng.below(records_max);
    }
    std::vector<Record> records;
    for (std::size_t i = 0; i < order.size(); ++i) {
        // An equal share of what is left, so that no partition starves behind another.
        const std::size_t share = (records_max - records.size()) / (order.size() - i);
        Held& held = held_.at(order[i]);
        const std::size_t before = records.size();
        bus_.take(order[i], held.next, std::max<std::size_t>(share, 1), records);
        if (records.size() > before) held.next = records.back().offset + 1;
        if (records.size() >= records_max) break;
    }
    return records;
}

const Store& MemoryConsumer::store(const Partition& partition) const {
    const auto held = held_.find(partition);
    VIGIE_ASSERT(held != held_.end());
    return *held->second.store;
}

Result<Offset> MemoryConsumer::position(const Partition& partition) const {
    return bus_.group_position(subscription_.group, partition);
}

Status MemoryConsumer::commit(Step step) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    pause();
    MemoryBus::Answers answers;
    Status status = [&] {
        const std::scoped_lock lock(bus_.mutex_);
        return apply(std::move(step), answers);
    }();
    broken_ = !status && status.error().kind == ErrorKind::kUnavailable;
    if (status || broken_) bus_.changed_.notify_all();
    MemoryBus::give(answers);
    return status;
}

void MemoryConsumer::pause() {
    std::optional<MemoryBus::Pause> pause;
    {
        const std::scoped_lock lock(bus_.mutex_);
        if (bus_.crashed_) return;
        FaultSource& source = bus_.faults_;
        source.next_call();
        if (source.strikes(Fault::kStall, source.faults().stall)) {
            bus_.groups_.leave(member_);
            pause = MemoryBus::Pause::kStalled;
        } else if (source.disk_slow()) {
            source.count(Fault::kSlowCommit);
            pause = MemoryBus::Pause::kSlowDisk;
        }
    }
    if (pause && bus_.pause_) bus_.pause_(*pause);
}

// Steps are synced with all appends that came before them: they share one log.
Status MemoryConsumer::apply(Step step, MemoryBus::Answers& answers) {
    VIGIE_TRY(bus_.check_alive());
    FaultSource& source = bus_.faults_;
    const Faults& faults = source.faults();
    const auto held = held_.find(step.input);
    if (held == held_.end() || !bus_.groups_.owns(member_, step.input, held->second.epoch)) {
        source.count(Fault::kFenced);
        return fail(ErrorKind::kConflict, fmt::format("{} belongs to another member of group {}",
                                                      to_string(step.input), subscription_.group));
    }
    if (source.disk_full()) return fail(ErrorKind::kOverloaded, "injected: the disk is full");
    VIGIE_TRY(bus_.check(step.outputs));
    std::vector<Partition> touched = bus_.partitions_of(step.outputs);
    touched.push_back(step.input);
    if (source.unreachable(touched)) {
        return fail(ErrorKind::kUnavailable, "injected: a partition cannot be reached");
    }
    if (source.strikes(Fault::kCommitLost, faults.commit_lost_before)) {
        return fail(ErrorKind::kUnavailable, "injected: lost before it was written");
    }
    if (source.strikes(Fault::kCrashInCommit, faults.commit_crash)) {
        bus_.crash(answers, [&] { write(std::move(step)); });
        return bus_.check_alive();
    }
    bus_.sync(answers);
    write(std::move(step));
    if (source.strikes(Fault::kCommitAnswerLost, faults.commit_lost_after)) {
        return fail(ErrorKind::kUnavailable, "injected: written, but the answer was lost");
    }
    return {};
}

void MemoryConsumer::write(Step step) {
    MemoryBus::GroupState& state = bus_.group_states_[{subscription_.group, step.input}];
    if (step.next) state.position = *step.next;
    for (auto& [key, value] : step.state) {
        if (value) {
            state.rows[key] = std::move(*value);
        } else {
            state.rows.erase(key);
        }
    }
    bus_.write(std::move(step.outputs));
}

}  // namespace vigie::streams
