#include "streams/kafka/cluster.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/system_rng.h"
#include "streams/checks.h"
#include "streams/kafka/encoding.h"
#include "streams/kafka/member.h"
#include "streams/kafka/reader.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;

// Librdkafka counts headers and framing into a message, bytes_of() does not.
constexpr std::size_t kFramingBytes = std::size_t{64} << 10U;
constexpr std::size_t kReadersIdleMax = 4;
constexpr milliseconds kSlice{500};
// What is still under way when the bus closes.
constexpr milliseconds kCloseWaitMax{3000};
constexpr milliseconds kMetadataRetry{50};

// Exactly-once rests on these.
constexpr std::array kOurs{
    "allow.auto.create.topics",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "message.max.bytes",
    "transactional.id",
    "partition.assignment.strategy",
};

bool is_name_part(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

Cluster::Shape shape_of(const rd_kafka_metadata_topic_t& topic) {
    Cluster::Shape shape{topic.partition_cnt, 0};
    for (int i = 0; i < topic.partition_cnt; ++i) {
        const std::int32_t replicas = topic.partitions[i].replica_cnt;
        shape.replicas = i == 0 ? replicas : std::min(shape.replicas, replicas);
    }
    return shape;
}

bool is_refused(const std::optional<Error>& trouble) {
    return trouble && trouble->kind == ErrorKind::kRefused;
}

}  // namespace

Status Cluster::check_options(const KafkaBus::Options& options) {
    if (!options.properties.contains("bootstrap.servers") &&
        !options.properties.contains("metadata.broker.list")) {
        return fail(ErrorKind::kInvalid, "kafka property bootstrap.servers is missing");
    }
    for (const char* name : kOurs) {
        if (options.properties.contains(name)) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("kafka property {} is set by Vigie: remove it", name));
        }
    }
    for (const std::string* name : {&options.prefix, &options.instance}) {
        if (is_name_part(*name)) continue;
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' cannot be part of Kafka's names: use letters, digits, '.', "
                                "'_' and '-'",
                                *name));
    }
    return check_properties({options.properties.begin(), options.properties.end()});
}

Cluster::Cluster(KafkaBus::Options opened, const Clock& its_clock, MetricsRegistry& its_metrics,
                 Log& its_log)
    : options(std::move(opened)),
      clock(its_clock),
      metrics(its_metrics),
      log(its_log),
      unique_(options.instance.empty() ? fmt::format("{:016x}", system_seed()) : options.instance),
      hooks_(its_log),
      observer_hooks_(its_log),
      leaving_members_(std::make_unique<LeavingMembers>(*this)) {
    hooks_.on_error = [this](rd_kafka_resp_err_t code, std::string_view reason) {
        const std::scoped_lock lock(mutex_);
        // That all are down says less than why one is.
        if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || is_refused(trouble_)) return;
        // A broker that goes away amid a handshake is an error of SSL too: only this one stays.
        const bool distrusted = code == RD_KAFKA_RESP_ERR__SSL &&
                                reason.find("certificate verify failed") != reason.npos;
        trouble_ = Error{distrusted ? ErrorKind::kRefused : kind_of(code),
                         fmt::format("connect to kafka: {}", reason)};
    };
}

Cluster::~Cluster() = default;

Result<std::unique_ptr<Cluster>> Cluster::open(KafkaBus::Options options, const Clock& clock,
                                               MetricsRegistry& metrics, Log& log) {
    VIGIE_TRY(check_options(options));
    std::unique_ptr<Cluster> cluster(new Cluster(std::move(options), clock, metrics, log));
    VIGIE_TRY(cluster->connect());
    return cluster;
}

Status Cluster::connect() {
    VIGIE_TRY_ASSIGN(client_, open_consumer({{"isolation.level", "read_uncommitted"}}, hooks_));
    VIGIE_TRY_ASSIGN(stable_, open_consumer({}, hooks_));
    const SteadyTime until = deadline();
    while (true) {
        const rd_kafka_metadata_t* metadata = nullptr;
        const auto code = rd_kafka_metadata(client_.get(), 0, nullptr, &metadata, slice_ms(until));
        const Owned<const rd_kafka_metadata_t> owner(metadata);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            // Known since the metadata came: this does not wait.
            if (char* id = rd_kafka_clusterid(client_.get(), 0); id != nullptr) {
                id_ = id;
                rd_kafka_mem_free(client_.get(), id);
            }
            return {};
        }
        // Errors come to whoever polls.
        rd_kafka_poll(client_.get(), 0);
        const std::scoped_lock lock(mutex_);
        if (is_refused(trouble_)) return fail(*trouble_);
        if (!over(until)) continue;
        if (!trouble_) return fail(error_of(code, "connect to kafka"));
        return fail(ErrorKind::kUnavailable, trouble_->message);
    }
}

