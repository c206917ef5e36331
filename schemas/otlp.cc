#include "schemas/otlp.h"

#include <fmt/format.h>

namespace vigie::schemas {

namespace {

std::size_t bytes_of(const Labels& labels) {
    std::size_t bytes = 0;
    for (const auto& [name, value] : labels) {
        bytes += sizeof(Labels::value_type) + name.size() + value.size();
    }
    return bytes;
}

Status check_size(std::string_view bytes, const DecodeLimits& limits) {
    if (bytes.size() <= limits.bytes_max) return {};
    return fail(ErrorKind::kRefused, fmt::format("OTLP: more than {} bytes", limits.bytes_max));
}

}  // namespace

namespace detail {

Status add_log(std::vector<LogRecord>& logs, LogRecord record, Budget& budget) {
    VIGIE_TRY(budget.take_item());
    VIGIE_TRY(
        budget.take_bytes(sizeof(LogRecord) + record.body.size() + bytes_of(record.attributes)));
    logs.push_back(std::move(record));
    return {};
}

Status add_span(std::vector<Span>& spans, Span span, Budget& budget) {
    VIGIE_TRY(budget.take_item());
    VIGIE_TRY(budget.take_bytes(sizeof(Span) + span.name.size() + bytes_of(span.attributes) +
                                bytes_of(span.resource)));
    spans.push_back(std::move(span));
    return {};
}

std::uint8_t severity_of(std::int64_t number) {
    return number >= 1 && number <= 24 ? static_cast<std::uint8_t>(number) : std::uint8_t{0};
}

SpanKind span_kind_of(std::int64_t number) {
    const bool known = number >= 1 && number <= static_cast<std::int64_t>(SpanKind::kConsumer);
    return known ? static_cast<SpanKind>(number) : SpanKind::kUnspecified;
}

}  // namespace detail

namespace detail {

namespace {

// Nothing but what is wrong: an error of the body, which says what.
template <class T>
Result<std::vector<T>> settle(Result<std::vector<T>> decoded, const Refused& refused) {
    if (!decoded || !decoded->empty() || refused.items == 0) return decoded;
    return fail(ErrorKind::kInvalid, refused.why);
}

}  // namespace

Result<std::vector<LogRecord>> decode_otlp_logs(std::string_view bytes, OtlpEncoding encoding,
                                                const DecodeLimits& limits, Refused& refused) {
    VIGIE_TRY(check_size(bytes, limits));
    return settle(encoding == OtlpEncoding::kJson ? decode_json_logs(bytes, limits, refused)
                                                  : decode_proto_logs(bytes, limits, refused),
                  refused);
}

Result<std::vector<Span>> decode_otlp_traces(std::string_view bytes, OtlpEncoding encoding,
                                             const DecodeLimits& limits, Refused& refused) {
    VIGIE_TRY(check_size(bytes, limits));
    return settle(encoding == OtlpEncoding::kJson ? decode_json_traces(bytes, limits, refused)
                                                  : decode_proto_traces(bytes, limits, refused),
                  refused);
}

}  // namespace detail

Status Refused::take(Status status) {
    if (status || status.error().kind != ErrorKind::kInvalid) return status;
    if (items++ == 0) why = std::move(status.error().message);
    return {};
}

Result<std::vector<LogRecord>> decode_otlp_logs(std::string_view bytes, OtlpEncoding encoding,
                                                const DecodeLimits& limits) {
    Refused refused;
    return detail::decode_otlp_logs(bytes, encoding, limits, refused);
}

Result<std::vector<Span>> decode_otlp_traces(std::string_view bytes, OtlpEncoding encoding,
                                             const DecodeLimits& limits) {
    Refused refused;
    return detail::decode_otlp_traces(bytes, encoding, limits, refused);
}

}  // namespace vigie::schemas
