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

MemoryConsumer::MemoryConsumer(MemoryBus& bus, std::string group, Groups::MemberId member,
                               AssignmentListener& listener)
    : bus_(bus), group_(std::move(group)), member_(member), listener_(listener) {}

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
            MemoryBus::GroupKey key{group_, partition};
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
    VIGIE_TRY(follow_assignment());
    std::unique_lock lock(bus_.mutex_);
    if (bus_.rng_.chance(bus_.faults_.poll_unavailable)) {
        return fail(ErrorKind::kUnavailable, "injected: the bus does not answer");
    }
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

std::vector<Record> MemoryConsumer::collect(std::size_t records_max) {
    std::vector<Partition> order;
    order.reserve(held_.size());
    for (const auto& [partition, held] : held_) order.push_back(partition);
    Rng& rng = bus_.rng_;
    if (bus_.faults_.shuffle_partitions) {
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    }
    if (records_max > 1 && rng.chance(bus_.faults_.short_batch)) {
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
    return bus_.group_position(group_, partition);
}

Status MemoryConsumer::commit(Step step) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    Status status = apply(std::move(step));
    if (status || status.error().kind == ErrorKind::kUnavailable) bus_.changed_.notify_all();
    return status;
}

Status MemoryConsumer::apply(Step step) {
    const std::scoped_lock lock(bus_.mutex_);
    const auto held = held_.find(step.input);
    if (held == held_.end() || !bus_.groups_.owns(member_, step.input, held->second.epoch)) {
        return fail(ErrorKind::kConflict, fmt::format("{} belongs to another member of group {}",
                                                      to_string(step.input), group_));
    }
    const Faults& faults = bus_.faults_;
    if (bus_.rng_.chance(faults.disk_full)) {
        return fail(ErrorKind::kOverloaded, "injected: the disk is full");
    }
    VIGIE_TRY(bus_.check(step.outputs));
    if (bus_.rng_.chance(faults.commit_lost_before)) {
        broken_ = true;
        return fail(ErrorKind::kUnavailable, "injected: lost before it was written");
    }
    MemoryBus::GroupState& state = bus_.group_states_[{group_, step.input}];
    if (step.next) state.position = *step.next;
    for (auto& [key, value] : step.state) {
        if (value) {
            state.rows[key] = std::move(*value);
        } else {
            state.rows.erase(key);
        }
    }
    bus_.write(std::move(step.outputs));
    if (bus_.rng_.chance(faults.commit_lost_after)) {
        broken_ = true;
        return fail(ErrorKind::kUnavailable, "injected: written, but the answer was lost");
    }
    return {};
}

}  // namespace vigie::streams
