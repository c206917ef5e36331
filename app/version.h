#pragma once

#include <string_view>

namespace vigie::app {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace vigie::app
