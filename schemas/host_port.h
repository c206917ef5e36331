#pragma once

#include <string_view>

namespace vigie::schemas::detail {

// "web-1:9100" -> "web-1", "[::1]:9100" -> "::1"; an address without a port stays as it is. Only
// for schemas/*.cc.
std::string_view without_port(std::string_view instance);

}  // namespace vigie::schemas::detail
