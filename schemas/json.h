#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/result.h"

// The door to JSON for every folder: nobody outside schemas/, console/ and app/ includes the
// library itself. Include this from .cc files only; headers pass values and strings.
namespace vigie::schemas {

using Json = nlohmann::json;

// kInvalid, with the byte position, for text that is not JSON (RFC 8259), has invalid UTF-8,
// or is nested deeper than 64 levels. Duplicate keys: the last one wins.
Result<Json> parse_json(std::string_view text);

// Compact text; invalid UTF-8 in strings is replaced (U+FFFD), so it never fails. Object keys
// are sorted: equal values give equal bytes.
std::string dump_json(const Json& json);
std::string dump_json_pretty(const Json& json);

// Absence is an answer: nullptr or nullopt when the path is not there or of another type.
const Json* find(const Json& json, std::string_view pointer);  // RFC 6901: "/metadata/name"
std::optional<std::string> string_at(const Json& json, std::string_view pointer);
std::optional<double> number_at(const Json& json, std::string_view pointer);
std::optional<std::int64_t> integer_at(const Json& json, std::string_view pointer);
std::optional<bool> bool_at(const Json& json, std::string_view pointer);

// Checks `value` against the JSON Schema `schema` (2020-12; the keywords that schemas/*.json
// use: type, required, properties, additionalProperties, items, enum, const, minimum, maximum,
// minLength, maxLength, minItems, maxItems, pattern beside a maxLength of at most 1024, $ref to
// #/$defs; annotations are passed over). kInvalid names the place, starting at `place`, and what
// is wrong there: "/data/severity: not one of the allowed values". An unknown keyword is our
// mistake and asserts.
Status validate(const Json& value, const Json& schema, std::string_view place = {});

}  // namespace vigie::schemas
