#include "schemas/otlp.h"
#include "schemas/otlp_json.h"

// opentelemetry/proto/logs/v1/logs.proto and opentelemetry/proto/trace/v1/trace.proto in JSON
namespace vigie::schemas::detail {

namespace {

constexpr std::size_t kTraceIdDigits = 32;
constexpr std::size_t kSpanIdDigits = 16;
constexpr RequestKeys kLogKeys{"resourceLogs", "scopeLogs", "logRecords"};
constexpr RequestKeys kSpanKeys{"resourceSpans", "scopeSpans", "spans"};

Result<LogRecord> read_log(const Json& json, const Labels& resource, Budget& budget,
                           const Place& place) {
    LogRecord record;
    VIGIE_TRY_ASSIGN(const EventTime at, time_in(json, "timeUnixNano", place));
    VIGIE_TRY_ASSIGN(const EventTime observed, time_in(json, "observedTimeUnixNano", place));
    record.at = at != EventTime{} ? at : observed;
    VIGIE_TRY_ASSIGN(const std::int64_t severity, int_in(json, "severityNumber", place));
    record.severity = severity_of(severity);
    VIGIE_TRY_ASSIGN(record.body, any_text_in(json, "body", place, budget));
    VIGIE_TRY_ASSIGN(record.trace_id, id_in(json, "traceId", kTraceIdDigits, place));
    VIGIE_TRY_ASSIGN(Labels attributes, attributes_in(json, "attributes", place, budget));
    VIGIE_TRY_ASSIGN(record.attributes, budget.merge(resource, std::move(attributes)));
    return record;
}

Result<Span> read_span(const Json& json, const Labels& resource, Budget& budget,
                       const Place& place) {
    Span span;
    span.resource = resource;
    VIGIE_TRY_ASSIGN(span.trace_id, id_in(json, "traceId", kTraceIdDigits, place));
    VIGIE_TRY_ASSIGN(span.span_id, id_in(json, "spanId", kSpanIdDigits, place));
    VIGIE_TRY_ASSIGN(span.parent_id, id_in(json, "parentSpanId", kSpanIdDigits, place));
    VIGIE_TRY_ASSIGN(const auto name, text_in(json, "name", place));
    span.name = clean_label(name, budget);
    VIGIE_TRY_ASSIGN(const std::int64_t kind, int_in(json, "kind", place));
    span.kind = span_kind_of(kind);
    VIGIE_TRY_ASSIGN(span.start, time_in(json, "startTimeUnixNano", place));
    VIGIE_TRY_ASSIGN(span.end, time_in(json, "endTimeUnixNano", place));
    VIGIE_TRY_ASSIGN(const Json* status, object_in(json, "status", place));
    if (status != nullptr) {
        VIGIE_TRY_ASSIGN(const std::int64_t code, int_in(*status, "code", place));
        span.error = code == kStatusError;
    }
    VIGIE_TRY_ASSIGN(Labels attributes, attributes_in(json, "attributes", place, budget));
    VIGIE_TRY_ASSIGN(span.attributes, budget.merge({}, std::move(attributes)));
    return span;
}

}  // namespace

Result<std::vector<LogRecord>> decode_json_logs(std::string_view bytes, const DecodeLimits& limits,
                                                Refused& refused) {
    Budget budget(limits);
    std::vector<LogRecord> logs;
    VIGIE_TRY(
        for_each_item(bytes, kLogKeys, budget,
                      [&](const Json& item, const Labels& resource, const Place& place) -> Status {
                          auto record = read_log(item, resource, budget, place);
                          if (!record) return refused.take(fail(std::move(record.error())));
                          return add_log(logs, *std::move(record), budget);
                      }));
    return logs;
}

Result<std::vector<Span>> decode_json_traces(std::string_view bytes, const DecodeLimits& limits,
                                             Refused& refused) {
    Budget budget(limits);
    std::vector<Span> spans;
    VIGIE_TRY(
        for_each_item(bytes, kSpanKeys, budget,
                      [&](const Json& item, const Labels& resource, const Place& place) -> Status {
                          auto span = read_span(item, resource, budget, place);
                          if (!span) return refused.take(fail(std::move(span.error())));
                          return add_span(spans, *std::move(span), budget);
                      }));
    return spans;
}

}  // namespace vigie::schemas::detail