Properties Cluster::with_defaults(Properties defaults) const {
    for (const auto& [name, value] : options.properties) defaults.insert_or_assign(name, value);
    return defaults;
}

Result<Handle> Cluster::open_producer(const std::string& transactional_id, Hooks& hooks) const {
    const Properties base = with_defaults({{"client.id", "vigie"},
                                           {"compression.codec", "lz4"},
                                           // A transaction ends with its last record: what came
                                           // before is on its way by then.
                                           {"linger.ms", "0"},
                                           // A dead member holds readers up for so long.
                                           {"transaction.timeout.ms", "10000"}});
    return open_handle(RD_KAFKA_PRODUCER, base,
                       {{"transactional.id", transactional_id},
                        {"enable.idempotence", "true"},
                        {"allow.auto.create.topics", "false"},
                        {"message.max.bytes", std::to_string(record_room() + kFramingBytes)}},
                       hooks);
}

Result<Handle> Cluster::open_consumer(const Properties& ours, Hooks& hooks) const {
    Properties all = ours;
    all.insert({{"isolation.level", "read_committed"},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"allow.auto.create.topics", "false"},
                // What retention removed is counted, not stepped over in silence.
                {"auto.offset.reset", "error"}});
    return open_handle(RD_KAFKA_CONSUMER,
                       with_defaults({{"client.id", "vigie"},
                                      // Of each consumer, and each stage has one.
                                      {"queued.max.messages.kbytes", "16384"}}),
                       all, hooks);
}

std::size_t Cluster::record_room() const {
    return std::max(options.record_bytes_max, kPartBytes);
}

Result<std::optional<Cluster::Shape>> Cluster::ask_shape(std::string_view topic) const {
    const std::string name = full_name(topic);
    const Owned<rd_kafka_topic_t> handle(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
    if (!handle) return fail(error_of(rd_kafka_last_error(), "look up topic " + name));
    const SteadyTime until = deadline();
    while (true) {
        const rd_kafka_metadata_t* metadata = nullptr;
        auto code = rd_kafka_metadata(client_.get(), 0, handle.get(), &metadata, slice_ms(until));
        const Owned<const rd_kafka_metadata_t> owner(metadata);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1) {
            code = metadata->topics[0].err;
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return shape_of(metadata->topics[0]);
        }
        if (kind_of(code) == ErrorKind::kNotFound || code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
            return std::nullopt;
        }
        if (kind_of(code) != ErrorKind::kUnavailable || over(until)) {
            return fail(error_of(code, "look up topic " + name));
        }
        // A leader is being elected, for instance.
        if (metadata != nullptr) wait_for(kMetadataRetry, {});
    }
}

Result<std::int32_t> Cluster::partition_count(std::string_view topic) const {
    {
        const std::scoped_lock lock(mutex_);
        const auto known = partition_counts_.find(topic);
        if (known != partition_counts_.end()) return known->second;
    }
    VIGIE_TRY_ASSIGN(const auto shape, ask_shape(topic));
    if (!shape) return no_such_topic(topic);
    const std::scoped_lock lock(mutex_);
    partition_counts_.insert_or_assign(std::string(topic), shape->partitions);
    return shape->partitions;
}

Status Cluster::check(const Partition& partition) const {
    VIGIE_TRY_ASSIGN(std::int32_t count, partition_count(partition.topic));
    if (partition.index >= count) {
        // Topics grow while we run.
        {
            const std::scoped_lock lock(mutex_);
            partition_counts_.erase(partition_counts_.find(partition.topic));
        }
        VIGIE_TRY_ASSIGN(count, partition_count(partition.topic));
    }
    if (partition.index < 0 || partition.index >= count) return no_such_partition(partition);
    return {};
}

Result<Bus::Range> Cluster::range(const Partition& partition, End end) const {
    return range(partition, end, deadline());
}

Result<Bus::Range> Cluster::range(const Partition& partition, End end, SteadyTime until) const {
    VIGIE_TRY(check(partition));
    rd_kafka_t& handle = end == End::kStable ? *stable_ : *client_;
    Bus::Range range;
    // The end first: what retention removes meanwhile must not turn the range around.
    VIGIE_TRY_ASSIGN(range.end, ask_offset(handle, partition, RD_KAFKA_OFFSET_END, until));
    VIGIE_TRY_ASSIGN(range.begin, ask_offset(handle, partition, RD_KAFKA_OFFSET_BEGINNING, until));
    range.begin = std::min(range.begin, range.end);
    return range;
}

