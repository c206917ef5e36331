#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "schemas/telemetry.h"

// Log records that do not come as OTLP, and how they become OTLP, which is what vigie.logs holds.
namespace vigie::schemas {

// Records of one resource; their attributes are only their own.
struct LogGroup {
    Labels resource;
    std::vector<LogRecord> records;
};

// An ExportLogsServiceRequest in protobuf, which decode_otlp_logs and an OpenTelemetry Collector
// read.
std::string encode_otlp_logs(std::span<const LogGroup> groups);

// Loki's push, as protobuf without its snappy block or as JSON. kInvalid names the place.
// https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
Result<std::vector<LogGroup>> decode_loki_protobuf(std::string_view bytes,
                                                   const DecodeLimits& limits);
Result<std::vector<LogGroup>> decode_loki_json(std::string_view bytes, const DecodeLimits& limits);

// One JSON object a line, or one list of objects. Known names, in this order: time "@timestamp",
// "timestamp", "time", "ts"; text "message", "msg", "body", "log"; severity "level", "severity",
// "lvl"; "trace_id" or "traceId". What else is text or a number becomes an attribute; resource
// attributes such as "service.name", "service" and "host.name" among them say whose line it is. A
// line without a time has the epoch. A line that is not an object is one text.
Result<std::vector<LogGroup>> decode_json_lines(std::string_view bytes, const DecodeLimits& limits);

// Names that other senders use for a service or a host become those of OpenTelemetry beside them.
void name_resource(Labels& resource);

// OpenTelemetry's severity number of a word such as "warn", "ERROR" or "notice"; 0 of another.
std::uint8_t severity_number(std::string_view word);

}  // namespace vigie::schemas
