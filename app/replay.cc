#include "app/replay.h"

#include <algorithm>
#include <functional>
#include <set>

#include "app/agent_stage.h"
#include "core/system_clock.h"
#include "schemas/events.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

namespace vigie::app {

namespace {

using schemas::topics::kActions;
using schemas::topics::kAudit;
using schemas::topics::kIncidents;
using schemas::topics::kSignals;

constexpr std::size_t kBatch = 1000;

// Calls `visit` for every record of a topic, partition by partition.
Status for_each_record(const streams::Bus& bus, std::string_view topic,
                       const std::function<Status(const streams::Record&)>& visit) {
    VIGIE_TRY_ASSIGN(const std::int32_t partitions, bus.partition_count(topic));
    for (std::int32_t index = 0; index < partitions; ++index) {
        const streams::Partition partition{std::string(topic), index};
        VIGIE_TRY_ASSIGN(const auto range, bus.range(partition));
        for (streams::Offset next = range.begin; next < range.end;) {
            VIGIE_TRY_ASSIGN(const auto records,
                             bus.read(partition, next, {kBatch, std::chrono::milliseconds{0}}));
            if (records.empty()) break;
            for (const streams::Record& record : records) VIGIE_TRY(visit(record));
            next = records.back().offset + 1;
        }
    }
    return {};
}

Status copy_signals(const streams::Bus& from, EventTime until, streams::MemoryBus& to,
                    std::size_t& signals) {
    VIGIE_TRY_ASSIGN(const std::int32_t partitions, from.partition_count(kSignals));
    std::vector<streams::TopicOptions> topics;
    for (const std::string_view name :
         {kSignals, kIncidents, kActions, kAudit, schemas::topics::kDeadLetter}) {
        streams::TopicOptions topic;
        topic.name = name;
        topic.partitions = partitions;
        topic.retention_bytes = 0;
        topics.push_back(topic);
    }
    VIGIE_TRY(to.ensure_topics(topics));
    return for_each_record(from, kSignals, [&](const streams::Record& record) -> Status {
        if (record.message.event_time > until) return {};
        ++signals;
        return streams::append_and_wait(to, {record.message});
    });
}

Status run_agent(streams::MemoryBus& bus) {
    MetricsRegistry metrics;
    MemoryLog log;
    const SystemClock clock;  // For step times in metrics only; decisions take time from the log.
    streams::Worker::Options options;
    options.stage = "replay";
    options.subscription = {"replay", {std::string(kSignals)}};
    options.make_processor = [&metrics](const streams::Partition&) {
        return std::make_unique<AgentStage>(metrics);
    };
    VIGIE_TRY_ASSIGN(const auto worker, streams::Worker::open(bus, options, metrics, log, clock));
    while (true) {
        VIGIE_TRY_ASSIGN(const std::size_t done,
                         worker->step({kBatch, std::chrono::milliseconds{0}}));
        if (done == 0) return {};
    }
}

std::vector<streams::Message> messages_of(const streams::MemoryBus& bus, std::string_view topic) {
    std::vector<streams::Message> out;
    for (auto& record : bus.records(topic)) out.push_back(std::move(record.message));
    return out;
}

}  // namespace

Result<Replay> replay_signals(const streams::Bus& bus, EventTime until) {
    Replay replay;
    streams::MemoryBus memory;
    VIGIE_TRY(copy_signals(bus, until, memory, replay.signals));
    VIGIE_TRY(run_agent(memory));
    replay.incidents = messages_of(memory, kIncidents);
    replay.actions = messages_of(memory, kActions);
    replay.audit = messages_of(memory, kAudit);

    std::multiset<std::string_view> again;
    for (const streams::Message& message : replay.incidents) again.insert(message.value);
    VIGIE_TRY(for_each_record(bus, kIncidents, [&](const streams::Record& record) -> Status {
        const auto& headers = record.message.headers;
        const bool tick = std::any_of(headers.begin(), headers.end(), [](const auto& header) {
            return header.first == schemas::topics::kHeaderKind;
        });
        if (tick || record.message.event_time > until) return {};
        ++replay.recorded;
        if (const auto found = again.find(record.message.value); found != again.end()) {
            again.erase(found);
            ++replay.same;
        }
        return {};
    }));
    return replay;
}

}  // namespace vigie::app
