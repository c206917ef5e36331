#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_set>

namespace vigie::ingest {

// The delivery ids seen last: a repetition is answered without a second record. When it is full the
// oldest is forgotten, and the sequencer, which knows the event id, drops what comes again.
// Safe to call from any thread.
class SeenDeliveries {
public:
    explicit SeenDeliveries(std::size_t ids_max) : ids_max_(ids_max) {}

    bool contains(const std::string& id) const {
        const std::scoped_lock lock(mutex_);
        return ids_.contains(id);
    }

    void remember(const std::string& id) {
        const std::scoped_lock lock(mutex_);
        if (!ids_.insert(id).second) return;
        order_.push_back(id);
        if (order_.size() <= ids_max_) return;
        ids_.erase(order_.front());
        order_.pop_front();
    }

private:
    const std::size_t ids_max_;
    mutable std::mutex mutex_;  // Protects everything below.
    std::unordered_set<std::string> ids_;
    std::deque<std::string> order_;
};

}  // namespace vigie::ingest
