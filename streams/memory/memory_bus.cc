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
    : options_(options), faults_(options_.faults), rng_(options_.seed) {}

MemoryBus::~MemoryBus() = default;

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
        std::vector<Groups::Topic> topics;
        for (const std::string& name :
             std::set(subscription.topics.begin(), subscription.topics.end())) {
            const auto found = topics_.find(name);
            if (found == topics_.end()) return no_such_topic(name);
            topics.push_back({name, found->second.options.partitions});
        }
        member = groups_.join(subscription.group, std::move(topics));
    }
    changed_.notify_all();
    return std::make_unique<MemoryConsumer>(*this, subscription.group, member, listener);
}

void MemoryBus::append(std::vector<Message> messages, AppendDone done) {
    const Status status = [&]() -> Status {
        const std::scoped_lock lock(mutex_);
        VIGIE_TRY(check(messages));
        if (rng_.chance(faults_.disk_full)) {
            return fail(ErrorKind::kOverloaded, "injected: the disk is full");
        }
        if (rng_.chance(faults_.append_lost_before)) {
            return fail(ErrorKind::kUnavailable, "injected: lost before it was written");
        }
        write(std::move(messages));
        if (rng_.chance(faults_.append_lost_after)) {
            return fail(ErrorKind::kUnavailable, "injected: written, but the answer was lost");
        }
        return {};
    }();
    changed_.notify_all();
    done(status);
}

Result<std::vector<Record>> MemoryBus::read(const Partition& partition, Offset from,
                                            const PollLimits& limits) const {
    std::unique_lock lock(mutex_);
    const PartitionLog* log = find_log(partition);
    if (log == nullptr) return no_such_partition(partition);
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
    const auto state = group_states_.find(GroupKey{group, partition});
    return state == group_states_.end() ? Offset{0} : state->second.position;
}

void MemoryBus::set_faults(const Faults& faults) {
    const std::scoped_lock lock(mutex_);
    faults_ = faults;
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
        log.messages.push_back(std::move(message));
        const auto bytes_max = static_cast<std::size_t>(topic.options.retention_bytes);
        while (bytes_max != 0 && !topic.options.compacted && log.bytes > bytes_max &&
               log.messages.size() > 1) {
            log.bytes -= bytes_of(log.messages.front());
            log.messages.pop_front();
            ++log.begin;
        }
    }
}

void MemoryBus::take(const Partition& partition, Offset from, std::size_t records_max,
                     std::vector<Record>& records) const {
    const PartitionLog& log = *find_log(partition);
    for (Offset offset = std::max(from, log.begin); offset < log.end() && records_max != 0;
         ++offset, --records_max) {
        Record record{partition, offset,
                      log.messages[static_cast<std::size_t>(offset - log.begin)]};
        record.removed_before = offset == log.begin ? offset - std::min(from, offset) : 0;
        records.push_back(std::move(record));
    }
}

}  // namespace vigie::streams
