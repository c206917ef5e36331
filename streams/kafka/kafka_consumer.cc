#include "streams/kafka/kafka_consumer.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "core/crc32c.h"
#include "streams/checks.h"
#include "streams/kafka/metrics.h"
#include "streams/kafka/topics.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};
constexpr milliseconds kLeaveWaitMax{3000};
constexpr milliseconds kGenerationRetry{50};
// As the embedded log: passed by at most one record.
constexpr std::size_t kBatchBytesMax = std::size_t{16} << 20U;
// A snapshot up to this size goes into the changelog, as a row of the step that names it.
constexpr std::size_t kBulkInlineMax = std::size_t{4} << 20U;
// In front of the name of a file; those of the changelog begin otherwise (streams/bus.cc).
constexpr char kBulkFile = 'f';

// What must not be written over.
std::optional<std::uint8_t> slot_of(const BulkReference& reference) {
    return reference.partition < 0 ? std::nullopt : std::optional(reference.slot);
}

}  // namespace

KafkaConsumer::KafkaConsumer(const Cluster& cluster, const Subscription& subscription,
                             AssignmentListener& listener, Changelog changelog)
    : cluster_(cluster),
      group_(subscription.group),
      listener_(listener),
      changelog_(std::move(changelog)),
      bulk_files_(cluster.options.state_folder + "/bulk", true),
      slot_(cluster.take_slot(subscription.group)),
      transaction_seconds_(
          cluster.metrics.histogram(metrics::kTransactionSeconds, {{"of", group_}})),
      resets_(cluster.metrics.counter(metrics::kRemoved, {{"group", group_}})),
      bulk_written_(cluster.metrics.counter(metrics::kBulkWritten, {{"group", group_}})),
      bulk_read_(cluster.metrics.counter(metrics::kBulkRead, {{"group", group_}})),
      bulk_failed_(cluster.metrics.counter(metrics::kBulkFailed, {{"group", group_}})) {}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::open(const Cluster& cluster,
                                                           const Subscription& subscription,
                                                           AssignmentListener& listener) {
    std::int32_t partitions = 1;
    for (const std::string& topic : subscription.topics) {
        VIGIE_TRY_ASSIGN(const std::int32_t count, cluster.partition_count(topic));
        partitions = std::max(partitions, count);
    }
    VIGIE_TRY_ASSIGN(partitions,
                     ensure_compacted_topic(cluster, state_topic(subscription.group), partitions));
    std::unique_ptr<KafkaConsumer> consumer(new KafkaConsumer(
        cluster, subscription, listener, Changelog(cluster, subscription.group, partitions)));
    VIGIE_TRY(consumer->start(subscription));
    return consumer;
}

Result<std::unique_ptr<Producer>> KafkaConsumer::open_producer() const {
    return Producer::open(cluster_, slot_.transactional_id(),
                          cluster_.full_name(state_topic(group_)));
}

Status KafkaConsumer::start(const Subscription& subscription) {
    VIGIE_TRY_ASSIGN(producer_, open_producer());
    if (cluster_.options.standby) {
        std::vector<Partition> inputs;
        for (const std::string& topic : subscription.topics) {
            VIGIE_TRY_ASSIGN(const std::int32_t count, cluster_.partition_count(topic));
            for (std::int32_t i = 0; i < count; ++i) inputs.push_back({topic, i});
        }
        standby_ = std::make_unique<Standby>(cluster_, changelog_, group_, inputs);
    }
    Hooks hooks(cluster_.log);
    hooks.on_rebalance = [this](rd_kafka_resp_err_t code, auto* partitions) {
        on_rebalance(code, *partitions);
    };
    hooks.on_error = [this](rd_kafka_resp_err_t code, std::string_view) {
        no_broker_ = no_broker_ || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    };
    VIGIE_TRY_ASSIGN(member_,
                     Member::open(cluster_, group_, slot_.instance_id(), std::move(hooks)));
    const PartitionList topics = make_list();
    for (const std::string& topic : subscription.topics) {
        rd_kafka_topic_partition_list_add(topics.get(), cluster_.full_name(topic).c_str(),
                                          RD_KAFKA_PARTITION_UA);
    }
    const auto code = rd_kafka_subscribe(member_->handle(), topics.get());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return fail(error_of(code, "subscribe group " + group_));
}

