#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "core/metrics.h"
#include "streams/bus.h"
#include "streams/kafka/cluster.h"
#include "streams/kafka/producer.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

// Every append of the process: one thread that takes everything waiting into one transaction and
// answers all. While it commits, the next one gathers, so transactions grow with the load and a
// lone append does not wait for company. What a broker refuses for good is answered to the one
// who sent it: the others are tried again without it. append() is safe from any thread.
class Appender {
public:
    explicit Appender(const Cluster& cluster);
    // Ends after everything queued is answered.
    ~Appender();

    // As Bus::append.
    void append(std::vector<Message> messages, Bus::AppendDone done);

private:
    struct Request {
        std::vector<Outgoing> records;
        std::size_t bytes = 0;
        Bus::AppendDone done;
    };
    Result<std::vector<Outgoing>> prepare(std::vector<Message> messages) const;
    void run(const std::stop_token& stop);
    std::vector<Request> take(const std::stop_token& stop);
    void commit(std::vector<Request> requests);
    Status write(const std::vector<Outgoing>& records);

    const Cluster& cluster_;
    const Cluster::Slot slot_;
    Counter& records_;
    Counter& queue_full_;
    Gauge& queue_records_gauge_;
    Histogram& transaction_seconds_;

    // Owned by the appender's thread.
    std::unique_ptr<Producer> producer_;  // Null: open one before the next transaction.

    std::mutex mutex_;  // Protects the next four.
    std::condition_variable_any waiting_;
    std::deque<Request> queue_;
    std::size_t queue_records_ = 0;
    std::size_t queue_bytes_ = 0;

    Thread thread_;  // Last: it uses the rest until joined.
};

}  // namespace vigie::streams::kafka
