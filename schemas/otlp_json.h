#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "schemas/budget.h"
#include "schemas/json.h"

// What the three OTLP signals share as JSON: protobuf's JSON mapping with hex ids
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Only for schemas/*.cc.
namespace vigie::schemas::detail {

// Where in the body we are: a chain on the stack, made into text only for an error.
struct Place {
    const Place* parent = nullptr;
    const char* key = "";
    std::size_t index = 0;
};
std::unexpected<Error> refuse(const Place& place, const char* key, std::string_view what);

// Members of an object; one that is absent or null has the default of protobuf.
Result<std::uint64_t> uint_in(const Json& object, const char* key, const Place& place);
Result<std::int64_t> int_in(const Json& object, const char* key, const Place& place);
Result<double> double_in(const Json& object, const char* key, const Place& place);
Result<bool> bool_in(const Json& object, const char* key, const Place& place);
Result<std::string_view> text_in(const Json& object, const char* key, const Place& place);
Result<EventTime> time_in(const Json& object, const char* key, const Place& place);
// Lower-case hex of an id of `digits` digits; "" for an empty id and for zeros.
Result<std::string> id_in(const Json& object, const char* key, std::size_t digits,
                          const Place& place);
// nullptr when absent.
Result<const Json*> object_in(const Json& object, const char* key, const Place& place);
Result<const Json*> array_in(const Json& object, const char* key, const Place& place);
bool has(const Json& object, const char* key);

// Numbers alone, as they stand in arrays; `json` may be a number or text.
std::optional<std::uint64_t> read_uint(const Json& json);
std::optional<std::int64_t> read_int(const Json& json);
std::optional<double> read_double(const Json& json);

// The KeyValues of the array `key`, and an AnyValue as text.
Result<Labels> attributes_in(const Json& object, const char* key, const Place& place,
                             const Budget& budget);
Result<std::string> any_text_in(const Json& object, const char* key, const Place& place,
                                const Budget& budget);

// Calls visit(item, its place) for each object of the array `key` until one fails.
template <class Visit>
Status for_each(const Json& object, const char* key, const Place& place, Visit visit) {
    VIGIE_TRY_ASSIGN(const Json* items, array_in(object, key, place));
    if (items == nullptr) return {};
    Place item_place{.parent = &place, .key = key, .index = 0};
    for (const Json& item : *items) {
        if (!item.is_object()) return refuse(item_place, "", "not an object");
        VIGIE_TRY(visit(item, item_place));
        ++item_place.index;
    }
    return {};
}

// Names of the three levels of a request.
struct RequestKeys {
    const char* resources;
    const char* scopes;
    const char* items;
};

// Calls visit(item, resource labels, place) for each item of a request.
template <class Visit>
Status for_each_item(std::string_view bytes, const RequestKeys& keys, Budget& budget, Visit visit) {
    auto request = parse_json(bytes);
    if (!request) return fail(std::move(request).error().in("OTLP JSON"));
    const Place root;
    if (!request->is_object()) return refuse(root, "", "not an object");
    return for_each(
        *request, keys.resources, root, [&](const Json& group, const Place& place) -> Status {
            VIGIE_TRY_ASSIGN(const Json* resource, object_in(group, "resource", place));
            Labels labels;
            if (resource != nullptr) {
                VIGIE_TRY_ASSIGN(labels, attributes_in(*resource, "attributes", place, budget));
                VIGIE_TRY_ASSIGN(labels, budget.merge({}, std::move(labels)));
            }
            return for_each(
                group, keys.scopes, place, [&](const Json& scope, const Place& in_scope) {
                    return for_each(
                        scope, keys.items, in_scope,
                        [&](const Json& item, const Place& at) { return visit(item, labels, at); });
                });
        });
}

}  // namespace vigie::schemas::detail
