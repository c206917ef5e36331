#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"
#include "ingest/series_bound.h"
#include "schemas/telemetry.h"

// Bodies that cannot go to the log as they came: those of a tenant, whose label they get, and those
// with more series than their source may have. Remote write 1.0 of a tenant gets a label more in
// each series; all others are read whole and written anew, which costs many times the usual check.
namespace vigie::ingest {

// What is written into everything; an empty value changes nothing. Labels of that name that the
// sender wrote himself are removed: only the configuration says who is a tenant.
struct TenantLabel {
    std::string name;
    std::string value;
};

struct Rewritten {
    std::string body;
    std::string_view content_type;
    std::string_view content_encoding;  // "" for none
    std::size_t overflowed = 0;         // Points that went to overflow series
};

// Each as decode_metrics() and its like, with their errors. Without a `bound` all series are within
// it. Of the points of series beyond the
// bound there is, for each metric, one of METRIC{otel_metric_overflow="true"}: the sum of the
// newest of each, as OpenTelemetry's SDKs do.
Result<Rewritten> rewrite_metrics(std::string_view bytes, std::string_view content_type,
                                  std::string_view content_encoding,
                                  const schemas::DecodeLimits& limits, const TenantLabel& tenant,
                                  SeriesBound* bound);
Result<Rewritten> rewrite_logs(std::string_view bytes, std::string_view content_type,
                               std::string_view content_encoding,
                               const schemas::DecodeLimits& limits, const TenantLabel& tenant);
Result<Rewritten> rewrite_traces(std::string_view bytes, std::string_view content_type,
                                 std::string_view content_encoding,
                                 const schemas::DecodeLimits& limits, const TenantLabel& tenant);

void set_tenant(schemas::Labels& labels, const TenantLabel& tenant);

}  // namespace vigie::ingest
