#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::ingest {

// Moves event time on in every partition, quiet ones too: one Tick record each, stamped with the
// wall clock. Owned by one thread, which calls tick() once a second. `bus`, `clock` and `metrics`
// must outlive it and the appends under way.
class Ticker {
public:
    struct Options {
        std::vector<std::string> topics;
        DomainId domain{"default"};
    };

    Ticker(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics);

    // Starts one append for all partitions and does not wait for it. kOverloaded while the one
    // before is still under way: ticks of a slow bus do not pile up, the next one says all that
    // they would have. kNotFound when a topic does not exist.
    Status tick();

    // kUnavailable when no tick became durable within `age_max`, although ticks were asked for,
    // or when the log is more than `age_max` ahead of the clock: no timer fires then and nothing
    // is verified. Safe to call from any thread.
    Status check_time_moves(std::chrono::milliseconds age_max) const;

private:
    Result<std::size_t> find_keys();
    Status find_newest();

    const Options options_;
    streams::Bus& bus_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    // Owned by the thread that calls tick().
    std::map<streams::Partition, std::string> keys_;  // A key that leads to each partition
    std::shared_ptr<std::atomic<bool>> under_way_;
    // Steady time of the last tick that became durable; shared with the append under way.
    std::shared_ptr<std::atomic<std::int64_t>> last_durable_;
    // Micros of the newest record of our topics: the time that the log has reached.
    std::atomic<std::int64_t> newest_{0};
};

}  // namespace vigie::ingest
