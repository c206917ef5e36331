#include "golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

namespace vigie::agent::test {

void check_golden(std::string_view name, const std::string& text) {
    const std::string path = std::string(VIGIE_SOURCE_DIR) + "/tests/golden/" + std::string(name);
    if (std::getenv("VIGIE_ACCEPT_GOLDEN") != nullptr) {
        std::ofstream(path) << text;
        return;
    }
    std::ifstream file(path);
    std::ostringstream expected;
    expected << file.rdbuf();
    CHECK(text == expected.str());
}

}  // namespace vigie::agent::test
