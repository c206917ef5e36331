#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "core/system_clock.h"
#include "tests/contract/harness.h"

// Waiting for a bus that may be another machine. For one in this process each of these polls once.
namespace vigie::streams {

// Real time, for waits: a bus may be another machine.
class Waiting {
public:
    explicit Waiting(std::chrono::milliseconds patience) : until_(clock_.steady() + patience) {}
    bool over() const { return clock_.steady() >= until_; }

private:
    const SystemClock clock_;
    const SteadyTime until_;
};

inline std::vector<Record> poll_once(Consumer& consumer, const PollLimits& limits = kNow) {
    auto records = consumer.poll(limits);
    if (!records) FAIL(records.error().message);
    return *std::move(records);
}

// Polls until `count` records have come; fewer when patience is over.
template <class Harness>
std::vector<Record> poll_records(Consumer& consumer, std::size_t count) {
    const Waiting waiting(Harness::kPatience);
    std::vector<Record> records;
    do {
        for (Record& record : poll_once(consumer)) records.push_back(std::move(record));
    } while (records.size() < count && !waiting.over());
    return records;
}

// Polls until `done`, without any record coming; false when patience is over.
template <class Harness>
bool poll_until(std::initializer_list<Consumer*> consumers, const std::function<bool()>& done) {
    const Waiting waiting(Harness::kPatience);
    do {
        for (Consumer* consumer : consumers) {
            if (!poll_once(*consumer).empty()) FAIL("an unexpected record");
        }
        if (done()) return true;
    } while (!waiting.over());
    return false;
}

// True when nothing comes.
template <class Harness>
bool stays_empty(Consumer& consumer) {
    const Waiting waiting(Harness::kQuiet);
    do {
        if (!poll_once(consumer).empty()) return false;
    } while (!waiting.over());
    return true;
}

inline Changes rows_of(const Store& store) {
    Changes rows;
    const auto scanned = store.scan("", [&](std::string_view key, std::string_view value) {
        rows[std::string(key)] = std::string(value);
        return true;
    });
    if (!scanned) FAIL(scanned.error().message);
    return rows;
}

}  // namespace vigie::streams
