#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ingest/intake.h"
#include "ingest/metrics_check.h"
#include "ingest/rewrite.h"
#include "ingest/sources.h"

// What OTLP over HTTP and over gRPC do alike. Only for ingest/otlp*.cc.
namespace vigie::ingest {

// One of metrics, logs and traces.
struct OtlpSignal {
    std::string_view topic;
    std::string http_path;     // "/v1/metrics"
    std::string grpc_path;     // "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    std::string_view refused;  // What JSON calls what was left out: "rejectedDataPoints"
    std::function<Result<Content>(std::string_view bytes, std::string_view type,
                                  std::string_view coding, const schemas::DecodeLimits&,
                                  SeriesBound&)>
        check;
    // With the tenant's label, and within the bound of series.
    std::function<Result<Rewritten>(std::string_view bytes, std::string_view type,
                                    std::string_view coding, const schemas::DecodeLimits&,
                                    const TenantLabel&, SeriesBound*)>
        rewrite;
};
std::vector<OtlpSignal> otlp_signals(const std::shared_ptr<MetricsCheck>& metrics);

// Of an answer to what was taken.
using OtlpAnswer = std::function<http::Response(const Content&)>;

// The body of the arrival, which is of `type` and compressed as `coding` says, goes to the log.
void take_otlp(const Door& door, Source& source, const OtlpSignal& signal, Arrival arrival,
               std::string_view type, std::string_view coding, const OtlpAnswer& answer);

// In protobuf. An ExportMetricsServiceResponse, alike for all three signals: empty, or with what
// was left out.
std::string otlp_response(const Content& content);
// google.rpc.Status; with `retry_after` it carries a RetryInfo.
std::string rpc_status(int code, std::string_view message,
                       std::chrono::seconds retry_after = std::chrono::seconds{0});

}  // namespace vigie::ingest
