#include "responders/actions/pool.h"

#include <condition_variable>
#include <utility>

#include "responders/actions/metrics.h"

namespace vigie::actions {

ThreadPool::ThreadPool(Options options, MetricsRegistry& metrics)
    : rejected_(metrics.counter(metric::kPoolRejected)),
      depth_(metrics.gauge(metric::kPoolQueue)),
      queue_(options.queue_max) {
    VIGIE_ASSERT(options.threads >= 1);
    for (unsigned i = 0; i < options.threads; ++i) {
        threads_.emplace_back([this] { run(stop_.get_token()); });
    }
}

ThreadPool::~ThreadPool() {
    stop();
}

Status ThreadPool::submit(Work work) {
    auto status = queue_.try_push(work);
    if (!status) {
        rejected_.add();
        return fail(std::move(status).error().in("action pool"));
    }
    depth_.set(static_cast<double>(queue_.size()));
    return {};
}

void ThreadPool::stop() {
    stop_.request_stop();
    queue_.close();
    const std::scoped_lock lock(stop_mutex_);
    threads_.clear();  // Joins.
}

void ThreadPool::run(const std::stop_token& stop) {
    while (auto work = queue_.pop()) {
        depth_.set(static_cast<double>(queue_.size()));
        // What is queued at stop() is dropped: its row is still there, and the next start
        // settles it.
        if (!stop.stop_requested()) (*work)(stop);
    }
}

Status InlinePool::submit(Work work) {
    if (stop_.stop_requested()) return fail(ErrorKind::kCancelled, "action pool is stopped");
    if (queue_.size() >= queue_max_) return fail(ErrorKind::kOverloaded, "action pool is full");
    queue_.push_back(std::move(work));
    return {};
}

void InlinePool::stop() {
    stop_.request_stop();
    queue_.clear();
}

std::size_t InlinePool::run_all() {
    std::size_t count = 0;
    while (!queue_.empty()) {
        const auto work = std::move(queue_.front());
        queue_.pop_front();
        work(stop_.get_token());
        ++count;
    }
    return count;
}

bool ThreadWaiter::wait(std::chrono::milliseconds duration, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, duration, [&stop] { return stop.stop_requested(); });
    return !stop.stop_requested();
}

bool InstantWaiter::wait(std::chrono::milliseconds duration, const std::stop_token& stop) {
    const std::scoped_lock lock(mutex_);
    waited_ += duration;
    return !stop.stop_requested();
}

std::chrono::milliseconds InstantWaiter::waited() const {
    const std::scoped_lock lock(mutex_);
    return waited_;
}

}  // namespace vigie::actions
