#pragma once

#include <string_view>

#include "schemas/json.h"

// The files schemas/*.json, which are part of the program. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// The text of schemas/NAME; "" when there is no such file.
std::string_view embedded(std::string_view name);

// The parsed schema of that name, or "incident.v1.json#incident": an incident alone. Our own
// files: a name or a text that is wrong asserts.
const Json& schema_named(std::string_view name);

}  // namespace vigie::schemas::detail
