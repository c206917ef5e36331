#include "streams/kafka/topics.h"

#include <array>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "streams/checks.h"
#include "streams/kafka/encoding.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;
using Configs = std::map<std::string, std::string, std::less<>>;

constexpr milliseconds kRetry{50};
// The broker's framing on top of the client's; see Cluster.
constexpr std::size_t kBatchBytes = std::size_t{128} << 10U;

// Sends one administrative request and waits for its answer. Not for those that go to a group's
// coordinator: librdkafka ends the process when that goes away meanwhile (confluentinc/librdkafka,
// issue 4605).
Result<Owned<rd_kafka_event_t>> ask(
    const Cluster& cluster, rd_kafka_admin_op_t operation, std::string_view doing,
    const std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& send) {
    const Owned<rd_kafka_AdminOptions_t> options(
        rd_kafka_AdminOptions_new(&cluster.client(), operation));
    const auto wait_ms = static_cast<int>(cluster.options.answer_wait_max.count());
    std::array<char, 256> reason{};
    rd_kafka_AdminOptions_set_request_timeout(options.get(), wait_ms, reason.data(), reason.size());
    const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(&cluster.client()));
    send(options.get(), queue.get());
    Owned<rd_kafka_event_t> answer;
    const SteadyTime until = cluster.deadline();
    while (!answer && !cluster.over(until)) {
        answer.reset(rd_kafka_queue_poll(queue.get(), cluster.slice_ms(until)));
    }
    if (!answer) return fail(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, doing));
    const auto code = rd_kafka_event_error(answer.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(error_of(code, doing));
    return answer;
}

Configs configs_of(const Cluster& cluster, const TopicOptions& topic) {
    Configs configs{{"cleanup.policy", topic.compacted ? "compact" : "delete"},
                    {"max.message.bytes", std::to_string(cluster.record_room() + kBatchBytes)}};
    if (topic.compacted) {
        // For so long a checkpoint can be behind and still learn what was erased: checkpoints.h.
        // Small enough that old rows leave soon: what is still being written is never compacted.
        configs["segment.bytes"] = std::to_string(std::size_t{64} << 20U);
        configs["delete.retention.ms"] = std::to_string(milliseconds{std::chrono::days{1}}.count());
        return configs;
    }
    configs["retention.bytes"] =
        topic.retention_bytes == 0 ? "-1" : std::to_string(topic.retention_bytes);
    configs["retention.ms"] =
        topic.retention.count() == 0
            ? "-1"
            : std::to_string(std::chrono::duration_cast<milliseconds>(topic.retention).count());
    return configs;
}

Status create(const Cluster& cluster, const TopicOptions& topic, const Configs& configs) {
    const std::string name = cluster.full_name(topic.name);
    const std::string doing = "create topic " + name;
    std::array<char, 512> reason{};
    const Owned<rd_kafka_NewTopic_t> wanted(
        rd_kafka_NewTopic_new(name.c_str(), topic.partitions, cluster.options.replication_factor,
                              reason.data(), reason.size()));
    if (!wanted) return fail(ErrorKind::kInvalid, fmt::format("{}: {}", doing, reason.data()));
    for (const auto& [key, value] : configs) {
        rd_kafka_NewTopic_set_config(wanted.get(), key.c_str(), value.c_str());
    }
    rd_kafka_NewTopic_t* list = wanted.get();
    VIGIE_TRY_ASSIGN(
        const auto answer,
        ask(cluster, RD_KAFKA_ADMIN_OP_CREATETOPICS, doing, [&](const auto* options, auto* queue) {
            rd_kafka_CreateTopics(&cluster.client(), &list, 1, options, queue);
        }));
    std::size_t count = 0;
    const auto* results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(answer.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_topic_result_error(results[i]);
        // Another process was quicker.
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            continue;
        }
        const char* why = rd_kafka_topic_result_error_string(results[i]);
        return fail(kind_of(code), fmt::format("{}: {} ({})", doing, why == nullptr ? "" : why,
                                               rd_kafka_err2name(code)));
    }
    // Brokers learn of it one after the other.
    const SteadyTime until = cluster.deadline();
    while (true) {
        VIGIE_TRY_ASSIGN(const auto shape, cluster.ask_shape(topic.name));
        if (shape) return {};
        if (cluster.over(until)) return fail(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, doing));
        wait_for(kRetry, {});
    }
}

