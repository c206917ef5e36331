#include "app/backtest.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "app/log_access.h"
#include "app/pipeline.h"
#include "core/system_clock.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

namespace vigie::app {

namespace {

using schemas::topics::kAnomalies;

constexpr std::array kTelemetry{schemas::topics::kMetrics, schemas::topics::kLogs,
                                schemas::topics::kSpans};
constexpr streams::PollLimits kStep{200, std::chrono::milliseconds{0}};
constexpr std::size_t kWaitingBytesMax = std::size_t{8} << 20U;
constexpr std::int64_t kInputBytes = std::int64_t{64} << 20U;
constexpr std::int64_t kOutputBytes = std::int64_t{1} << 30U;
constexpr std::string_view kStages = "detect-";

bool is_marked(const streams::Record& record) {  // A tick or context: no telemetry.
    return std::ranges::any_of(record.message.headers, [](const auto& header) {
        return header.first == schemas::topics::kHeaderKind;
    });
}

// The detect stages on a bus of their own, fed from outside.
class Rerun {
public:
    explicit Rerun(Backtest& result) : result_(result) {}

    Status open(const streams::Bus& bus, const DetectConfig& config) {
        std::vector<streams::TopicOptions> topics;
        for (const std::string_view name : kTelemetry) {
            VIGIE_TRY_ASSIGN(const std::int32_t partitions, bus.partition_count(name));
            topics.push_back({.name = std::string(name),
                              .partitions = partitions,
                              .retention_bytes = kInputBytes});
        }
        for (const std::string_view name :
             {kAnomalies, schemas::topics::kChanges, schemas::topics::kIncidents,
              schemas::topics::kDeadLetter}) {
            topics.push_back({.name = std::string(name), .retention_bytes = kOutputBytes});
        }
        VIGIE_TRY(bus_.ensure_topics(topics));
        Pipeline pipeline;
        pipeline.detect = config;
        for (auto& stage : make_stages(pipeline, metrics_, clock_)) {
            // What stands on the log already is not to be put there again.
            if (!stage.stage.starts_with(kStages) || stage.stage == kContextStage) continue;
            // Nothing is to be continued, so no snapshots.
            stage.snapshot_records = static_cast<std::size_t>(-1);
            stage.snapshot_interval = std::chrono::hours{24 * 365};
            VIGIE_TRY_ASSIGN(auto worker,
                             streams::Worker::open(bus_, stage, metrics_, log_, clock_));
            workers_.push_back(std::move(worker));
        }
        return {};
    }

    Status add(streams::Message record) {
        waiting_bytes_ += streams::bytes_of(record);
        waiting_.push_back(std::move(record));
        return waiting_bytes_ < kWaitingBytesMax && waiting_.size() < kStep.records_max ? Status{}
                                                                                        : run();
    }

    // Until the detectors have seen all that was added.
    Status run() {
        if (!waiting_.empty())
            VIGIE_TRY(streams::append_and_wait(bus_, std::exchange(waiting_, {})));
        waiting_bytes_ = 0;
        for (bool again = true; again;) {
            again = false;
            for (const auto& worker : workers_) {
                VIGIE_TRY_ASSIGN(const std::size_t done, worker->step(kStep));
                again = again || done > 0;
            }
            VIGIE_TRY(hear());
        }
        return {};
    }

    Status finish() {
        VIGIE_TRY(run());
        VIGIE_TRY_ASSIGN(const auto refused,
                         bus_.range({std::string(schemas::topics::kDeadLetter), 0}));
        result_.refused = static_cast<std::size_t>(refused.end);
        for (const auto& [key, index] : firing_) result_.alarms[index].until = result_.to;
        return {};
    }

private:
    Status hear() {
        const streams::Partition partition{std::string(kAnomalies), 0};
        VIGIE_TRY_ASSIGN(const auto range, bus_.range(partition));
        if (range.begin > heard_) {
            return fail(ErrorKind::kOverloaded, "one step told more than a backtest can hold");
        }
        while (heard_ < range.end) {
            VIGIE_TRY_ASSIGN(const auto records, bus_.read(partition, heard_, kStep));
            for (const auto& record : records) VIGIE_TRY(hear(record.message.value));
            heard_ = records.empty() ? range.end : records.back().offset + 1;
        }
        return {};
    }

