#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "core/result.h"

namespace vigie {

// A queue between two threads that never grows past its limit: when it is full the producer
// learns it at once and decides (slow down, shed, spill). Closing it wakes every reader;
// items already inside are still delivered. All members are safe to call from any thread.
template <class T>
class BoundedQueue {
public:
    // `items_max` must be at least 1.
    explicit BoundedQueue(std::size_t items_max) : items_max_(items_max) {
        VIGIE_ASSERT(items_max >= 1);
    }

    // kOverloaded when full, kCancelled when closed; in both cases `item` is left untouched.
    Status try_push(T& item) {
        {
            const std::scoped_lock lock(mutex_);
            if (closed_) return fail(ErrorKind::kCancelled, "queue is closed");
            if (items_.size() == items_max_) return fail(ErrorKind::kOverloaded, "queue is full");
            items_.push_back(std::move(item));
        }
        not_empty_.notify_one();
        return {};
    }

    // Waits for an item. Empty only when the queue is closed and drained.
    std::optional<T> pop() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [this] { return closed_ || !items_.empty(); });
        if (items_.empty()) return std::nullopt;
        T item = std::move(items_.front());
        items_.pop_front();
        return item;
    }

    void close() {
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
        }
        not_empty_.notify_all();
    }

    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return items_.size();
    }

private:
    const std::size_t items_max_;
    mutable std::mutex mutex_;  // Protects everything below.
    std::condition_variable not_empty_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace vigie