KafkaConsumer::~KafkaConsumer() {
    const SteadyTime until = cluster_.clock.steady() + kLeaveWaitMax;
    const bool left = !member_ || member_->leave([&] { return cluster_.over(until); });
    if (!left) cluster_.leaving_members().take(std::move(member_));
    for (auto& [partition, held] : held_) changelog_.save(partition, *held.store);
}

std::vector<Partition> KafkaConsumer::partitions_of(
    const rd_kafka_topic_partition_list_t& list) const {
    std::vector<Partition> partitions;
    partitions.reserve(static_cast<std::size_t>(list.cnt));
    for (int i = 0; i < list.cnt; ++i) {
        partitions.push_back({cluster_.own_name(list.elems[i].topic), list.elems[i].partition});
    }
    return partitions;
}

void KafkaConsumer::on_rebalance(rd_kafka_resp_err_t code,
                                 rd_kafka_topic_partition_list_t& partitions) {
    Status status;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        status = assign(partitions);
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        revoke(partitions);
        status = member_->give_up(partitions);
    } else {
        rd_kafka_assign(member_->handle(), nullptr);
        status = fail(error_of(code, "join group " + group_));
    }
    if (status) return;
    broken_ = true;
    failure_ = status.error();
}

Status KafkaConsumer::assign(rd_kafka_topic_partition_list_t& partitions) {
    member_id_ = member_->id();
    const auto given = partitions_of(partitions);
    const Status taken = take_over(given, partitions);
    const Status accepted = member_->accept(partitions);
    VIGIE_TRY(taken);
    VIGIE_TRY(accepted);
    return given.empty() ? Status{} : listener_.on_assigned(given);
}

Status KafkaConsumer::take_over(const std::vector<Partition>& partitions,
                                rd_kafka_topic_partition_list_t& starts) {
    if (partitions.empty()) return {};
    std::map<Partition, Held> taken;
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        // Position first: what the old owner's transaction wrote with it is then in what the
        // changelog has.
        VIGIE_TRY_ASSIGN(const auto position,
                         committed_position(cluster_, group_, *member_->handle(), partitions[i]));
        VIGIE_TRY_ASSIGN(const auto range, cluster_.range(partitions[i], Cluster::End::kStable));
        Held& held = taken[partitions[i]];
        held.committed = position.value_or(0);
        held.next = held.committed;
        held.removed = std::max<Offset>(range.begin - held.next, 0);
        if (held.removed > 0) resets_.add();
        starts.elems[i].offset = std::max(held.next, range.begin);
    }
    auto copies = standby_ ? standby_->take(partitions) : Changelog::Copies{};
    VIGIE_TRY_ASSIGN(auto tables, changelog_.restore(partitions, std::move(copies)));
    for (auto& [partition, held] : taken) {
        held.store = std::move(tables.at(partition));
        held_[partition] = std::move(held);
    }
    return {};
}

void KafkaConsumer::revoke(const rd_kafka_topic_partition_list_t& partitions) {
    const auto lost = partitions_of(partitions);
    if (!lost.empty()) listener_.on_revoked(lost);
    for (const Partition& partition : lost) {
        const auto held = held_.find(partition);
        if (held != held_.end()) {
            changelog_.save(partition, *held->second.store);
            if (standby_) standby_->follow(partition, std::move(held->second.store));
            held_.erase(held);
        }
        std::erase_if(batch_, [&](const Record& record) { return record.partition == partition; });
    }
}

Partition KafkaConsumer::partition_of(const rd_kafka_message_t& message) const {
    return {cluster_.own_name(rd_kafka_topic_name(message.rkt)), message.partition};
}

