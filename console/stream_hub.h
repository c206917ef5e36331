#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "console/views.h"
#include "core/metrics.h"
#include "http/server.h"

namespace vigie::console {

// The WebSocket clients of /api/v1/stream. A client that is gone or too slow is let go at the
// next message; it comes back and reads the list again. Safe to call from any thread.
class StreamHub {
public:
    // `views` and `metrics` must outlive it.
    StreamHub(const Views& views, MetricsRegistry& metrics, std::size_t clients_max = 256);

    // Greets the client and keeps it, or lets it go when there are too many.
    void add(const std::shared_ptr<http::WebSocket>& client);

    // Sends one message for each incident to every client.
    void announce(std::span<const IncidentPtr> changed);

    // Tells every client that the connection lives, and forgets those that do not.
    void beat();

private:
    void broadcast(const std::vector<std::string>& messages);

    const Views& views_;
    MetricsRegistry& metrics_;
    const std::size_t clients_max_;
    std::mutex mutex_;  // Protects everything below.
    std::vector<std::shared_ptr<http::WebSocket>> clients_;
};

}  // namespace vigie::console
