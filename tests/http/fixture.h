#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>

#include "core/log.h"
#include "core/metrics.h"
#include "http/client.h"
#include "http/router.h"
#include "http/server.h"

namespace vigie::http::test {

// A server on a free port of loopback with the routes a test adds.
struct Site {
    Router router;
    MetricsRegistry metrics;
    MemoryLog log;
    std::unique_ptr<Server> server;

    // Fails the test when the server does not start.
    void start(Server::Options options = {});

    std::string url(std::string_view path, std::string_view scheme = "http") const {
        return fmt::format("{}://127.0.0.1:{}{}", scheme, server->port(), path);
    }
    // The value of a series of the exposition, 0 when it is not there: "name{labels}".
    double metric(const std::string& series) const;
};

// Echoes method, path and body.
void echo(Request request, Respond respond);

ClientOptions fast_client();  // Timeouts of ten seconds: a test fails, not hangs.

}  // namespace vigie::http::test
