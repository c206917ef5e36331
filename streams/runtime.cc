#include "streams/runtime.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace vigie::streams {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kBackoffMin{50};
constexpr milliseconds kBackoffMax{5000};
constexpr std::size_t kThreadNameMax = 15;  // Linux: 16 bytes with the final zero.

}  // namespace

void wait_for(milliseconds duration, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, duration, [] { return false; });
}

Thread::Thread(const std::string& name, std::function<void(const std::stop_token&)> body)
    : thread_([name = name.substr(0, kThreadNameMax),
               body = std::move(body)](const std::stop_token& stop) {
          pthread_setname_np(pthread_self(), name.c_str());
          body(stop);
      }) {}

Thread::~Thread() = default;  // std::jthread asks to stop and joins.

struct Runtime::Running {
    Worker::Options options;
    std::atomic<bool> healthy{false};
    std::unique_ptr<Thread> thread;  // Last: it uses the rest until joined.
};

Runtime::Runtime(Bus& bus, MetricsRegistry& metrics, Log& log, const Clock& clock)
    : bus_(bus), metrics_(metrics), log_(log), clock_(clock) {}

Runtime::~Runtime() {
    stop();
}

void Runtime::start(Worker::Options options) {
    auto running = std::make_unique<Running>();
    running->options = std::move(options);
    Running& started = *running;
    started.thread = std::make_unique<Thread>(
        started.options.stage,
        [this, &started](const std::stop_token& stop) { run(started, stop); });
    const std::scoped_lock lock(mutex_);
    running_.push_back(std::move(running));
}

void Runtime::stop() {
    std::vector<std::unique_ptr<Running>> stopping;
    {
        const std::scoped_lock lock(mutex_);
        stopping.swap(running_);
    }
    for (const auto& running : stopping) running->thread->request_stop();
    stopping.clear();  // Joins.
}

bool Runtime::healthy() const {
    const std::scoped_lock lock(mutex_);
    return std::all_of(running_.begin(), running_.end(),
                       [](const auto& running) { return running->healthy.load(); });
}

void Runtime::run(Running& running, const std::stop_token& stop) {
    const std::string& stage = running.options.stage;
    std::unique_ptr<Worker> worker;
    milliseconds backoff = kBackoffMin;
    bool failing = false;
    const auto failed = [&](const Error& error) {
        running.healthy = false;
        worker.reset();
        if (!failing) {
            log_.error("stage failed and is tried again",
                       {{"stage", stage},
                        {"kind", std::string(to_string(error.kind))},
                        {"reason", error.message}});
        }
        failing = true;
        wait_for(backoff, stop);
        backoff = std::min(backoff * 2, kBackoffMax);
    };
    while (!stop.stop_requested()) {
        if (!worker) {
            auto opened = Worker::open(bus_, running.options, metrics_, log_, clock_);
            if (!opened) {
                failed(opened.error());
                continue;
            }
            worker = *std::move(opened);
        }
        const auto done = worker->step(PollLimits{});
        if (!done) {
            failed(done.error());
            continue;
        }
        if (failing) log_.info("stage works again", {{"stage", stage}});
        failing = false;
        backoff = kBackoffMin;
        running.healthy = true;
    }
}

}  // namespace vigie::streams
