#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/outward_config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/actions/kill_switch.h"
#include "responders/actions/runner.h"
#include "streams/processor.h"

namespace vigie::app {

// Everything of a process that reaches outside: the actions with their pool and kill switch, and
// the channels to people. The stages that it makes share it and must be gone before it.
class Outward {
public:
    // kInvalid when a target cannot be used, kUnavailable when the kill switch cannot be created.
    // `clock`, `metrics` and `log` must outlive it.
    static Result<std::unique_ptr<Outward>> create(const OutwardConfig& config,
                                                   const std::string& kill_switch_file,
                                                   actions::Runner::Publish publish,
                                                   const Clock& clock, MetricsRegistry& metrics,
                                                   Log& log);
    virtual ~Outward() = default;

    virtual std::unique_ptr<streams::Processor> make_act_stage() = 0;
    virtual std::unique_ptr<streams::Processor> make_notify_stage() = 0;
    virtual actions::FileKillSwitch& kill_switch() = 0;

    // Asks calls under way to end and waits for them; their outcomes are still published.
    virtual void stop() = 0;
};

}  // namespace vigie::app