Result<Configs> describe(const Cluster& cluster, const std::string& name) {
    const std::string doing = "describe topic " + name;
    const Owned<rd_kafka_ConfigResource_t> wanted(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
    rd_kafka_ConfigResource_t* list = wanted.get();
    VIGIE_TRY_ASSIGN(const auto answer, ask(cluster, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, doing,
                                            [&](const auto* options, auto* queue) {
                                                rd_kafka_DescribeConfigs(&cluster.client(), &list,
                                                                         1, options, queue);
                                            }));
    std::size_t count = 0;
    const auto* resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer.get()), &count);
    Configs configs;
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_ConfigResource_error(resources[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(error_of(code, doing));
        std::size_t entries = 0;
        const auto* entry = rd_kafka_ConfigResource_configs(resources[i], &entries);
        for (std::size_t j = 0; j < entries; ++j) {
            const char* value = rd_kafka_ConfigEntry_value(entry[j]);
            configs[rd_kafka_ConfigEntry_name(entry[j])] = value == nullptr ? "" : value;
        }
    }
    return configs;
}

// What keeps a topic that exists from being used, a line each.
Result<std::vector<std::string>> misfits_of(const Cluster& cluster, const TopicOptions& topic,
                                            const Cluster::Shape& shape) {
    const std::string name = cluster.full_name(topic.name);
    std::vector<std::string> misfits;
    if (const auto fits = check_topic(topic, shape.partitions); !fits) {
        misfits.push_back(fits.error().message);
    }
    const std::int32_t replicas_min = cluster.options.replication_factor;
    if (shape.replicas < replicas_min) {
        misfits.push_back(fmt::format(
            "topic {} exists with {} replicas, not {}: reassign its partitions, or lower "
            "replication_factor",
            name, shape.replicas, replicas_min));
    }
    auto described = describe(cluster, name);
    if (!described && described.error().kind == ErrorKind::kRefused) {
        cluster.log.warn("topic not checked: not allowed to describe it", {{"topic", name}});
        return misfits;
    }
    VIGIE_TRY(described);
    Configs& now = *described;
    const std::string policy = now["cleanup.policy"];
    const bool compacted = policy.find("compact") != std::string::npos;
    const bool deleted = policy.find("delete") != std::string::npos;
    if (topic.compacted ? !compacted || deleted : compacted) {
        misfits.push_back(fmt::format("topic {} exists with cleanup.policy={}, not {}: change it",
                                      name, policy, topic.compacted ? "compact" : "delete"));
    }
    const auto wanted = configs_of(cluster, topic);
    for (const char* key : {"max.message.bytes", "delete.retention.ms"}) {
        if (!wanted.contains(key)) continue;
        const std::string& least = wanted.at(key);
        if (std::strtoull(now[key].c_str(), nullptr, 10) <
            std::strtoull(least.c_str(), nullptr, 10)) {
            misfits.push_back(fmt::format("topic {} exists with {}={}, it needs {}: raise it", name,
                                          key, now[key], least));
        }
    }
    for (const char* key : {"retention.ms", "retention.bytes"}) {
        if (!wanted.contains(key) || now[key] == wanted.at(key)) continue;
        cluster.log.warn(
            "topic keeps its own retention",
            {{"topic", name}, {"option", key}, {"has", now[key]}, {"asked_for", wanted.at(key)}});
    }
    return misfits;
}

// All of them go to the log, one line each; the error says the first.
Status check_misfits(const Cluster& cluster, const std::vector<std::string>& misfits) {
    if (misfits.empty()) return {};
    if (misfits.size() == 1) return fail(ErrorKind::kInvalid, misfits.front());
    for (const std::string& misfit : misfits) {
        cluster.log.error("topic does not fit", {{"reason", misfit}});
    }
    return fail(ErrorKind::kInvalid, fmt::format("{} (and {} more: the log has a line for each)",
                                                 misfits.front(), misfits.size() - 1));
}

}  // namespace

