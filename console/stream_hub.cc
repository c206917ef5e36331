#include "console/stream_hub.h"

#include <algorithm>
#include <utility>

#include "console/metrics.h"
#include "console/render.h"

namespace vigie::console {

StreamHub::StreamHub(const Views& views, MetricsRegistry& metrics, std::size_t clients_max)
    : views_(views), metrics_(metrics), clients_max_(clients_max) {}

void StreamHub::add(const std::shared_ptr<http::WebSocket>& client) {
    bool full = false;
    {
        const std::scoped_lock lock(mutex_);
        full = clients_.size() >= clients_max_;
    }
    if (full) beat();  // Those that are gone make room.
    const std::string hello = render_hello(*views_.view());
    {
        // Added before it is greeted: a change in between is then told twice, not missed.
        const std::scoped_lock lock(mutex_);
        if (clients_.size() < clients_max_) {
            clients_.push_back(client);
            full = false;
        }
        metrics_.gauge(metrics::kStreams).set(static_cast<double>(clients_.size()));
    }
    if (full) {
        metrics_.counter(metrics::kStreamsDropped).add();
        client->send(render_error("too many clients are connected: try again later"));
        return;
    }
    client->send(hello);
}

void StreamHub::announce(std::span<const IncidentPtr> changed) {
    std::vector<std::string> messages;
    for (const auto& incident : changed) messages.push_back(render_change(*incident));
    broadcast(messages);
}

void StreamHub::beat() {
    broadcast({R"({"beat":true})"});
}

void StreamHub::broadcast(const std::vector<std::string>& messages) {
    std::vector<std::shared_ptr<http::WebSocket>> clients;
    {
        const std::scoped_lock lock(mutex_);
        clients = clients_;
    }
    std::vector<std::shared_ptr<http::WebSocket>> gone;
    for (const auto& client : clients) {
        const bool alive = std::all_of(messages.begin(), messages.end(),
                                       [&](const auto& message) { return client->send(message); });
        if (!alive) gone.push_back(client);
    }
    if (gone.empty()) return;
    const std::scoped_lock lock(mutex_);
    std::erase_if(clients_, [&](const auto& client) {
        return std::find(gone.begin(), gone.end(), client) != gone.end();
    });
    metrics_.counter(metrics::kStreamsDropped).add(gone.size());
    metrics_.gauge(metrics::kStreams).set(static_cast<double>(clients_.size()));
}

}  // namespace vigie::console
