#include "ingest/receivers.h"

#include <utility>

#include "ingest/deliveries.h"
#include "ingest/metrics_check.h"

namespace vigie::ingest {

Receivers::Receivers(Options options, streams::Bus& bus, const Clock& clock,
                     MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      intake_(std::make_shared<Intake>(options_.intake, bus, clock, metrics, log)),
      metrics_check_(std::make_shared<MetricsCheck>()),
      sources_(std::make_shared<Sources>(options_.sources, intake_, clock, metrics)),
      deliveries_(std::make_shared<SeenDeliveries>(options_.deliveries_max)) {}

Receivers::~Receivers() = default;

std::unique_ptr<KubernetesWatch> Receivers::make_kubernetes_watch() const {
    if (options_.kubernetes.server_url.empty()) return nullptr;
    return std::make_unique<KubernetesWatch>(options_.kubernetes, intake_, log_);
}

void Receivers::add_explain(http::Router& router) const {
    router.add("GET", "/api/v1/ingest/requests/{id}",
               [intake = intake_](const http::Request& request, const http::Respond& respond) {
                   explain_request(intake->requests(), intake->bus(), request, respond);
               });
}

void Receivers::tick() const {
    sources_->tick();
}

std::unique_ptr<Scraper> Receivers::make_scraper(Scraper::Options options) const {
    if (options.jobs.empty()) return nullptr;
    return std::make_unique<Scraper>(std::move(options), intake_, clock_, metrics_, log_);
}

}  // namespace vigie::ingest
