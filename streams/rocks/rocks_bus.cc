#include "streams/rocks/rocks_bus.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "streams/checks.h"
#include "streams/rocks/committer.h"
#include "streams/rocks/engine.h"
#include "streams/rocks/maintenance.h"
#include "streams/rocks/metrics.h"
#include "streams/rocks/rocks_consumer.h"

namespace vigie::streams::rocks {

RocksBus::RocksBus(std::unique_ptr<Engine> engine)
    : engine_(std::move(engine)),
      maintenance_(engine_->options.read_only ? nullptr : std::make_unique<Maintenance>(*engine_)),
      committer_(std::make_unique<Committer>(*engine_)) {}

RocksBus::~RocksBus() = default;

Result<std::unique_ptr<RocksBus>> RocksBus::open(Options options, const Clock& clock,
                                                 MetricsRegistry& metrics) {
    auto engine = std::make_unique<Engine>(std::move(options), clock, metrics);
    VIGIE_TRY_ASSIGN(engine->database, Database::open(engine->options));
    if (engine->database->mended()) metrics.counter(rocks::metrics::kMended).add();
    VIGIE_TRY(engine->load());
    return std::unique_ptr<RocksBus>(new RocksBus(std::move(engine)));
}

Status RocksBus::ensure_topics(std::span<const TopicOptions> topics) {
    // Also keeps a second caller from creating the same family.
    const std::scoped_lock applying(engine_->apply_mutex);
    rocksdb::WriteBatch batch;
    std::vector<const TopicOptions*> missing;
    for (const TopicOptions& wanted : topics) {
        const std::scoped_lock lock(engine_->mutex);
        const auto now = engine_->find_topic(wanted.name);
        VIGIE_TRY(check_topic(wanted, now ? (*now)->partitions : 0));
        batch.Put(topic_key(wanted.name), encode_topic(wanted));
        if (!now) missing.push_back(&wanted);
    }
    // Only after every check: a refused call must not leave half of its topics.
    std::vector<std::unique_ptr<TopicLog>> created;
    for (const TopicOptions* wanted : missing) {
        VIGIE_TRY_ASSIGN(auto families,
                         engine_->database->create_families(wanted->name, wanted->partitions));
        created.push_back(std::make_unique<TopicLog>(*wanted, std::move(families)));
    }
    rocksdb::WriteOptions options;
    options.sync = engine_->options.sync;
    const auto status = engine_->database->db().Write(options, &batch);
    if (!status.ok()) return fail(error_of(status, "create topics"));
    const std::scoped_lock lock(engine_->mutex);
    for (auto& topic : created) {
        std::string name = topic->name;
        engine_->topics.try_emplace(std::move(name), std::move(topic));
    }
    for (const TopicOptions& wanted : topics) {
        engine_->topics.find(wanted.name)->second->options = wanted;
    }
    return {};
}

Result<std::unique_ptr<Consumer>> RocksBus::subscribe(const Subscription& subscription,
                                                      AssignmentListener& listener) {
    Groups::MemberId member = 0;
    {
        const std::scoped_lock lock(engine_->mutex);
        std::vector<Groups::Topic> topics;
        for (const std::string& name :
             std::set(subscription.topics.begin(), subscription.topics.end())) {
            VIGIE_TRY_ASSIGN(const TopicLog* topic, engine_->find_topic(name));
            topics.push_back({name, topic->partitions});
        }
        member = engine_->groups.join(subscription.group, std::move(topics));
    }
    engine_->changed.notify_all();
    return std::make_unique<RocksConsumer>(*engine_, *committer_, subscription.group, member,
                                           listener);
}

void RocksBus::append(std::vector<Message> messages, AppendDone done) {
    Request request;
    auto outputs = encode(*engine_, messages);
    if (!outputs) {
        done(fail(outputs.error()));
        return;
    }
    request.outputs = *std::move(outputs);
    request.done = std::move(done);
    committer_->submit(std::move(request));
}

Result<std::vector<Record>> RocksBus::read(const Partition& partition, Offset from,
                                           const PollLimits& limits) const {
    VIGIE_TRY_ASSIGN(const Range range, range_for(partition, from, limits));
    if (range.begin >= range.end) return std::vector<Record>{};
    return engine_->read(
        partition, {.from = range.begin, .end = range.end, .records_max = limits.records_max});
}

Status RocksBus::scan(const Partition& partition, Offset from, const PollLimits& limits,
                      const Visitor& visit) const {
    VIGIE_TRY_ASSIGN(const Range range, range_for(partition, from, limits));
    if (range.begin >= range.end) return {};
    return engine_->scan(partition,
                         {.from = range.begin, .end = range.end, .records_max = limits.records_max},
                         visit);
}

Result<Bus::Range> RocksBus::range_for(const Partition& partition, Offset from,
                                       const PollLimits& limits) const {
    Range range;
    {
        std::unique_lock lock(engine_->mutex);
        VIGIE_TRY_ASSIGN(const PartitionLog* log, engine_->find_log(partition));
        if (limits.wait_max.count() > 0) {
            engine_->changed.wait_for(lock, limits.wait_max, [&] { return from < log->end(); });
        }
        range = {log->begin(), log->end()};
    }
    return Range{std::max(from, range.begin), range.end};
}

Result<Bus::Range> RocksBus::range(const Partition& partition) const {
    const std::scoped_lock lock(engine_->mutex);
    VIGIE_TRY_ASSIGN(const PartitionLog* log, engine_->find_log(partition));
    return Range{log->begin(), log->end()};
}

Result<std::int32_t> RocksBus::partition_count(std::string_view topic) const {
    const std::scoped_lock lock(engine_->mutex);
    VIGIE_TRY_ASSIGN(const TopicLog* found, engine_->find_topic(topic));
    return found->partitions;
}

std::size_t RocksBus::message_bytes_max() const {
    return engine_->options.record_bytes_max;
}

Result<Offset> RocksBus::group_position(std::string_view group, const Partition& partition) const {
    {
        const std::scoped_lock lock(engine_->mutex);
        VIGIE_TRY(engine_->find_log(partition));
    }
    return engine_->position(group, partition);
}

}  // namespace vigie::streams::rocks
