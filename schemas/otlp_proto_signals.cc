#include "schemas/otlp.h"
#include "schemas/otlp_proto.h"

// opentelemetry/proto/logs/v1/logs.proto and opentelemetry/proto/trace/v1/trace.proto
namespace vigie::schemas::detail {

namespace {

constexpr std::size_t kTraceIdSize = 16;
constexpr std::size_t kSpanIdSize = 8;

Result<LogRecord> read_log(pbf_reader fields, const Labels& resource, Budget& budget) {
    LogRecord record;
    std::uint64_t nanos = 0;
    std::uint64_t observed_nanos = 0;
    VIGIE_TRY_ASSIGN(Labels attributes, read_attributes(fields, message_tag(6), budget));
    VIGIE_TRY_ASSIGN(record.attributes, budget.merge(resource, std::move(attributes)));
    while (fields.next()) {
        switch (fields.tag_and_type()) {
            case fixed64_tag(1): nanos = fields.get_fixed64(); break;
            case varint_tag(2): record.severity = severity_of(fields.get_int32()); break;
            case message_tag(5): {
                VIGIE_TRY_ASSIGN(record.body, read_any_text(fields.get_message(), budget));
                break;
            }
            case message_tag(9): {
                VIGIE_TRY_ASSIGN(record.trace_id, read_id(read_view(fields), kTraceIdSize));
                break;
            }
            case fixed64_tag(11): observed_nanos = fields.get_fixed64(); break;
            default: fields.skip();
        }
    }
    record.at = time_of_nanos(nanos != 0 ? nanos : observed_nanos);
    return record;
}

bool is_error(pbf_reader status) {
    bool error = false;
    while (status.next()) {
        if (status.tag_and_type() == varint_tag(3)) {
            error = status.get_int32() == kStatusError;
        } else {
            status.skip();
        }
    }
    return error;
}

Result<Span> read_span(pbf_reader fields, const Labels& resource, Budget& budget) {
    Span span;
    span.resource = resource;
    VIGIE_TRY_ASSIGN(Labels attributes, read_attributes(fields, message_tag(9), budget));
    VIGIE_TRY_ASSIGN(span.attributes, budget.merge({}, std::move(attributes)));
    while (fields.next()) {
        switch (fields.tag_and_type()) {
            case message_tag(1): {
                VIGIE_TRY_ASSIGN(span.trace_id, read_id(read_view(fields), kTraceIdSize));
                break;
            }
            case message_tag(2): {
                VIGIE_TRY_ASSIGN(span.span_id, read_id(read_view(fields), kSpanIdSize));
                break;
            }
            case message_tag(4): {
                VIGIE_TRY_ASSIGN(span.parent_id, read_id(read_view(fields), kSpanIdSize));
                break;
            }
            case message_tag(5): span.name = clean_label(read_view(fields), budget); break;
            case varint_tag(6): span.kind = span_kind_of(fields.get_int32()); break;
            case fixed64_tag(7): span.start = time_of_nanos(fields.get_fixed64()); break;
            case fixed64_tag(8): span.end = time_of_nanos(fields.get_fixed64()); break;
            case message_tag(15): span.error = is_error(fields.get_message()); break;
            default: fields.skip();
        }
    }
    return span;
}

}  // namespace

Result<std::vector<LogRecord>> decode_proto_logs(std::string_view bytes, const DecodeLimits& limits,
                                                 Refused& refused) {
    Budget budget(limits);
    std::vector<LogRecord> logs;
    VIGIE_TRY(for_each_item(bytes, budget, [&](pbf_reader item, const Labels& resource) -> Status {
        auto record = read_log(item, resource, budget);
        if (!record) return refused.take(fail(std::move(record.error())));
        return add_log(logs, *std::move(record), budget);
    }));
    return logs;
}

Result<std::vector<Span>> decode_proto_traces(std::string_view bytes, const DecodeLimits& limits,
                                              Refused& refused) {
    Budget budget(limits);
    std::vector<Span> spans;
    VIGIE_TRY(for_each_item(bytes, budget, [&](pbf_reader item, const Labels& resource) -> Status {
        auto span = read_span(item, resource, budget);
        if (!span) return refused.take(fail(std::move(span.error())));
        return add_span(spans, *std::move(span), budget);
    }));
    return spans;
}

}  // namespace vigie::schemas::detail
