#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "streams/rocks/engine.h"
#include "streams/runtime.h"

namespace vigie::streams::rocks {

// One thing that becomes durable as a whole: an append, or a step of a processor.
struct Request {
    // Records of one partition, in their order.
    struct Output {
        TopicLog* topic = nullptr;
        std::int32_t partition = 0;
        std::uint32_t records = 0;
        std::string bytes;  // append_record
    };
    struct StepPart {
        std::string group;
        Groups::MemberId member = 0;
        Groups::Epoch epoch = 0;
        Partition input;
        std::optional<Offset> next;
        Changes state;
    };
    std::vector<Output> outputs;
    std::optional<StepPart> step;
    Bus::AppendDone done;

    std::size_t records() const;
    std::size_t bytes() const;
};

// Checks topics and sizes and encodes, on the caller's thread. kNotFound, kInvalid.
Result<std::vector<Request::Output>> encode(const Engine& engine,
                                            const std::vector<Message>& messages);

// The only writer of the embedded log: one thread that takes everything waiting, gives
// offsets, writes one batch, and answers all. While it syncs, the next batch gathers, so
// batches grow with the load and a lone append does not wait for company. It also applies
// retention. submit() is safe from any thread.
class Committer {
public:
    explicit Committer(Engine& engine);

    // Calls `done` exactly once: at once with kOverloaded when an append finds the queue full,
    // else from the committer's thread. Steps are always queued: their callers wait.
    void submit(Request request);
    // Ends after everything queued is answered.
    ~Committer();

private:
    class Batch;
    void run(const std::stop_token& stop);
    std::vector<Request> take(const std::stop_token& stop);
    void commit(std::vector<Request> requests);
    Status write(Batch& batch);
    Status recover();
    void retain();
    void retain(TopicLog& topic, std::int32_t index, std::int64_t now_ms);

    Engine& engine_;
    Counter& records_;
    Counter& bytes_;
    Counter& writes_failed_;
    Counter& queue_full_;
    Counter& disk_full_;
    Counter& expired_;
    Gauge& queue_records_gauge_;
    Histogram& write_seconds_;

    // Owned by the committer's thread.
    bool broken_ = false;  // The last write failed: recover before the next one.
    SteadyTime retained_at_;

    std::mutex mutex_;  // Protects the next four.
    std::condition_variable_any waiting_;
    std::deque<Request> queue_;
    std::size_t queue_records_ = 0;
    std::size_t queue_bytes_ = 0;

    Thread thread_;  // Last: it uses the rest until joined.
};

}  // namespace vigie::streams::rocks
