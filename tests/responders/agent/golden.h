#pragma once

#include <string>
#include <string_view>

namespace vigie::agent::test {

// Compares with tests/golden/NAME; with VIGIE_ACCEPT_GOLDEN set, writes it instead.
void check_golden(std::string_view name, const std::string& text);

}  // namespace vigie::agent::test
