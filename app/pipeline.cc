#include "app/pipeline.h"

#include <algorithm>
#include <array>
#include <utility>

#include "app/agent_stage.h"
#include "app/context_stage.h"
#include "app/detect_stage.h"
#include "app/heartbeat_stage.h"
#include "app/observer_stage.h"
#include "app/sequence_stage.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace topics = schemas::topics;

namespace {

using Detectors = std::vector<NamedDetector>;

// The options were checked when the configuration was read.
template <class Made>
void add(Detectors& detectors, std::string family, Made made) {
    VIGIE_ASSERT(made.has_value());
    detectors.push_back({std::move(family), *std::move(made)});
}

Detectors make_detectors(Telemetry kind, const DetectConfig& config) {
    Detectors out;
    switch (kind) {
        case Telemetry::kMetrics:
            add(out, "metrics", detectors::make_metrics_detector(config.metrics));
            add(out, "absence", detectors::make_absence_detector(config.absence));
            add(out, "rules", detectors::make_rule_detector(config.rules));
            break;
        case Telemetry::kLogs: add(out, "logs", detectors::make_log_detector(config.logs)); break;
        case Telemetry::kSpans:
            add(out, "traces", detectors::make_trace_detector(config.traces));
            break;
    }
    return out;
}

streams::Worker::Options stage(std::string name, std::vector<std::string_view> inputs,
                               streams::Worker::ProcessorFactory make) {
    streams::Worker::Options options;
    options.stage = name;
    options.subscription.group = std::move(name);
    options.subscription.topics.assign(inputs.begin(), inputs.end());
    options.make_processor = std::move(make);
    options.dead_letter_topic = topics::kDeadLetter;
    return options;
}

streams::Worker::Options detect_stage(const Pipeline& pipeline, Telemetry kind, std::string name,
                                      std::string_view topic, MetricsRegistry& metrics) {
    auto options = stage(std::move(name), {topic}, [pipeline, kind, &metrics](const auto& input) {
        schemas::SeriesTable::Options series;
        series.series_max = std::max(series.series_max, pipeline.detect.metrics.series_max);
        return std::make_unique<DetectStage>(kind, pipeline.domain, input.index,
                                             make_detectors(kind, pipeline.detect), metrics,
                                             pipeline.detect.identity, series);
    });
    options.lateness_max = pipeline.detect.lateness_max;
    return options;
}

std::unique_ptr<streams::Processor> make_kill_stage(const Pipeline& pipeline) {
    return std::make_unique<ObserverStage>([set = pipeline.set_kill_switch](const auto& event) {
        const auto* decision = std::get_if<schemas::Decision>(&event.data);
        if (decision == nullptr || decision->kind != schemas::DecisionKind::kKill) return Status{};
        // Anything but a clear "off" stops.
        return set(decision->value != "off");
    });
}

std::unique_ptr<streams::Processor> make_postmortem_stage(const Pipeline& pipeline) {
    return std::make_unique<ObserverStage>([write = pipeline.write_postmortem](const auto& event) {
        const auto* change = std::get_if<schemas::IncidentEvent>(&event.data);
        if (change == nullptr || change->incident.postmortem.empty()) return Status{};
        return write(change->incident.id, change->incident.postmortem);
    });
}

}  // namespace

