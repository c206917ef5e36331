#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "streams/worker.h"

namespace vigie::streams {

// One named thread that runs `body` until it returns; joined on destruction. The only place
// where streams/ and its buses get a thread from.
class Thread {
public:
    Thread(const std::string& name, std::function<void(const std::stop_token&)> body);
    ~Thread();  // Asks to stop and waits.
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    void request_stop() { thread_.request_stop(); }

private:
    std::jthread thread_;
};

// Blocks the calling thread for `duration`, less when `stop` is requested. For loops of our own
// threads; never in a stage or a handler.
void wait_for(std::chrono::milliseconds duration, const std::stop_token& stop);

// Runs workers, one thread each. All members are safe to call from any thread. A worker whose step
// fails is closed and opened again after a backoff (50 ms doubling to 5 s), for as long as it
// takes: an error is logged once when it starts and once when it ends, and counted each time.
// `bus`, `metrics`, `log` and `clock` must outlive it.
class Runtime {
public:
    Runtime(Bus& bus, MetricsRegistry& metrics, Log& log, const Clock& clock);
    ~Runtime();  // As stop().

    void start(Worker::Options options);

    // Lets every worker finish and commit its current step, then joins the threads.
    void stop();

    // True when every worker is open and its last step did not fail.
    bool healthy() const;

private:
    struct Running;
    void run(Running& running, const std::stop_token& stop);

    Bus& bus_;
    MetricsRegistry& metrics_;
    Log& log_;
    const Clock& clock_;
    mutable std::mutex mutex_;  // Protects everything below.
    std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace vigie::streams
