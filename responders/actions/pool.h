#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/bounded_queue.h"
#include "core/metrics.h"
#include "core/result.h"

namespace vigie::actions {

// Where slow work (calls to other machines) is done, away from the workers.
class Pool {
public:
    using Work = std::function<void(const std::stop_token&)>;

    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    virtual ~Pool() = default;

    // Never waits. kOverloaded when the queue is full, kCancelled after stop(): in both cases
    // `work` will not run. Work that is still queued at stop() does not run either.
    // Safe to call from any thread.
    virtual Status submit(Work work) = 0;

    // Asks running work to end, drops what is queued, and returns when no work is running.
    // May be called again. Not from inside work.
    virtual void stop() = 0;
};

// Threads behind one bounded queue.
class ThreadPool final : public Pool {
public:
    struct Options {
        unsigned threads = 4;
        std::size_t queue_max = 256;
    };

    // `metrics` must outlive the pool. `threads` and `queue_max` must be at least 1.
    ThreadPool(Options options, MetricsRegistry& metrics);
    ~ThreadPool() override;  // As stop().

    Status submit(Work work) override;
    void stop() override;

private:
    void run(const std::stop_token& stop);

    Counter& rejected_;
    Gauge& depth_;
    BoundedQueue<Work> queue_;
    std::stop_source stop_;
    std::mutex stop_mutex_;              // Protects threads_.
    std::vector<std::jthread> threads_;  // Last: they use everything above.
};

// No threads: keeps work until run_all() is called, on the caller's thread. For simulations
// and tests, where the moment at which slow work happens is part of the story.
class InlinePool final : public Pool {
public:
    explicit InlinePool(std::size_t queue_max = 256) : queue_max_(queue_max) {}

    Status submit(Work work) override;
    void stop() override;

    // Runs what is queued, and what that work submits in turn. Returns how much was run.
    std::size_t run_all();
    void drop_all() { queue_.clear(); }  // As a crash does.
    std::size_t size() const { return queue_.size(); }

private:
    const std::size_t queue_max_;
    std::stop_source stop_;
    std::deque<Work> queue_;
};

// Lets time pass between two looks at a target. A door, so that tests never wait.
class Waiter {
public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() = default;

    // False when `stop` was requested before `duration` was over.
    virtual bool wait(std::chrono::milliseconds duration, const std::stop_token& stop) = 0;
};

// Blocks the calling thread.
class ThreadWaiter final : public Waiter {
public:
    bool wait(std::chrono::milliseconds duration, const std::stop_token& stop) override;
};

// Returns at once; counts, so that a test can say how patient somebody was.
class InstantWaiter final : public Waiter {
public:
    bool wait(std::chrono::milliseconds duration, const std::stop_token& stop) override;
    std::chrono::milliseconds waited() const;

private:
    mutable std::mutex mutex_;  // Protects everything below.
    std::chrono::milliseconds waited_{0};
};

}  // namespace vigie::actions
