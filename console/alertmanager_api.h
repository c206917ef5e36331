#pragma once

#include <memory>
#include <string>
#include <vector>

#include "console/alert_view.h"
#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/router.h"
#include "streams/bus.h"

namespace vigie::console {

// Alertmanager's API, version 2, but for POST /api/v2/alerts, which ingest takes:
// https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml
// amtool, Grafana and karma work with it unchanged. Alerts are those of vigie.alerts; a silence is
// a decision on vigie.decisions, the same as `vigie silence` makes.
class AlertmanagerApi {
public:
    struct Options {
        DomainId domain{"default"};
        std::string token;  // Needed to set or end a silence, as Bearer or password of Basic
        // The one route: what groups alerts, and who receives them.
        std::string receiver = "vigie";
        std::vector<std::string> group_by{"alertname"};
        std::size_t silence_bytes_max = 512 * 1024;
        std::chrono::seconds retry_after{5};
    };

    // All references must outlive it, and it the servers that use it.
    AlertmanagerApi(Options options, AlertView& view, streams::Bus& bus, const Clock& clock,
                    MetricsRegistry& metrics, Log& log);

    // GET /api/v2/alerts, alerts/groups, silences, silence/{id}, receivers, status;
    // POST /api/v2/silences; DELETE /api/v2/silence/{id}.
    void add_routes(http::Router& router);

private:
    using Method = void (AlertmanagerApi::*)(const http::Request&, const http::Respond&);

    void alerts(const http::Request& request, const http::Respond& respond);
    void groups(const http::Request& request, const http::Respond& respond);
    void silences(const http::Request& request, const http::Respond& respond);
    void silence(const http::Request& request, const http::Respond& respond);
    void set_silence(const http::Request& request, const http::Respond& respond);
    void end_silence(const http::Request& request, const http::Respond& respond);
    void receivers(const http::Request& request, const http::Respond& respond);
    void status(const http::Request& request, const http::Respond& respond);

    // Asks the view; 503 when it cannot answer.
    void ask(const http::Respond& respond, AlertView::Question question);
    bool may_change(const http::Request& request, const http::Respond& respond);
    void decide(struct SilenceDecisions made, EventTime now, http::Response success,
                const http::Respond& respond);
    http::Response retry_later(std::string_view reason) const;

    const Options options_;
    AlertView& view_;
    streams::Bus& bus_;
    MetricsRegistry& metrics_;
    Log& log_;
    const EventTime started_;
};

}  // namespace vigie::console
