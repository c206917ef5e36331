#include "responders/actions/pool.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "responders/actions/metrics.h"

using namespace vigie;
using namespace vigie::actions;
using namespace std::chrono_literals;

namespace {

// Opens once, for everyone.
class Door {
public:
    void open() {
        // Notifies under the lock: who passes may destroy the door as soon as it can take it.
        const std::scoped_lock lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    bool pass() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 20s, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

}  // namespace

TEST_CASE("thread pool: runs what it is given, and refuses when its queue is full", "[actions]") {
    MetricsRegistry metrics;
    ThreadPool pool({.threads = 1, .queue_max = 1}, metrics);
    Door running;
    Door go_on;
    Door second;
    REQUIRE(pool.submit([&](const auto&) {
                    running.open();
                    go_on.pass();
                })
                .has_value());
    REQUIRE(running.pass());
    REQUIRE(pool.submit([&](const auto&) { second.open(); }).has_value());
    const auto full = pool.submit([](const auto&) {});
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().kind == ErrorKind::kOverloaded);
    CHECK(metrics.counter(metric::kPoolRejected).value() == 1);
    go_on.open();
    CHECK(second.pass());
}

TEST_CASE("thread pool: stop tells running work, drops what is queued, and refuses new work",
          "[actions]") {
    MetricsRegistry metrics;
    ThreadPool pool({.threads = 1, .queue_max = 8}, metrics);
    Door running;
    std::atomic<bool> stopped = false;
    std::atomic<int> later = 0;
    REQUIRE(pool.submit([&](const std::stop_token& stop) {
                    running.open();
                    ThreadWaiter waiter;
                    stopped = !waiter.wait(20s, stop);
                })
                .has_value());
    REQUIRE(running.pass());
    REQUIRE(pool.submit([&](const auto&) { ++later; }).has_value());
    pool.stop();
    CHECK(stopped);
    CHECK(later == 0);
    const auto refused = pool.submit([&](const auto&) { ++later; });
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::kCancelled);
    pool.stop();
}

TEST_CASE("thread waiter: true when the time is over", "[actions]") {
    ThreadWaiter waiter;
    CHECK(waiter.wait(1ms, std::stop_token{}));
}

TEST_CASE("inline pool: keeps work until it is told to run it", "[actions]") {
    InlinePool pool(2);
    int runs = 0;
    REQUIRE(pool.submit([&](const auto&) {
                    ++runs;
                    CHECK(pool.submit([&](const auto&) { ++runs; }).has_value());
                })
                .has_value());
    REQUIRE(pool.submit([&](const auto&) { ++runs; }).has_value());
    CHECK_FALSE(pool.submit([](const auto&) {}).has_value());
    CHECK(runs == 0);
    CHECK(pool.run_all() == 3);
    CHECK(runs == 3);
    pool.stop();
    CHECK_FALSE(pool.submit([](const auto&) {}).has_value());
}