Result<std::vector<Record>> KafkaConsumer::poll(const PollLimits& limits) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    batch_.clear();
    batch_bytes_ = 0;
    const SteadyTime until = cluster_.clock.steady() + limits.wait_max;
    while (batch_.size() < limits.records_max && batch_bytes_ < kBatchBytesMax) {
        const auto left = std::chrono::duration_cast<milliseconds>(until - cluster_.clock.steady());
        const auto wait =
            batch_.empty() ? std::clamp(left, milliseconds{0}, kSlice) : milliseconds{0};
        const Owned<rd_kafka_message_t> message(
            rd_kafka_consumer_poll(member_->handle(), static_cast<int>(wait.count())));
        if (failure_) return fail(*std::exchange(failure_, std::nullopt));
        if (!message) {
            if (!batch_.empty() || no_broker_ || left <= milliseconds{0}) break;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(*message);
        } else {
            VIGIE_TRY(on_poll_error(*message));
        }
    }
    if (batch_.empty() && std::exchange(no_broker_, false)) {
        return fail(ErrorKind::kUnavailable, "no Kafka broker answers");
    }
    return std::exchange(batch_, {});
}

void KafkaConsumer::take(const rd_kafka_message_t& message) {
    const Partition partition = partition_of(message);
    const auto held = held_.find(partition);
    if (held == held_.end() || message.offset < held->second.next) return;
    Record record = record_of(message, partition);
    record.removed_before = std::exchange(held->second.removed, 0);
    held->second.next = message.offset + 1;
    batch_bytes_ += bytes_of(record.message);
    batch_.push_back(std::move(record));
}

Status KafkaConsumer::on_poll_error(const rd_kafka_message_t& message) {
    const auto code = message.err;
    if (code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        // It left the group by itself and joins again: a revocation follows.
        cluster_.log.warn("a step took longer than max.poll.interval.ms", {{"group", group_}});
        return {};
    }
    Status status;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message.rkt != nullptr) {
        status = start_again(partition_of(message));
    } else {
        status = fail(error_of(code, "read for group " + group_));
    }
    // What was gathered would be lost: only a new consumer gives it again.
    if (!status) broken_ = true;
    return status;
}

// Retention removed what comes next: the oldest record kept follows.
Status KafkaConsumer::start_again(const Partition& partition) {
    const auto held = held_.find(partition);
    if (held == held_.end()) return {};
    VIGIE_TRY_ASSIGN(const auto range, cluster_.range(partition, Cluster::End::kStable));
    Held& here = held->second;
    if (here.next > range.end) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("group {} stands at {}@{}, beyond the end {}: was the topic "
                                "created anew?",
                                group_, to_string(partition), here.next, range.end));
    }
    here.removed = std::max<Offset>(range.begin - here.next, 0);
    resets_.add();
    const PartitionList list = make_list();
    rd_kafka_topic_partition_list_add(list.get(), cluster_.full_name(partition.topic).c_str(),
                                      partition.index)
        ->offset = std::max(range.begin, here.next);
    const ErrorObject error(rd_kafka_seek_partitions(
        member_->handle(), list.get(), static_cast<int>(cluster_.options.answer_wait_max.count())));
    if (!error) return {};
    return fail(error_of(rd_kafka_error_code(error.get()), "read " + to_string(partition)));
}

const Store& KafkaConsumer::store(const Partition& partition) const {
    const auto held = held_.find(partition);
    VIGIE_ASSERT(held != held_.end());
    return *held->second.store;
}

Result<Offset> KafkaConsumer::position(const Partition& partition) const {
    const auto held = held_.find(partition);
    if (held != held_.end()) return held->second.committed;
    VIGIE_TRY_ASSIGN(const auto position,
                     committed_position(cluster_, group_, *member_->handle(), partition));
    return position.value_or(0);
}

