#include "ingest/receivers.h"

#include <utility>

#include "ingest/deliveries.h"
#include "ingest/metrics_check.h"

namespace vigie::ingest {

Receivers::Receivers(Options options, streams::Bus& bus, const Clock& clock,
                     MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      intake_(std::make_shared<Intake>(options_.intake, bus, clock, metrics, log)),
      metrics_check_(std::make_shared<MetricsCheck>()),
      deliveries_(std::make_shared<SeenDeliveries>(options_.deliveries_max)),
      started_(to_event_time(clock.wall())) {}

Receivers::~Receivers() = default;

}  // namespace vigie::ingest
