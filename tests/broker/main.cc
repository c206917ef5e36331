// Tests against a real Kafka. Without Java or Kafka's jars they cannot run, and say so.
#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include <catch2/catch.hpp>

#include "tests/support/process.h"

namespace {

constexpr int kSkipped = 77;  // What CTest is told to take for skipped.
constexpr std::chrono::seconds kWaitMax{20};

}  // namespace

int main(int count, char* arguments[]) {
    auto asked = vigie::test::Process::spawn(
        {"/usr/bin/python3", std::string(VIGIE_SOURCE_DIR) + "/tools/kafka.py", "missing"});
    const auto missing = asked ? asked->read_line(kWaitMax) : vigie::Result<std::string>("");
    if (missing && !missing->empty()) {
        std::printf("SKIPPED, no test against Kafka was run: %s\n", missing->c_str());
        return kSkipped;
    }
    return Catch::Session().run(count, arguments);
}