    Status hear(const std::string& value) {
        VIGIE_TRY_ASSIGN(const auto event, schemas::decode(value));
        const auto* anomaly = std::get_if<schemas::Anomaly>(&event.data);
        if (anomaly == nullptr) return {};
        const EventTime at = event.meta.time;
        const auto known = firing_.find(anomaly->key);
        if (anomaly->firing && at >= result_.from && at < result_.to && known == firing_.end()) {
            if (result_.alarms.size() >= kBacktestAlarmsMax) {
                ++result_.alarms_left_out;
                return {};
            }
            firing_.emplace(anomaly->key, result_.alarms.size());
            result_.alarms.push_back({*anomaly, at, at, std::nullopt});
        } else if (!anomaly->firing && known != firing_.end()) {
            BacktestAlarm& alarm = result_.alarms[known->second];
            alarm.until = std::min(at, result_.to);
            if (at < result_.to) alarm.ended = schemas::ended_of(*anomaly);
            firing_.erase(known);
        }
        return {};
    }

    Backtest& result_;
    streams::MemoryBus bus_;
    MetricsRegistry metrics_;
    MemoryLog log_;
    SystemClock clock_;  // For step times in metrics only.
    std::vector<std::unique_ptr<streams::Worker>> workers_;
    std::vector<streams::Message> waiting_;
    std::size_t waiting_bytes_ = 0;
    streams::Offset heard_ = 0;
    std::map<std::string, std::size_t> firing_;  // Index of its alarm by key.
};

}  // namespace

std::vector<BacktestLine> Backtest::lines() const {
    std::map<std::tuple<std::string, std::string, std::string>, BacktestLine> by_signal;
    for (const BacktestAlarm& alarm : alarms) {
        const auto& anomaly = alarm.anomaly;
        BacktestLine& line = by_signal[{anomaly.detector, anomaly.entity.value, anomaly.signal}];
        if (line.fired++ == 0) {
            line.detector = anomaly.detector;
            line.entity = anomaly.entity.value;
            line.signal = anomaly.signal;
            line.first = alarm.told_at;
        }
        const auto lasted = alarm.until - alarm.told_at;
        line.total += lasted;
        line.longest = std::max(line.longest, lasted);
        line.last = alarm.told_at;
        if (!alarm.ended) ++line.firing;
    }
    std::vector<BacktestLine> all;
    all.reserve(by_signal.size());
    for (auto& [key, line] : by_signal) all.push_back(std::move(line));
    std::ranges::stable_sort(all, std::greater<>{}, &BacktestLine::fired);
    return all;
}

std::size_t Backtest::entities() const {
    std::set<std::string_view> names;
    for (const auto& alarm : alarms) names.insert(alarm.anomaly.entity.value);
    return names.size();
}

Result<Backtest> backtest_detectors(const streams::Bus& bus, const DetectConfig& config,
                                    EventTime from, EventTime to,
                                    std::optional<std::chrono::milliseconds> learn) {
    if (to <= from) {
        return fail(ErrorKind::kInvalid, "the end of a backtest must be after its beginning");
    }
    Backtest result;
    result.from = from;
    result.to = to;
    result.learned_from = from;
    Rerun rerun(result);
    VIGIE_TRY(rerun.open(bus, config));
    for (const std::string_view topic : kTelemetry) {
        VIGIE_TRY_ASSIGN(const std::int32_t partitions, bus.partition_count(topic));
        for (std::int32_t index = 0; index < partitions; ++index) {
            const streams::Partition partition{std::string(topic), index};
            streams::Offset begin = 0;
            if (learn) {
                VIGIE_TRY_ASSIGN(begin, streams::find_offset(bus, partition, from - *learn));
            }
            const auto one = [&](const streams::Record& record) -> Result<bool> {
                if (record.message.event_time >= to) return true;  // Later ones may be older.
                if (!is_marked(record)) {
                    ++result.records;
                    result.learned_from = std::min(result.learned_from, record.message.event_time);
                }
                VIGIE_TRY(rerun.add(record.message));
                return true;
            };
            VIGIE_TRY(for_each_record(bus, partition, begin, one));
            VIGIE_TRY(rerun.run());
        }
    }
    VIGIE_TRY(rerun.finish());
    std::ranges::stable_sort(result.alarms, {}, &BacktestAlarm::told_at);
    return result;
}

}  // namespace vigie::app
