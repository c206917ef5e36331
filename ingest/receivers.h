#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/router.h"
#include "ingest/heartbeat.h"
#include "ingest/intake.h"
#include "ingest/kubernetes_watch.h"
#include "ingest/mapping.h"
#include "ingest/scrape.h"
#include "ingest/sources.h"
#include "ingest/webhook.h"
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
        // Tokens, as Bearer or password of Basic; empty: none is asked for.
        std::string otlp_token;                  // OTLP over HTTP and gRPC
        std::string remote_write_token;          // /api/v1/write
        std::string loki_token;                  // /loki/api/v1/push
        std::string json_lines_token;            // /api/v1/logs
        std::string alertmanager_token;          // POST /api/v2/alerts
        std::string alertmanager_webhook_token;  // /webhooks/alertmanager
        std::string grafana_token;               // /webhooks/grafana
        // Any one of them signs; none: 403.
        std::vector<std::string> pagerduty_secrets;
        std::vector<std::string> gitlab_tokens;
        std::vector<std::string> gitlab_signing_secrets;  // "whsec_…", or any text
        SenderEntities gitlab_entities;
        // Empty: 403.
        std::string jenkins_token;
        SenderEntities jenkins_entities;
        std::string argocd_token;
        SenderEntities argocd_entities;
        Sources::Options sources;
        HeartbeatOptions heartbeats;
        KubernetesWatch::Options kubernetes;
        std::string cloudevents_token;
        std::vector<CloudEventRule> cloudevents;
        std::vector<GenericSource> generic;
        std::size_t deliveries_max = 10'000;  // GitHub delivery ids remembered
    };

    Receivers(Options options, streams::Bus& bus, const Clock& clock, MetricsRegistry& metrics,
              Log& log);
    ~Receivers();
    Receivers(const Receivers&) = delete;
    Receivers& operator=(const Receivers&) = delete;

    // POST /v1/metrics, /v1/logs, /v1/traces. https://opentelemetry.io/docs/specs/otlp/#otlphttp
    void add_otlp(http::Router& router) const;

    // The Export calls of MetricsService, LogsService and TraceService. Overload is
    // RESOURCE_EXHAUSTED with RetryInfo; what is wrong INVALID_ARGUMENT, what is too large
    // RESOURCE_EXHAUSTED without. https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
    void add_otlp_grpc(http::Router& router) const;

    // POST /api/v1/write, versions 1.0 and 2.0.
    // https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
    void add_remote_write(http::Router& router) const;

    // POST /api/v2/alerts, GET /-/healthy, GET /-/ready. The rest of Alertmanager's API reads and
    // decides, and is the console's: console/alertmanager_api.h.
    void add_alertmanager(http::Router& router) const;

    // POST /webhooks/alertmanager, version 4.
    void add_alertmanager_webhook(http::Router& router) const;

    // POST /webhooks/grafana, /webhooks/pagerduty.
    void add_alert_webhooks(http::Router& router) const;

    // POST /webhooks/github: push, pull_request, workflow_run, workflow_job, check_run, deployment,
    // deployment_status and release become changes.
    void add_github(http::Router& router) const;

    // POST /webhooks/gitlab, /webhooks/jenkins, /webhooks/argocd.
    void add_change_webhooks(http::Router& router) const;

    // POST /loki/api/v1/push; POST /api/v1/logs: one JSON object a line.
    void add_logs(http::Router& router) const;

    // Takes syslog messages of one sender; `done` is called once, true when they are durable, false
    // when they should be offered again.
    void receive_syslog(const std::vector<std::string>& frames, std::string remote,
                        std::function<void(bool taken)> done) const;

    // GET, POST and PUT /heartbeat/{name}: its silence becomes an alert. DELETE: it is expected no
    // longer.
    void add_heartbeat(http::Router& router) const;
    // To be appended at a start: they are expected from then on.
    std::vector<streams::Message> expected_heartbeats() const;

    // GET /api/v1/ingest/requests/{id}: what became of a request, by its X-Request-Id.
    void add_explain(http::Router& router) const;

    // To be called every second or so.
    void tick() const;

    // For a thread of its own; nullptr when no server is configured.
    std::unique_ptr<KubernetesWatch> make_kubernetes_watch() const;

    // For threads of their own; nullptr when there is no job.
    std::unique_ptr<Scraper> make_scraper(Scraper::Options options) const;

    // POST /cloudevents, and /webhooks/generic/NAME for each source that is configured.
    void add_generic(http::Router& router) const;

private:
    const Options options_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    Log& log_;
    std::shared_ptr<Intake> intake_;
    std::shared_ptr<MetricsCheck> metrics_check_;
    std::shared_ptr<Sources> sources_;
    std::shared_ptr<SeenDeliveries> deliveries_;
};

}  // namespace vigie::ingest
