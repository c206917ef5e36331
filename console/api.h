#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "console/stream_hub.h"
#include "console/views.h"
#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "http/router.h"
#include "http/server.h"
#include "streams/bus.h"

namespace vigie::console {

inline constexpr std::string_view kStreamPath = "/api/v1/stream";

// The HTTP API, the page and the live stream behind them; docs/reference/api.md lists the routes.
// Everything read comes from the last published view, so no request waits for anything.
class Api {
public:
    struct Options {
        DomainId domain{"default"};
        std::string token;              // Needed to decide and to reload; empty: none is asked for.
        std::function<Status()> ready;  // The reason goes into the 503; unset: always ready.
        // Stops every action at once, before "kill on" is recorded; unset: recording it must do.
        std::function<Status()> stop_actions;
        std::function<Status()> reload;  // Reads the configuration again; unset: 404.
        std::chrono::seconds retry_after{5};
    };

    // All references must outlive it, and it must outlive the servers that use it. Takes the
    // place of `views`' on_change callback.
    Api(Options options, Views& views, streams::Bus& bus, const Clock& clock,
        MetricsRegistry& metrics, Log& log);

    void add_routes(http::Router& router);

    // For Server::Options::on_websocket, with kStreamPath as its path.
    http::WebSocketHandler websocket_handler();

    // Call it every 30 s or so: connections that died without a word are found out.
    void beat() { hub_.beat(); }

private:
    using Method = void (Api::*)(const http::Request&, const http::Respond&);

    void list(const http::Request& request, const http::Respond& respond);
    void show(const http::Request& request, const http::Respond& respond);
    void explain(const http::Request& request, const http::Respond& respond);
    void postmortem(const http::Request& request, const http::Respond& respond);
    void decide(const http::Request& request, const http::Respond& respond);
    void metrics(const http::Request& request, const http::Respond& respond);
    void healthy(const http::Request& request, const http::Respond& respond);
    void ready(const http::Request& request, const http::Respond& respond);
    void reload(const http::Request& request, const http::Respond& respond);
    bool stop_actions(const schemas::Decision& decision);
    void refuse_decision(const http::Respond& respond, int status, std::string_view reason);

    const Options options_;
    Views& views_;
    streams::Bus& bus_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    Log& log_;
    StreamHub hub_;
};

}  // namespace vigie::console
