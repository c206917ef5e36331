#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"
#include "http/message.h"
#include "streams/bus.h"

// What became of requests: every answer of a receiver names its request in X-Request-Id, and
// `vigie explain ingest` says what came of it.
namespace vigie::ingest {

// On each record that a request became.
inline constexpr std::string_view kHeaderRequestId = "request-id";

struct RequestRecord {
    std::string id;         // Ascends with time: "req-0193a5b2c4d7-3f9a-00002b"
    std::string client_id;  // X-Request-Id as the sender gave it, when it is short and plain
    std::string_view source;
    std::string sender;  // Of the configured sources; may be empty
    std::string peer;
    std::string path;
    EventTime at;
    std::size_t bytes = 0;
    int status = 0;
    std::string outcome;  // "accepted", or the label of the refusal: "body", "rate", …
    std::string reason;
    std::size_t items = 0;
    std::size_t refused_items = 0;
    std::size_t overflowed_items = 0;
    std::vector<std::pair<std::string, std::string>> places;  // Topic and key of each record, some
};

// The last requests, in memory. For any thread.
class RequestLog {
public:
    // `process` tells processes that share a log apart: a few hex digits.
    RequestLog(std::size_t requests_max, std::string process)
        : requests_max_(requests_max), process_(std::move(process)) {}

    std::string next_id(WallTime now);

    // Once its answer is known; nothing of it changes any more.
    void remember(std::shared_ptr<const RequestRecord> request);

    // By our id, or the newest by the sender's; nullptr when it is not known, or not any more.
    std::shared_ptr<const RequestRecord> find(std::string_view id) const;

    // Looking into the log takes a while: one at a time does it.
    bool try_look() { return !looking_.exchange(true); }
    void end_look() { looking_ = false; }

private:
    const std::size_t requests_max_;
    const std::string process_;
    std::atomic<std::uint32_t> count_{0};
    std::atomic<bool> looking_{false};
    mutable std::mutex mutex_;  // Protects everything below.
    std::vector<std::shared_ptr<const RequestRecord>> ring_;
    std::size_t next_ = 0;
};

// Where on a partition the records of a request are. Ids ascend, and so do the times of ticks, so
// that few records are looked at; records that overtook others by more than some dozens of places,
// or became durable more than a minute after the request came, may not be found.
Result<std::vector<streams::Offset>> find_request(const streams::Bus& bus,
                                                  const streams::Partition& partition,
                                                  std::string_view id);

// GET /api/v1/ingest/requests/{id}: what is known of it, in JSON; 404 when nothing is. Reads a few
// hundred records of the log on the calling thread, for one request at a time; others get 503.
void explain_request(RequestLog& requests, const streams::Bus& bus, const http::Request& request,
                     const http::Respond& respond);

}  // namespace vigie::ingest
