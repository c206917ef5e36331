#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

#include "console/alert_book.h"
#include "console/follower.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "streams/bus.h"

namespace vigie::console {

// Keeps an AlertBook by following vigie.alerts and vigie.decisions, and answers questions about it.
// A question is answered by the thread that follows, once everything that was on the log when it
// was asked is in the book: whoever was told that an alert or a silence is taken sees it. So no
// handler waits, nothing is shared, and an alert costs no copy of the book.
class AlertView {
public:
    struct Options {
        AlertBook::Options book;
        // How far back it looks after a start.
        std::int64_t alert_records_max = 200'000;
        std::int64_t decision_records_max = 100'000;
        std::size_t questions_max = 1024;
    };

    // `bus`, `clock`, `metrics` and `log` must outlive it.
    AlertView(Options options, const streams::Bus& bus, const Clock& clock,
              MetricsRegistry& metrics, Log& log);

    // An error in place of the book: kUnavailable when the log cannot be read.
    using Question = std::function<void(Result<const AlertBook*> book, EventTime now)>;

    // kOverloaded when too many wait. Safe to call from any thread.
    Status ask(Question question);

    // Waits at most `wait_max` for a question, reads what is new, and answers. Owned by one thread.
    // The error is the bus's own, and those who asked have been told.
    Status step(std::chrono::milliseconds wait_max);

private:
    std::deque<Question> wait_for_questions(std::chrono::milliseconds wait_max);
    void apply(const streams::Record& record);

    const Options options_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    Log& log_;
    // Owned by the thread that calls step().
    Follower follower_;
    AlertBook book_;
    EventTime forget_at_;
    std::size_t refused_ = 0;
    std::mutex mutex_;  // Protects everything below.
    std::condition_variable asked_;
    std::deque<Question> questions_;
};

}  // namespace vigie::console
