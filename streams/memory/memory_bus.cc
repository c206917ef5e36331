#include "streams/memory/memory_bus.h"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "streams/checks.h"
#include "streams/memory/memory_consumer.h"

namespace vigie::streams {

MemoryBus::MemoryBus() : MemoryBus(Options{}) {}

MemoryBus::MemoryBus(Options options)
    : options_(options), faults_(options_.seed, options_.faults) {}

MemoryBus::~MemoryBus() {
    crash();
}

Status MemoryBus::ensure_topics(std::span<const TopicOptions> topics) {
    const std::scoped_lock lock(mutex_);
    for (const TopicOptions& topic : topics) {
        const auto found = topics_.find(topic.name);
        VIGIE_TRY(
            check_topic(topic, found == topics_.end() ? 0 : found->second.options.partitions));
    }
    for (const TopicOptions& topic : topics) {
        Topic& kept = topics_[topic.name];
        kept.options = topic;
        kept.logs.resize(static_cast<std::size_t>(topic.partitions));
    }
    return {};
}

Result<std::unique_ptr<Consumer>> MemoryBus::subscribe(const Subscription& subscription,
                                                       AssignmentListener& listener) {
    Groups::MemberId member = 0;
    {
        const std::scoped_lock lock(mutex_);
        VIGIE_TRY(check_alive());
        for (const std::string& name : subscription.topics) {
            if (!topics_.contains(name)) return no_such_topic(name);
        }
        member = join(subscription);
    }
    changed_.notify_all();
    return std::make_unique<MemoryConsumer>(*this, subscription, member, listener);
}

Groups::MemberId MemoryBus::join(const Subscription& subscription) {
    std::vector<Groups::Topic> topics;
    for (const std::string& name :
         std::set(subscription.topics.begin(), subscription.topics.end())) {
        topics.push_back({name, topics_.find(name)->second.options.partitions});
    }
    return groups_.join(subscription.group, std::move(topics));
}

void MemoryBus::append(std::vector<Message> messages, AppendDone done) {
    Answers answers;
    {
        const std::scoped_lock lock(mutex_);
        Waiting request{std::move(messages), std::move(done)};
        auto answer = append_now(request, answers);
        if (answer) answers.emplace_back(std::move(request.done), *std::move(answer));
    }
    changed_.notify_all();
    give(answers);
}

// nullopt: `request` has been taken, and waits for a sync or has its answer among `answers`.
std::optional<Status> MemoryBus::append_now(Waiting& request, Answers& answers) {
    if (const Status alive = check_alive(); !alive) return alive;
    if (const Status good = check(request.messages); !good) return good;
    const Faults& faults = faults_.faults();
    faults_.next_call();
    const bool slow = faults_.disk_slow();
    if (!slow) sync(answers);
    if (faults_.disk_full()) return fail(ErrorKind::kOverloaded, "injected: the disk is full");
    if (faults_.unreachable(partitions_of(request.messages))) {
        return fail(ErrorKind::kUnavailable, "injected: a partition cannot be reached");
    }
    if (faults_.strikes(Fault::kAppendLost, faults.append_lost_before)) {
        return fail(ErrorKind::kUnavailable, "injected: lost before it was written");
    }
    const bool dies = faults_.strikes(Fault::kCrashInCall, faults.crash);
    if (slow && !dies) faults_.count(Fault::kLateAnswer);
    waiting_.push_back(std::move(request));
    if (dies) {
        crash(answers, {});
    } else if (!slow) {
        sync(answers);
    }
    return std::nullopt;
}

void MemoryBus::sync() {
    Answers answers;
    {
        const std::scoped_lock lock(mutex_);
        sync(answers);
    }
    changed_.notify_all();
    give(answers);
}

void MemoryBus::sync(Answers& answers) {
    for (; !waiting_.empty(); waiting_.pop_front()) {
        write(std::move(waiting_.front().messages));
        Status status;
        if (faults_.strikes(Fault::kAppendAnswerLost, faults_.faults().append_lost_after)) {
            status = fail(ErrorKind::kUnavailable, "injected: written, but the answer was lost");
        }
        answers.emplace_back(std::move(waiting_.front().done), std::move(status));
    }
}

void MemoryBus::crash() {
    Answers answers;
    {
        const std::scoped_lock lock(mutex_);
        if (!crashed_) crash(answers, {});
    }
    changed_.notify_all();
    give(answers);
}

void MemoryBus::crash(Answers& answers, const std::function<void()>& step) {
    crashed_ = true;
    const std::size_t under_way = waiting_.size() + (step ? 1 : 0);
    const std::size_t kept = faults_.rng().below(under_way + 1);
    if (kept > 0 && kept < under_way) faults_.count(Fault::kTornWrite);
    for (std::size_t i = 0; !waiting_.empty(); ++i, waiting_.pop_front()) {
        if (i < kept) write(std::move(waiting_.front().messages));
        answers.emplace_back(
            std::move(waiting_.front().done),
            fail(ErrorKind::kUnavailable, "injected: the process died before it answered"));
    }
    if (step && kept == under_way) step();
}

bool MemoryBus::crashed() const {
    const std::scoped_lock lock(mutex_);
    return crashed_;
}

void MemoryBus::recover() {
    const std::scoped_lock lock(mutex_);
    crashed_ = false;
}

void MemoryBus::give(Answers& answers) {
    for (auto& [done, status] : answers) done(std::move(status));
    answers.clear();
}

Status MemoryBus::check_alive() const {
    if (!crashed_) return {};
    return fail(ErrorKind::kUnavailable, "injected: the process is dead");
}

Status MemoryBus::check_reachable(const Partition& partition) const {
    VIGIE_TRY(check_alive());
    if (!faults_.is_unreachable(partition)) return {};
    return fail(ErrorKind::kUnavailable, "injected: the partition cannot be reached");
}

std::vector<Partition> MemoryBus::partitions_of(const std::vector<Message>& messages) const {
    std::set<Partition> partitions;
    for (const Message& message : messages) {
        const std::int32_t count = topics_.find(message.topic)->second.options.partitions;
        partitions.insert({message.topic, partition_of(message.key, count)});
    }
    return {partitions.begin(), partitions.end()};
}

Result<std::vector<Record>> MemoryBus::read(const Partition& partition, Offset from,
                                            const PollLimits& limits) const {
    std::unique_lock lock(mutex_);
    const PartitionLog* log = find_log(partition);
    if (log == nullptr) return no_such_partition(partition);
    VIGIE_TRY(check_reachable(partition));
    if (limits.wait_max.count() > 0) {
        changed_.wait_for(lock, limits.wait_max, [&] { return from < log->end(); });
    }
    std::vector<Record> records;
    take(partition, from, limits.records_max, records);
    return records;
}

Result<Bus::Range> MemoryBus::range(const Partition& partition) const {
    const std::scoped_lock lock(mutex_);
    const PartitionLog* log = find_log(partition);
    if (log == nullptr) return no_such_partition(partition);
    VIGIE_TRY(check_reachable(partition));
    return Range{log->begin, log->end()};
}

Result<std::int32_t> MemoryBus::partition_count(std::string_view topic) const {
    const std::scoped_lock lock(mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return no_such_topic(topic);
    return found->second.options.partitions;
}

Result<Offset> MemoryBus::group_position(std::string_view group, const Partition& partition) const {
    const std::scoped_lock lock(mutex_);
    if (find_log(partition) == nullptr) return no_such_partition(partition);
    VIGIE_TRY(check_reachable(partition));
    const auto state = group_states_.find(GroupKey{group, partition});
    return state == group_states_.end() ? Offset{0} : state->second.position;
}

void MemoryBus::set_faults(const Faults& faults) {
    {
        const std::scoped_lock lock(mutex_);
        faults_.set(faults);
    }
    sync();
}

std::size_t MemoryBus::counted(Fault fault) const {
    const std::scoped_lock lock(mutex_);
    return faults_.counted(fault);
}

std::vector<Record> MemoryBus::records(std::string_view topic) const {
    const std::scoped_lock lock(mutex_);
    std::vector<Record> records;
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return records;
    for (std::int32_t index = 0; index < found->second.options.partitions; ++index) {
        take({std::string(topic), index}, 0, std::numeric_limits<std::size_t>::max(), records);
    }
    return records;
}

std::map<std::string, std::string> MemoryBus::state(std::string_view group,
                                                    const Partition& partition) const {
    const std::scoped_lock lock(mutex_);
    const auto found = group_states_.find(GroupKey{group, partition});
    if (found == group_states_.end()) return {};
    return {found->second.rows.begin(), found->second.rows.end()};
}

const MemoryBus::PartitionLog* MemoryBus::find_log(const Partition& partition) const {
    const auto topic = topics_.find(partition.topic);
    if (topic == topics_.end() || partition.index < 0 ||
        partition.index >= topic->second.options.partitions) {
        return nullptr;
    }
    return &topic->second.logs[static_cast<std::size_t>(partition.index)];
}

Status MemoryBus::check(const std::vector<Message>& messages) const {
    for (const Message& message : messages) {
        if (!topics_.contains(message.topic)) return no_such_topic(message.topic);
        VIGIE_TRY(check_size(message, options_.message_bytes_max));
    }
    return {};
}

void MemoryBus::write(std::vector<Message> messages) {
    for (Message& message : messages) {
        Topic& topic = topics_.find(message.topic)->second;
        const auto index = partition_of(message.key, topic.options.partitions);
        PartitionLog& log = topic.logs[static_cast<std::size_t>(index)];
        log.bytes += bytes_of(message);
        if (topic.options.compacted) compact(log, message.key);
        log.messages.emplace_back(std::move(message));
        const auto bytes_max = static_cast<std::size_t>(topic.options.retention_bytes);
        while (bytes_max != 0 && !topic.options.compacted && log.bytes > bytes_max &&
               log.messages.size() > 1) {
            log.bytes -= bytes_of(*log.messages.front());
            log.messages.pop_front();
            ++log.begin;
        }
    }
}

// A record with this key follows.
void MemoryBus::compact(PartitionLog& log, const std::string& key) {
    const auto [newest, is_first] = log.newest.try_emplace(key, log.end());
    if (is_first) return;
    auto& replaced = log.messages[static_cast<std::size_t>(newest->second - log.begin)];
    log.bytes -= bytes_of(*replaced);
    replaced.reset();
    newest->second = log.end();
}

void MemoryBus::take(const Partition& partition, Offset from, std::size_t records_max,
                     std::vector<Record>& records) const {
    const PartitionLog& log = *find_log(partition);
    Offset removed = std::max<Offset>(log.begin - from, 0);
    for (Offset offset = std::max(from, log.begin); offset < log.end() && records_max != 0;
         ++offset) {
        const auto& message = log.messages[static_cast<std::size_t>(offset - log.begin)];
        if (!message) continue;
        records.push_back({partition, offset, *message});
        records.back().removed_before = std::exchange(removed, 0);
        --records_max;
    }
}

}  // namespace vigie::streams
