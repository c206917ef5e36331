#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/detect_config.h"
#include "app/foreign_stage.h"
#include "core/id.h"
#include "core/metrics.h"
#include "core/time.h"
#include "streams/processor.h"
#include "streams/worker.h"

namespace vigie::app {

// The stages of Vigie and how they are joined: the same for `vigie serve` and for the simulator.
struct Pipeline {
    DomainId domain{"default"};
    DetectConfig detect;
    std::int32_t partitions = 1;  // Of the telemetry topics.
    // Topics of others, on Kafka: without any there is no stage for them.
    ForeignStage::Options foreign;
    // The stages that touch the outside world: ActStage and NotifyStage, or what stands for them.
    std::function<std::unique_ptr<streams::Processor>()> make_act_stage;
    std::function<std::unique_ptr<streams::Processor>()> make_notify_stage;
    // Called for each kill decision, before it is committed; repeated after a crash.
    std::function<Status(bool on)> set_kill_switch;
    // Called with each post-mortem, before it is committed; repeated after a crash.
    std::function<Status(const IncidentId& incident, const std::string& markdown)> write_postmortem;
};

inline constexpr std::string_view kContextStage = "detect-context";

// One worker for each stage: detect-metrics, detect-logs, detect-spans, detect-context, sequence,
// agent, heartbeat, act, notify, kill-switch, postmortem, and foreign when there are foreign
// topics. `metrics` and `clock` must outlive the workers; the clock is read for metrics alone.
std::vector<streams::Worker::Options> make_stages(const Pipeline& pipeline,
                                                  MetricsRegistry& metrics, const Clock& clock);

// Every topic with its partitions and retention; `partitions` is for the telemetry topics.
std::vector<streams::TopicOptions> make_topics(std::int32_t partitions,
                                               std::int64_t retention_bytes);

// Topics on which time must move even when nothing happens.
std::vector<std::string> ticked_topics();

}  // namespace vigie::app