std::vector<streams::Worker::Options> make_stages(const Pipeline& pipeline,
                                                  MetricsRegistry& metrics, const Clock& clock) {
    std::vector<streams::Worker::Options> stages;
    stages.push_back(
        detect_stage(pipeline, Telemetry::kMetrics, "detect-metrics", topics::kMetrics, metrics));
    stages.push_back(
        detect_stage(pipeline, Telemetry::kLogs, "detect-logs", topics::kLogs, metrics));
    stages.push_back(
        detect_stage(pipeline, Telemetry::kSpans, "detect-spans", topics::kSpans, metrics));
    stages.push_back(stage(std::string(kContextStage), {topics::kChanges, topics::kIncidents},
                           [partitions = pipeline.partitions](const auto&) {
                               return std::make_unique<ContextStage>(partitions);
                           }));
    stages.push_back(stage("sequence",
                           {topics::kAlerts, topics::kAnomalies, topics::kChanges,
                            topics::kDecisions, topics::kActions},
                           [&metrics](const auto&) {
                               return std::make_unique<SequenceStage>(SequenceStage::Options{},
                                                                      metrics);
                           }));
    stages.push_back(stage("agent", {topics::kSignals}, [&metrics, &clock](const auto&) {
        return std::make_unique<AgentStage>(metrics, clock);
    }));
    stages.push_back(stage("heartbeat", {topics::kHeartbeats}, [pipeline, &metrics](const auto&) {
        return std::make_unique<HeartbeatStage>(HeartbeatStage::Options{pipeline.domain}, metrics);
    }));
    stages.push_back(stage("act", {topics::kActions},
                           [pipeline](const auto&) { return pipeline.make_act_stage(); }));
    stages.push_back(stage("notify", {topics::kIncidents},
                           [pipeline](const auto&) { return pipeline.make_notify_stage(); }));
    stages.push_back(stage("kill-switch", {topics::kDecisions},
                           [pipeline](const auto&) { return make_kill_stage(pipeline); }));
    stages.push_back(stage("postmortem", {topics::kIncidents},
                           [pipeline](const auto&) { return make_postmortem_stage(pipeline); }));
    if (!pipeline.foreign.topics.empty()) {
        std::vector<std::string_view> names;
        names.reserve(pipeline.foreign.topics.size());
        for (const auto& topic : pipeline.foreign.topics) names.push_back(topic.topic);
        stages.push_back(stage("foreign", names, [pipeline, &metrics](const auto&) {
            return std::make_unique<ForeignStage>(pipeline.foreign, metrics);
        }));
    }
    return stages;
}

std::vector<streams::TopicOptions> make_topics(std::int32_t partitions,
                                               std::int64_t retention_bytes) {
    using std::chrono::hours;
    constexpr std::int64_t kEventBytes = std::int64_t{1} << 30;
    const auto topic = [](std::string_view name, std::int64_t bytes, hours age) {
        streams::TopicOptions options;
        options.name = name;
        options.retention_bytes = bytes;
        options.retention = age;
        return options;
    };
    std::vector<streams::TopicOptions> all;
    for (const auto name : {topics::kMetrics, topics::kLogs, topics::kSpans}) {
        all.push_back(topic(name, retention_bytes, hours{24 * 3}));
        all.back().partitions = partitions;
    }
    for (const auto name :
         {topics::kAlerts, topics::kAnomalies, topics::kForecasts, topics::kHeartbeats}) {
        all.push_back(topic(name, kEventBytes, hours{24 * 30}));
    }
    for (const auto name :
         {topics::kChanges, topics::kSignals, topics::kIncidents, topics::kActions}) {
        all.push_back(topic(name, 4 * kEventBytes, hours{24 * 180}));
    }
    all.push_back(topic(topics::kDecisions, kEventBytes, hours{24 * 365 * 5}));
    all.push_back(topic(topics::kAudit, 8 * kEventBytes, hours{24 * 365 * 5}));
    all.push_back(topic(topics::kDeadLetter, kEventBytes, hours{24 * 7}));
    return all;
}

std::vector<std::string> ticked_topics() {
    // vigie.alerts stands for the sequencer's inputs: its ticks go on to vigie.signals.
    return {std::string(topics::kMetrics),   std::string(topics::kLogs),
            std::string(topics::kSpans),     std::string(topics::kAlerts),
            std::string(topics::kActions),   std::string(topics::kIncidents),
            std::string(topics::kHeartbeats)};
}

}  // namespace vigie::app