// rd_kafka_query_watermark_offsets() would do both at once, and waits longer than it is told to.
Result<Offset> Cluster::ask_offset(rd_kafka_t& handle, const Partition& partition, Offset which,
                                   SteadyTime until) const {
    const std::string name = full_name(partition.topic);
    while (true) {
        const PartitionList list = make_list();
        auto* asked = rd_kafka_topic_partition_list_add(list.get(), name.c_str(), partition.index);
        asked->offset = which;
        // Nobody else takes the errors that gather at the handle while brokers are away.
        rd_kafka_poll(&handle, 0);
        auto code = rd_kafka_offsets_for_times(&handle, list.get(), slice_ms(until));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = list->elems[0].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[0].offset;
        // A broker that has just come back knows its partitions a moment later than its clients.
        const ErrorKind kind = kind_of(code);
        const bool passing = kind == ErrorKind::kUnavailable || kind == ErrorKind::kNotFound;
        if (!passing || over(until)) {
            return fail(error_of(code, "ask for the range of " + to_string(partition)));
        }
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT) wait_for(kMetadataRetry, {});
        refresh_leaders(handle, name, until);
    }
}

// A handle that has nothing assigned asks the leader that it knew once, dead or not, for as long
// as nobody tells it that there is another.
void Cluster::refresh_leaders(rd_kafka_t& handle, const std::string& topic,
                              SteadyTime until) const {
    const Owned<rd_kafka_topic_t> named(rd_kafka_topic_new(&handle, topic.c_str(), nullptr));
    if (!named) return;
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_metadata(&handle, 0, named.get(), &metadata, slice_ms(until));
    const Owned<const rd_kafka_metadata_t> owner(metadata);
}

SteadyTime Cluster::deadline() const {
    return clock.steady() + options.answer_wait_max;
}

bool Cluster::over(SteadyTime deadline) const {
    const SteadyTime now = clock.steady();
    const std::int64_t closing = close_at_ns_;
    return now >= deadline || (closing >= 0 && now.time_since_epoch().count() >= closing);
}

int Cluster::slice_ms(SteadyTime deadline) const {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock.steady());
    return static_cast<int>(std::clamp(left, milliseconds{1}, kSlice).count());
}

void Cluster::close_soon() {
    close_at_ns_ = (clock.steady() + kCloseWaitMax).time_since_epoch().count();
}

Result<rd_kafka_t*> Cluster::observer(std::string_view group) const {
    const std::scoped_lock lock(mutex_);
    Handle& observer = observers_[std::string(group)];
    if (!observer) {
        VIGIE_TRY_ASSIGN(observer,
                         open_consumer({{"group.id", group_name(group)}}, observer_hooks_));
    }
    rd_kafka_poll(observer.get(), 0);  // As in ask_offset().
    return observer.get();
}

Result<Cluster::Lease> Cluster::lease_reader() const {
    {
        const std::scoped_lock lock(mutex_);
        if (!idle_readers_.empty()) {
            auto reader = std::move(idle_readers_.back());
            idle_readers_.pop_back();
            return Lease(*this, std::move(reader));
        }
    }
    VIGIE_TRY_ASSIGN(auto reader, Reader::open(*this));
    return Lease(*this, std::move(reader));
}

Cluster::Lease::Lease(const Cluster& cluster, std::unique_ptr<Reader> reader)
    : cluster_(cluster), reader_(std::move(reader)) {}

Cluster::Lease::Lease(Lease&&) noexcept = default;

Cluster::Lease::~Lease() {
    if (!reader_) return;
    reader_->stop();
    const std::scoped_lock lock(cluster_.mutex_);
    auto& idle = cluster_.idle_readers_;
    if (idle.size() < kReadersIdleMax) idle.push_back(std::move(reader_));
}

Cluster::Slot Cluster::take_slot(std::string purpose) const {
    const std::scoped_lock lock(mutex_);
    int number = 0;
    while (!slots_.insert({purpose, number}).second) ++number;
    return {*this, std::move(purpose), number};
}

Cluster::Slot::Slot(Slot&& other) noexcept
    : cluster_(std::exchange(other.cluster_, nullptr)),
      purpose_(std::move(other.purpose_)),
      number_(other.number_) {}

Cluster::Slot::~Slot() {
    if (cluster_ == nullptr) return;
    const std::scoped_lock lock(cluster_->mutex_);
    cluster_->slots_.erase({purpose_, number_});
}

std::string Cluster::Slot::transactional_id() const {
    return fmt::format("{}vigie.{}-{}-{}", cluster_->options.prefix, purpose_, cluster_->unique_,
                       number_);
}

std::string Cluster::Slot::instance_id() const {
    if (cluster_->options.instance.empty()) return {};
    return fmt::format("{}-{}", cluster_->options.instance, number_);
}

}  // namespace vigie::streams::kafka
