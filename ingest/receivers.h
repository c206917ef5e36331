#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/router.h"
#include "ingest/intake.h"
#include "streams/bus.h"

namespace vigie::ingest {

class MetricsCheck;
class SeenDeliveries;

// Every way in. Each add_… registers the handlers of one protocol, on the router of whichever
// port speaks it. All of them answer 2xx only when the data is on the log, 503 with Retry-After
// when it cannot be taken now, and put what can never be understood on vigie.deadletter.
// Handlers stay valid after this object is gone; `bus`, `clock`, `metrics` and `log` must outlive
// the servers and the appends under way.
class Receivers {
public:
    struct Options {
        Intake::Options intake;
        // Any one of them signs; two while a secret is being changed. Empty: 403.
        std::vector<std::string> github_secrets;
        // "owner/name" or "name" of a repository to the entity that it deploys.
        std::map<std::string, EntityId> github_entities;
        // Bearer token of /webhooks/alertmanager; empty: none is asked for.
        std::string alertmanager_webhook_token;
        std::size_t deliveries_max = 10'000;  // GitHub delivery ids remembered
    };

    Receivers(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics,
              Log& log);
    ~Receivers();
    Receivers(const Receivers&) = delete;
    Receivers& operator=(const Receivers&) = delete;

    // POST /v1/metrics, /v1/logs, /v1/traces. https://opentelemetry.io/docs/specs/otlp/#otlphttp
    void add_otlp(http::Router& router) const;

    // POST /api/v1/write, versions 1.0 and 2.0.
    // https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
    void add_remote_write(http::Router& router) const;

    // POST /api/v2/alerts, GET /api/v2/status, GET /-/healthy, GET /-/ready: what Prometheus and
    // amtool expect on an Alertmanager's port.
    void add_alertmanager(http::Router& router) const;

    // POST /webhooks/alertmanager, version 4.
    void add_alertmanager_webhook(http::Router& router) const;

    // POST /webhooks/github: push, deployment, deployment_status and workflow_run become changes.
    void add_github(http::Router& router) const;

private:
    const Options options_;
    std::shared_ptr<Intake> intake_;
    std::shared_ptr<MetricsCheck> metrics_check_;
    std::shared_ptr<SeenDeliveries> deliveries_;
    EventTime started_;
};

}  // namespace vigie::ingest
