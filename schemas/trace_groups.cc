#include "schemas/trace_groups.h"

#include <algorithm>
#include <map>
#include <vector>

#include <protozero/pbf_writer.hpp>

#include "schemas/otlp_write.h"

// opentelemetry/proto/trace/v1/trace.proto
namespace vigie::schemas {

namespace {

using protozero::pbf_writer;

constexpr std::int32_t kStatusError = 2;

std::uint64_t nanos_of(EventTime at) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(micros_of(at), 0)) * 1000;
}

std::string encode_span(const Span& span) {
    std::string out;
    pbf_writer fields(out);
    fields.add_bytes(1, detail::bytes_of_hex(span.trace_id));
    fields.add_bytes(2, detail::bytes_of_hex(span.span_id));
    if (!span.parent_id.empty()) fields.add_bytes(4, detail::bytes_of_hex(span.parent_id));
    fields.add_string(5, span.name);
    fields.add_enum(6, static_cast<std::int32_t>(span.kind));
    fields.add_fixed64(7, nanos_of(span.start));
    fields.add_fixed64(8, nanos_of(span.end));
    detail::write_attributes(fields, 9, span.attributes);
    if (span.error) {
        pbf_writer status(fields, 15);
        status.add_enum(3, kStatusError);
    }
    return out;
}

}  // namespace

std::string encode_otlp_traces(std::span<const Span> spans) {
    std::map<Labels, std::vector<const Span*>> by_resource;
    for (const Span& span : spans) by_resource[span.resource].push_back(&span);
    std::string out;
    pbf_writer request(out);
    for (const auto& [labels, items] : by_resource) {
        pbf_writer resource_spans(request, 1);
        {
            pbf_writer resource(resource_spans, 1);
            detail::write_attributes(resource, 1, labels);
        }
        pbf_writer scope_spans(resource_spans, 2);
        for (const Span* span : items) scope_spans.add_message(2, encode_span(*span));
    }
    return out;
}

}  // namespace vigie::schemas
