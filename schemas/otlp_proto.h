#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include "schemas/attribute_text.h"
#include "schemas/budget.h"

// What the three OTLP signals share as protobuf (opentelemetry/proto/common/v1/common.proto).
// Only for schemas/*.cc. Fields are told by number AND wire type, because protozero only asserts
// the latter; a known number with another type is passed over like an unknown field.
namespace vigie::schemas::detail {

using protozero::pbf_reader;

constexpr std::uint32_t message_tag(std::uint32_t number) {
    return protozero::tag_and_type(number, protozero::pbf_wire_type::length_delimited);
}
constexpr std::uint32_t fixed64_tag(std::uint32_t number) {
    return protozero::tag_and_type(number, protozero::pbf_wire_type::fixed64);
}
constexpr std::uint32_t varint_tag(std::uint32_t number) {
    return protozero::tag_and_type(number, protozero::pbf_wire_type::varint);
}

inline std::string_view read_view(pbf_reader& reader) {
    const auto view = reader.get_view();
    return {view.data(), view.size()};
}
// Not get_bool: that of protozero 1.7 reads one byte past a message that ends at the tag.
inline bool read_bool(pbf_reader& reader) {
    return reader.get_uint64() != 0;
}
inline EventTime time_of_nanos(std::uint64_t nanos) {
    return event_time_from_micros(static_cast<std::int64_t>(nanos / 1000));
}

// The KeyValues in the fields `tag` of a message.
Result<Labels> read_attributes(pbf_reader message, std::uint32_t tag, const Budget& budget);

// An AnyValue as text.
Result<std::string> read_any_text(pbf_reader value, const Budget& budget);

// Lower-case hex of an id of `size` bytes; "" for an empty id and for zeros, which stand for it.
Result<std::string> read_id(std::string_view bytes, std::size_t size);

// Calls visit(message) for each field `tag` until one fails.
template <class Visit>
Status for_each(pbf_reader message, std::uint32_t tag, Visit visit) {
    while (message.next()) {
        if (message.tag_and_type() == tag) {
            VIGIE_TRY(visit(message.get_message()));
        } else {
            message.skip();
        }
    }
    return {};
}

// The labels of the resource, field 1, of a ResourceMetrics, ResourceLogs or ResourceSpans.
Result<Labels> read_resource(pbf_reader group, const Budget& budget);

// The way down that all three requests have: groups = 1 { resource = 1, scopes = 2 { items = 2 }}.
// Calls visit(item, resource labels), and turns what protozero throws into an error with the
// place.
template <class Visit>
Status for_each_item(std::string_view bytes, Budget& budget, Visit visit) {
    std::size_t at = 0;
    const auto visit_group = [&](pbf_reader group) -> Status {
        VIGIE_TRY_ASSIGN(const Labels resource, read_resource(group, budget));
        return for_each(group, message_tag(2), [&](pbf_reader scope) {
            return for_each(scope, message_tag(2), [&](pbf_reader item) {
                at = static_cast<std::size_t>(item.data().data() - bytes.data());
                return visit(item, resource);
            });
        });
    };
    const auto refuse = [&at](std::string_view why) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("OTLP protobuf: {}, in or after the item at byte {}", why, at));
    };
    try {
        const pbf_reader request(bytes.data(), bytes.size());
        const Status status = for_each(request, message_tag(1), visit_group);
        if (!status) return refuse(status.error().message);
        return status;
    } catch (const protozero::exception& error) {
        return refuse(error.what());
    }
}

}  // namespace vigie::schemas::detail
