#include "streams/kafka/kafka_bus.h"

#include "streams/kafka/appender.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/kafka_consumer.h"
#include "streams/kafka/reader.h"
#include "streams/kafka/topics.h"

namespace vigie::streams::kafka {

KafkaBus::KafkaBus(std::unique_ptr<Cluster> cluster, std::unique_ptr<Appender> appender)
    : cluster_(std::move(cluster)), appender_(std::move(appender)) {}

KafkaBus::~KafkaBus() {
    cluster_->close_soon();
}

Status KafkaBus::check(const Options& options) {
    return Cluster::check_options(options);
}

Result<std::unique_ptr<KafkaBus>> KafkaBus::open(Options options, const Clock& clock,
                                                 MetricsRegistry& metrics, Log& log) {
    VIGIE_TRY_ASSIGN(auto cluster, Cluster::open(std::move(options), clock, metrics, log));
    auto appender = std::make_unique<Appender>(*cluster);
    return std::unique_ptr<KafkaBus>(new KafkaBus(std::move(cluster), std::move(appender)));
}

Status KafkaBus::ensure_topics(std::span<const TopicOptions> topics) {
    return kafka::ensure_topics(*cluster_, topics);
}

Result<std::unique_ptr<Consumer>> KafkaBus::subscribe(const Subscription& subscription,
                                                      AssignmentListener& listener) {
    return KafkaConsumer::open(*cluster_, subscription, listener);
}

void KafkaBus::append(std::vector<Message> messages, AppendDone done) {
    appender_->append(std::move(messages), std::move(done));
}

Result<std::vector<Record>> KafkaBus::read(const Partition& partition, Offset from,
                                           const PollLimits& limits) const {
    return kafka::read(*cluster_, partition, from, limits);
}

Result<Bus::Range> KafkaBus::range(const Partition& partition) const {
    return cluster_->range(partition, Cluster::End::kStable);
}

Result<std::int32_t> KafkaBus::partition_count(std::string_view topic) const {
    return cluster_->partition_count(topic);
}

std::size_t KafkaBus::message_bytes_max() const {
    return cluster_->options.record_bytes_max;
}

Result<std::size_t> KafkaBus::group_members(std::string_view group) const {
    return member_count(*cluster_, group);
}

Result<Offset> KafkaBus::group_position(std::string_view group, const Partition& partition) const {
    VIGIE_TRY(cluster_->check(partition));
    VIGIE_TRY_ASSIGN(rd_kafka_t* const observer, cluster_->observer(group));
    VIGIE_TRY_ASSIGN(const auto position,
                     committed_position(*cluster_, group, *observer, partition));
    return position.value_or(0);
}

}  // namespace vigie::streams::kafka