Status ensure_topics(const Cluster& cluster, std::span<const TopicOptions> topics) {
    std::vector<const TopicOptions*> missing;
    std::vector<std::string> misfits;
    // Every check first: a refused call must not leave half of its topics.
    for (const TopicOptions& topic : topics) {
        VIGIE_TRY(check_topic(topic, 0));
        VIGIE_TRY_ASSIGN(const auto shape, cluster.ask_shape(topic.name));
        if (!shape) {
            missing.push_back(&topic);
            continue;
        }
        VIGIE_TRY_ASSIGN(const auto found, misfits_of(cluster, topic, *shape));
        misfits.insert(misfits.end(), found.begin(), found.end());
    }
    VIGIE_TRY(check_misfits(cluster, misfits));
    for (const TopicOptions* topic : missing) {
        VIGIE_TRY(create(cluster, *topic, configs_of(cluster, *topic)));
    }
    return {};
}

Result<std::int32_t> ensure_compacted_topic(const Cluster& cluster, std::string name,
                                            std::int32_t partitions) {
    TopicOptions topic{.name = std::move(name), .partitions = partitions, .compacted = true};
    VIGIE_TRY(check_topic(topic, 0));
    VIGIE_TRY_ASSIGN(auto shape, cluster.ask_shape(topic.name));
    if (!shape) {
        VIGIE_TRY(create(cluster, topic, configs_of(cluster, topic)));
        // Another process may have created it first.
        VIGIE_TRY_ASSIGN(shape, cluster.ask_shape(topic.name));
        return shape ? shape->partitions : partitions;
    }
    topic.partitions = shape->partitions;
    VIGIE_TRY_ASSIGN(const auto misfits, misfits_of(cluster, topic, *shape));
    VIGIE_TRY(check_misfits(cluster, misfits));
    return shape->partitions;
}

Result<std::size_t> member_count(const Cluster& cluster, std::string_view group) {
    const std::string doing = fmt::format("ask for the members of group {}", group);
    const std::string name = cluster.group_name(group);
    const SteadyTime until = cluster.deadline();
    while (true) {
        const rd_kafka_group_list* list = nullptr;
        auto code =
            rd_kafka_list_groups(&cluster.client(), name.c_str(), &list, cluster.slice_ms(until));
        const Owned<const rd_kafka_group_list> owner(list);
        // Partial: some broker said nothing, the group's coordinator did.
        const bool answered =
            code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__PARTIAL;
        if (answered && list->group_cnt == 0) return 0;
        if (answered) code = list->groups[0].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return static_cast<std::size_t>(list->groups[0].member_cnt);
        }
        if (kind_of(code) != ErrorKind::kUnavailable || cluster.over(until)) {
            return fail(error_of(code, doing));
        }
        wait_for(kRetry, {});
    }
}

Result<std::optional<Offset>> committed_position(const Cluster& cluster, std::string_view group,
                                                 rd_kafka_t& asked, const Partition& partition) {
    const std::string name = cluster.full_name(partition.topic);
    const SteadyTime until = cluster.deadline();
    while (true) {
        const PartitionList list = make_list();
        rd_kafka_topic_partition_list_add(list.get(), name.c_str(), partition.index);
        auto code = rd_kafka_committed(&asked, list.get(), cluster.slice_ms(until));
        const auto& found = list->elems[0];
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = found.err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return found.offset >= 0 ? std::optional<Offset>(found.offset) : std::nullopt;
        }
        if (kind_of(code) != ErrorKind::kUnavailable || cluster.over(until)) {
            return fail(error_of(code, fmt::format("ask for the position of group {} in {}", group,
                                                   to_string(partition))));
        }
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT) wait_for(kRetry, {});
    }
}

}  // namespace vigie::streams::kafka
