#pragma once

#include <string>

#include "core/time.h"
#include "streams/bus.h"

// Records as ingest would append them.
namespace vigie::sim {

// OTLP JSON: p95 latency and error ratio of a service.
streams::Message metrics_message(const std::string& service, double latency_seconds,
                                 double error_ratio, EventTime at);

// One client span `from` -> `to` with its server span.
streams::Message span_message(const std::string& from, const std::string& to, EventTime at);

streams::Message alert_message(const std::string& service, bool firing, EventTime starts_at,
                               EventTime at);
streams::Message deployment_message(const std::string& service, const std::string& version,
                                    EventTime at);

}  // namespace vigie::sim
