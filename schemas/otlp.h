#pragma once

#include <string_view>
#include <vector>

#include "schemas/budget.h"
#include "schemas/refused.h"
#include "schemas/series.h"

// The OTLP decoders by encoding; telemetry.h has the doors. Only for schemas/*.cc.
namespace vigie::schemas::detail {

Status decode_proto_metrics(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                            DecodedSamples& out);
Result<std::vector<LogRecord>> decode_proto_logs(std::string_view bytes, const DecodeLimits& limits,
                                                 Refused& refused);
Result<std::vector<Span>> decode_proto_traces(std::string_view bytes, const DecodeLimits& limits,
                                              Refused& refused);

Status decode_json_metrics(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                           DecodedSamples& out);
Result<std::vector<LogRecord>> decode_json_logs(std::string_view bytes, const DecodeLimits& limits,
                                                Refused& refused);
Result<std::vector<Span>> decode_json_traces(std::string_view bytes, const DecodeLimits& limits,
                                             Refused& refused);

// With what was left out kept in mind.
Result<std::vector<LogRecord>> decode_otlp_logs(std::string_view bytes, OtlpEncoding encoding,
                                                const DecodeLimits& limits, Refused& refused);
Result<std::vector<Span>> decode_otlp_traces(std::string_view bytes, OtlpEncoding encoding,
                                             const DecodeLimits& limits, Refused& refused);

// What both encodings do with a finished record.
Status add_log(std::vector<LogRecord>& logs, LogRecord record, Budget& budget);
Status add_span(std::vector<Span>& spans, Span span, Budget& budget);

std::uint8_t severity_of(std::int64_t number);   // 0 for what is not 1..24
SpanKind span_kind_of(std::int64_t number);      // kUnspecified for an unknown number
inline constexpr std::int64_t kStatusError = 2;  // opentelemetry.proto.trace.v1.Status.StatusCode

}  // namespace vigie::schemas::detail