Result<std::vector<Outgoing>> KafkaConsumer::prepare(Step& step, const Held& held) const {
    auto records = changelog_.encode(step.input, step.state, *held.store);
    for (Message& message : step.outputs) {
        VIGIE_TRY_ASSIGN(const std::int32_t count, cluster_.partition_count(message.topic));
        VIGIE_TRY(check_size(message, cluster_.options.record_bytes_max));
        const std::int32_t partition = streams::partition_of(message.key, count);
        std::string topic = cluster_.full_name(message.topic);
        records.push_back(outgoing_of(std::move(message), std::move(topic), partition));
    }
    return records;
}

// Without its generation a member's commit would be taken from anybody: a consumer that lost
// its assignment says so before the coordinator is asked.
bool KafkaConsumer::is_member() const {
    return rd_kafka_assignment_lost(member_->handle()) == 0 && !member_id_.empty() &&
           member_->id() == member_id_;
}

Status KafkaConsumer::transact(const Partition& input, Offset next,
                               const std::vector<Outgoing>& records) {
    const PartitionList positions = make_list();
    rd_kafka_topic_partition_list_add(positions.get(), cluster_.full_name(input.topic).c_str(),
                                      input.index)
        ->offset = next;
    const SteadyTime start = cluster_.clock.steady();
    const SteadyTime until = cluster_.deadline();
    Status status;
    while (true) {
        const Owned<rd_kafka_consumer_group_metadata_t> member(
            rd_kafka_consumer_group_metadata(member_->handle()));
        // After the metadata was taken: so it is of this membership.
        if (!member || !is_member()) return not_ours(input);
        status = producer_->run(records, Producer::Offsets{positions.get(), member.get()});
        // A rebalance that leaves us the partition makes a new generation too.
        const bool again = !status && status.error().kind == ErrorKind::kConflict &&
                           producer_->usable() && is_member() && !cluster_.over(until);
        if (!again) break;
        wait_for(kGenerationRetry, {});
    }
    transaction_seconds_.observe(
        std::chrono::duration<double>(cluster_.clock.steady() - start).count());
    if (status) return {};
    cluster_.metrics
        .counter(metrics::kTransactionsFailed,
                 {{"of", group_}, {"kind", std::string(to_string(status.error().kind))}})
        .add();
    return after_failure(status.error());
}

std::unexpected<Error> KafkaConsumer::not_ours(const Partition& input) const {
    return fail(ErrorKind::kConflict,
                fmt::format("{} belongs to another member of group {}", to_string(input), group_));
}

Result<KafkaConsumer::Held*> KafkaConsumer::held_for_writing(const Partition& input) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    const auto held = held_.find(input);
    if (held == held_.end()) return not_ours(input);
    return &held->second;
}

Status KafkaConsumer::commit(Step step) {
    VIGIE_TRY_ASSIGN(Held* const held, held_for_writing(step.input));
    VIGIE_TRY_ASSIGN(const auto records, prepare(step, *held));
    const Offset next = step.next.value_or(held->committed);
    const WallTime began = cluster_.clock.wall();
    VIGIE_TRY(transact(step.input, next, records));
    held->store->apply(std::move(step.state), producer_->watched_end().value_or(0), began);
    changelog_.save_when_due(step.input, *held->store);
    held->committed = next;
    return {};
}

std::string KafkaConsumer::bulk_owner(const Partition& partition) const {
    return fmt::format("{}/{}", cluster_.full_name(group_), to_string(partition));
}

Result<Partition> KafkaConsumer::bulk_partition(const Partition& input) {
    Partition partition{bulk_topic(group_), 0};
    if (bulk_partitions_ == 0) {
        VIGIE_TRY_ASSIGN(bulk_partitions_, ensure_compacted_topic(cluster_, partition.topic,
                                                                  changelog_.partitions()));
    }
    partition.index = input.index % bulk_partitions_;
    return partition;
}

