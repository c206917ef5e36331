#include "app/replay.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>

#include "app/agent_stage.h"
#include "app/log_access.h"
#include "core/system_clock.h"
#include "http/signature.h"
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

constexpr streams::PollLimits kStep{100, std::chrono::milliseconds{0}};
// Signals that wait for the agent; the bus in memory keeps several times as much.
constexpr std::size_t kWaitingBytesMax = std::size_t{8} << 20U;
constexpr std::int64_t kSignalBytes = std::int64_t{64} << 20U;
constexpr std::int64_t kOutputBytes = std::int64_t{1} << 30U;

// Calls `visit` for every record of a topic, partition by partition.
Status for_each_of(const streams::Bus& bus, std::string_view topic,
                   const std::function<Status(const streams::Record&)>& visit) {
    VIGIE_TRY_ASSIGN(const std::int32_t partitions, bus.partition_count(topic));
    for (std::int32_t index = 0; index < partitions; ++index) {
        const auto one = [&visit](const streams::Record& record) -> Result<bool> {
            VIGIE_TRY(visit(record));
            return true;
        };
        VIGIE_TRY(for_each_record(bus, {std::string(topic), index}, 0, one));
    }
    return {};
}

// The agent on a bus of its own, fed from outside.
class Rerun {
public:
    explicit Rerun(const ReplayVisitor& visit) : visit_(visit) {}

    Status open(std::int32_t partitions) {
        std::vector<streams::TopicOptions> topics;
        for (const std::string_view name :
             {kSignals, kIncidents, kActions, kAudit, schemas::topics::kDeadLetter}) {
            streams::TopicOptions topic;
            topic.name = name;
            topic.partitions = name == kSignals ? partitions : 1;
            topic.retention_bytes = name == kSignals ? kSignalBytes : kOutputBytes;
            topics.push_back(topic);
        }
        VIGIE_TRY(bus_.ensure_topics(topics));
        streams::Worker::Options options;
        options.stage = "replay";
        options.subscription = {"replay", {std::string(kSignals)}};
        options.make_processor = [this](const streams::Partition&) {
            return std::make_unique<AgentStage>(metrics_, clock_);
        };
        VIGIE_TRY_ASSIGN(worker_, streams::Worker::open(bus_, options, metrics_, log_, clock_));
        return {};
    }

    Status add(const streams::Message& signal) {
        VIGIE_TRY(streams::append_and_wait(bus_, {signal}));
        waiting_bytes_ += streams::bytes_of(signal);
        return waiting_bytes_ < kWaitingBytesMax ? Status{} : run();
    }

    // Until the agent has seen all that was added.
    Status run() {
        while (true) {
            VIGIE_TRY_ASSIGN(const std::size_t done, worker_->step(kStep));
            VIGIE_TRY(tell());
            if (done == 0) break;
        }
        waiting_bytes_ = 0;
        return {};
    }

private:
    Status tell() {
        for (auto& [topic, next] : told_) {
            const streams::Partition partition{std::string(topic), 0};
            VIGIE_TRY_ASSIGN(const auto range, bus_.range(partition));
            if (range.begin > next) {
                return fail(ErrorKind::kOverloaded,
                            "one step said more than a replay can hold, on " + partition.topic);
            }
            while (next < range.end) {
                VIGIE_TRY_ASSIGN(const auto records, bus_.read(partition, next, kStep));
                for (const auto& record : records) visit_(topic, record.message);
                next = records.empty() ? range.end : records.back().offset + 1;
            }
        }
        return {};
    }

    const ReplayVisitor& visit_;
    streams::MemoryBus bus_;
    MetricsRegistry metrics_;
    MemoryLog log_;
    SystemClock clock_;  // For step times in metrics only; decisions take time from the log.
    std::unique_ptr<streams::Worker> worker_;
    std::size_t waiting_bytes_ = 0;
    std::array<std::pair<std::string_view, streams::Offset>, 3> told_{
        {{kIncidents, 0}, {kActions, 0}, {kAudit, 0}}};
};

}  // namespace

Result<Replay> replay_signals(const streams::Bus& bus, EventTime until,
                              const ReplayVisitor& visit) {
    Replay replay;
    std::multiset<std::string> again;  // Hashes of transitions
    const ReplayVisitor count = [&](std::string_view topic, const streams::Message& message) {
        if (topic == kIncidents) {
            ++replay.transitions;
            again.insert(http::sha256_hex(message.value));
        } else {
            ++(topic == kActions ? replay.actions : replay.audit);
        }
        visit(topic, message);
    };
    Rerun rerun(count);
    VIGIE_TRY_ASSIGN(const std::int32_t partitions, bus.partition_count(kSignals));
    VIGIE_TRY(rerun.open(partitions));
    for (std::int32_t i = 0; i < partitions; ++i) {
        VIGIE_TRY_ASSIGN(const auto range, bus.range({std::string(kSignals), i}));
        replay.from_middle = replay.from_middle || range.begin > 0;
    }
    VIGIE_TRY(for_each_of(bus, kSignals, [&](const streams::Record& record) -> Status {
        if (record.message.event_time > until) return {};
        ++replay.signals;
        return rerun.add(record.message);
    }));
    VIGIE_TRY(rerun.run());

    VIGIE_TRY(for_each_of(bus, kIncidents, [&](const streams::Record& record) -> Status {
        const auto& headers = record.message.headers;
        const bool tick = std::any_of(headers.begin(), headers.end(), [](const auto& header) {
            return header.first == schemas::topics::kHeaderKind;
        });
        if (tick || record.message.event_time > until) return {};
        ++replay.recorded;
        const auto found = again.find(http::sha256_hex(record.message.value));
        if (found != again.end()) {
            again.erase(found);
            ++replay.same;
        }
        return {};
    }));
    return replay;
}

}  // namespace vigie::app