Result<BulkReference> KafkaConsumer::write_bulk_to_kafka(const Partition& input, const Held& held,
                                                         std::string_view bytes) {
    VIGIE_TRY_ASSIGN(const Partition to, bulk_partition(input));
    VIGIE_TRY_ASSIGN(const auto range, cluster_.range(to, Cluster::End::kWritten));
    BulkReference reference{.file = {},
                            .partition = to.index,
                            .slot = static_cast<std::uint8_t>(held.bulk_slot == 0 ? 1 : 0),
                            .first = range.end,
                            .bytes = bytes.size(),
                            .check = crc32c(bytes)};
    VIGIE_TRY(write_bulk(bytes, input, reference.slot, cluster_.full_name(to.topic), to.index,
                         [&](const std::vector<Outgoing>& parts) {
                             return transact(input, held.committed, parts);
                         }));
    bulk_written_.add(bytes.size());
    return reference;
}

Result<std::string> KafkaConsumer::save_bulk(const Partition& partition, std::string_view bytes) {
    if (bytes.size() <= kBulkInlineMax) return Consumer::save_bulk(partition, bytes);
    VIGIE_TRY_ASSIGN(const Held* const held, held_for_writing(partition));
    const auto not_written = [&](std::string_view where, const Error& error) {
        bulk_failed_.add();
        cluster_.log.error("a snapshot of bulk state has one copy less",
                           {{"group", group_},
                            {"partition", to_string(partition)},
                            {"where", std::string(where)},
                            {"reason", error.message}});
    };
    auto on_kafka = write_bulk_to_kafka(partition, *held, bytes);
    const bool has_folder = !cluster_.options.state_folder.empty();
    if (!on_kafka) {
        // What Kafka does not take (no right, a topic that does not fit) this machine can keep.
        const ErrorKind kind = on_kafka.error().kind;
        const bool refused = kind == ErrorKind::kRefused || kind == ErrorKind::kInvalid;
        if (!refused || !has_folder) return fail(std::move(on_kafka).error());
        not_written("kafka", on_kafka.error());
    }
    BulkReference reference = on_kafka ? *std::move(on_kafka) : BulkReference{};
    if (has_folder) {
        auto file = bulk_files_.save(bulk_owner(partition), bytes);
        if (!file && reference.partition < 0) return fail(std::move(file).error());
        if (!file) not_written("state folder", file.error());
        if (file) reference.file = *std::move(file);
    }
    return encode_bulk_reference(reference);
}

Result<std::string> KafkaConsumer::load_bulk(const Partition& partition,
                                             std::string_view reference) {
    // Of a Vigie before the bulk topic.
    if (reference.starts_with(kBulkFile)) {
        return bulk_files_.load(bulk_owner(partition), reference.substr(1));
    }
    const auto known = decode_bulk_reference(reference);
    if (!known) return Consumer::load_bulk(partition, reference);
    VIGIE_TRY_ASSIGN(Held* const held, held_for_writing(partition));
    held->bulk_slot = slot_of(*known);
    if (!cluster_.options.state_folder.empty() && !known->file.empty()) {
        auto here = bulk_files_.load(bulk_owner(partition), known->file);
        if (here || known->partition < 0) return here;
    }
    auto bytes = read_bulk(cluster_, group_, partition, *known);
    if (bytes) bulk_read_.add(bytes->size());
    return bytes;
}

void KafkaConsumer::keep_bulk(const Partition& partition, std::string_view reference) {
    const auto known = decode_bulk_reference(reference);
    if (const auto held = held_.find(partition); held != held_.end()) {
        held->second.bulk_slot = known ? slot_of(*known) : std::nullopt;
    }
    if (cluster_.options.state_folder.empty()) return;
    bulk_files_.keep(bulk_owner(partition), known ? known->file : std::string{});
}

// Nothing was written, or it is unknown: then only a new consumer may go on.
Status KafkaConsumer::after_failure(Error error) {
    const bool known = error.kind != ErrorKind::kUnavailable &&
                       (error.kind != ErrorKind::kConflict || producer_->usable());
    if (!known) {
        broken_ = true;
        return fail(ErrorKind::kUnavailable, std::move(error.message));
    }
    if (!producer_->usable()) {
        producer_.reset();
        auto opened = open_producer();
        if (opened) {
            producer_ = *std::move(opened);
        } else {
            broken_ = true;
        }
    }
    return fail(std::move(error));
}

}  // namespace vigie::streams::kafka
